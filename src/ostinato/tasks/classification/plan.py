"""The portfolio of a classifier: a configuration by the shape of its data, each with its evidence."""

from __future__ import annotations

from typing import Any

from ostinato.recipe import Recipe
from ostinato.tasks.plan import Plan, Shape

_ANNEALED = {"training.schedule": "cosine", "training.learning_rate": 3e-3}

_SERIES: dict[str, Any] = {
    **_ANNEALED,
    "model.cell": "gru",
    "model.hidden_size": 16,
    "model.bidirectional": True,
    "model.pooling": ["last", "max", "mean"],
    "model.convolution.channels": [64, 128, 64],
    "training.batch_size": 16,
}
"""Vectors a step."""


def plan(shape: Shape, recipe: Recipe) -> Plan:
    """By what a step is, and how many rows there are."""
    last: dict[str, Any] = {"training.keep": "last"} if shape.is_small else {}
    if shape.form == "vectors":
        return Plan("series", {**_SERIES, **last}, steps=500 + 50 * shape.classes)
    return Plan("rows", {**_ANNEALED, **last})
