"""What the units of a recurrent network do, step by step, on real data."""

from ostinato.exploration.exploration import Exploration, Moment, Unit
from ostinato.exploration.exploring import explore_run

__all__ = ["Exploration", "Moment", "Unit", "explore_run"]
