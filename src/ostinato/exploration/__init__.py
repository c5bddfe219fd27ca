"""What the units of a recurrent network do, step by step, on real data."""

from ostinato.exploration.ablation import Ablating, Ablation, ablate_run
from ostinato.exploration.attribution import Attribution, attribute
from ostinato.exploration.continuing import Continuing, continue_run
from ostinato.exploration.exploration import Exploration, Moment, Unit
from ostinato.exploration.exploring import explore_run
from ostinato.exploration.reaching import Reach, Reaching, reaching
from ostinato.exploration.standing import Standing, standing_points
from ostinato.exploration.track import Track
from ostinato.exploration.tracks import Tracking, track_run, tracks_of

__all__ = [
    "Ablating",
    "Ablation",
    "Attribution",
    "Continuing",
    "Exploration",
    "Moment",
    "Reach",
    "Reaching",
    "Standing",
    "Track",
    "Tracking",
    "Unit",
    "ablate_run",
    "attribute",
    "continue_run",
    "explore_run",
    "reaching",
    "standing_points",
    "track_run",
    "tracks_of",
]
