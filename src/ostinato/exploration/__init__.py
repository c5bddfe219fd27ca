"""What the units of a recurrent network do, step by step, on real data."""

from ostinato.exploration.continuing import Continuing, continue_run
from ostinato.exploration.exploration import Exploration, Moment, Unit
from ostinato.exploration.exploring import explore_run
from ostinato.exploration.track import Track
from ostinato.exploration.tracks import Tracking, track_run, tracks_of

__all__ = [
    "Continuing",
    "Exploration",
    "Moment",
    "Track",
    "Tracking",
    "Unit",
    "continue_run",
    "explore_run",
    "track_run",
    "tracks_of",
]
