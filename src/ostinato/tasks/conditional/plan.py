"""The portfolio of a conditional model: a configuration by what is written, with its evidence."""

from __future__ import annotations

from typing import Any

from ostinato.recipe import Recipe, TextRecipe
from ostinato.tasks.plan import ANNEALED, Plan, Shape

_ORDERS = {"words": 3, "subwords": 4, "characters": 5}
"""Of n-grams, by what is written."""

_TEXTS: dict[str, Any] = {
    **ANNEALED,
    "model.cell": "lstm",
    "model.hidden_size": 256,
    "model.embedding_std": 0.5,
    "model.hidden_dropout": 0.5,
    "training.batch_size": 64,
}
"""Names of a language, nats a letter of validation: with n-grams of 5 1.826, without 2.048 (`names-generate`, four of
its epochs)."""

_FRAMES: dict[str, Any] = {**ANNEALED, "model.cell": "gru", "training.batch_size": 16}


def plan(shape: Shape, recipe: Recipe) -> Plan:
    """By the unit of what is written."""
    target = recipe.features.target
    if not isinstance(target, TextRecipe):
        return Plan("frames", _FRAMES)
    unit = target.unit or "characters"
    return Plan(unit, {**_TEXTS, "model.ngrams": _ORDERS[unit]}, steps=1000)
