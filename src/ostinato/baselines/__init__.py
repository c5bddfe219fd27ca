"""Is recurrence worth it here? Simple methods that a trained model has to beat on its own data."""

from ostinato.baselines.found import BASELINES_FILE, Baselines

__all__ = ["BASELINES_FILE", "Baselines"]
