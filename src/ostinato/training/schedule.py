"""The learning rate over a run."""

from __future__ import annotations

import math

from ostinato.recipe import TrainingRecipe


def learning_rate(recipe: TrainingRecipe, step: int, progress: float) -> float:
    """The rate of a step.

    Linear warm-up over `warmup_steps`, times, by `schedule`, with p the share of the budget that is spent:
    constant 1 · linear 1 - p · cosine (1 + cos(pi p)) / 2 (Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5).

    Args:
        step: steps done before, from 0.
        progress: p in 0..1.
    """
    p = min(max(progress, 0.0), 1.0)
    decay = {"constant": 1.0, "linear": 1.0 - p, "cosine": 0.5 * (1.0 + math.cos(math.pi * p))}[recipe.schedule]
    warm = min(1.0, (step + 1) / recipe.warmup_steps) if recipe.warmup_steps else 1.0
    return recipe.learning_rate * warm * decay
