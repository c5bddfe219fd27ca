"""The portfolio of a language model: a configuration by what a token is, with its evidence."""

from __future__ import annotations

from typing import Any

from ostinato.recipe import Recipe
from ostinato.tasks.plan import Plan, Shape

_SMALL = 5_000_000
"""Tokens up to which long n-grams are counted; beyond, there are many of each, and tables grow with every length."""

_TEXT: dict[str, Any] = {
    "model.cell": "lstm",
    "model.embedding_dim": 64,
    "model.embedding_std": 1.0,
    "model.hidden_size": 256,
    "model.forget_bias": 1.0,
    "training.batch_size": 8,
    "training.bptt": 128,
    "training.learning_rate": 5e-3,
    "training.beta2": 0.99,
    "training.schedule": "cosine",
    "training.warmup_steps": 100,
    "training.refit": "solved",
}
"""On the last tenth of the book, 2,000 steps, bits a character: n-grams of 12 1.655, with dropout 0.1 at 3e-3
1.663; of 8 after 1,000 steps 1.708, of 6 1.764, both mixed in place of added 1.82; n-grams alone 1.787."""


def plan(shape: Shape, recipe: Recipe) -> Plan:
    """By what a token is, and how many there are."""
    unit = recipe.features.text.unit or "characters"
    longest = {"characters": 12}.get(unit, 4) if shape.steps <= _SMALL else {"characters": 6}.get(unit, 3)
    return Plan(f"text in {unit}", {**_TEXT, "model.ngrams": longest}, steps=500, epochs=10, minutes=5)
