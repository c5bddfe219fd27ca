"""The portfolio of a tagger: a configuration by what a step is, each with its evidence."""

from __future__ import annotations

from typing import Any

from ostinato.recipe import Recipe
from ostinato.tasks.plan import ANNEALED, Plan, Shape

_BOTH_WAYS: dict[str, Any] = {**ANNEALED, "model.bidirectional": True, "training.batch_size": 8}
"""Any steps."""

_WORDS: dict[str, Any] = {
    **_BOTH_WAYS,
    "features.input.characters": True,
    "model.embedding_dim": 100,
    "model.input_dropout": 0.4,
    "model.hidden_dropout": 0.4,
    "model.unknown_words": 0.5,
}
"""Words, whose characters tell unknown ones: on a third held out of 1,500 sentences of `ewt` 91.1 %, the most frequent
tag of each word 81.3."""

_PROTEIN: dict[str, Any] = {
    **_BOTH_WAYS,
    "features.input.encoding": "shares",
    "features.input.scales": True,
    "model.cell": "gru",
    "model.input_dropout": 0.1,
    "model.hidden_dropout": 0.2,
}
"""Amino acids: on a third held out of 400 proteins 66.4 % (Q3) after 1,000 steps, 65.7 after 500,
the most frequent tag of each 49.2."""

_BY_KIND = {"tokens": ("words", _WORDS, 500), "protein": ("protein", _PROTEIN, 1000)}
"""Their names, options and steps."""


def plan(shape: Shape, recipe: Recipe) -> Plan:
    """By what a step is."""
    name, options, steps = _BY_KIND.get(recipe.features.input.kind, ("steps", _BOTH_WAYS, 500))
    return Plan(name, options, steps=steps, reread=any(key.startswith("features.") for key in options))
