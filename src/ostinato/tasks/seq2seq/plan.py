"""The portfolio of a sequence-to-sequence model: a configuration by what is read and written, with its evidence."""

from __future__ import annotations

from typing import Any

from ostinato.recipe import Recipe, TextRecipe
from ostinato.tasks.plan import ANNEALED, Plan, Shape

_MANY = 5_000
"""Rows from which words that occur once are left out of a vocabulary: most of a step's cost is its size."""
_LONG = 100
"""Steps of a typical row up to which translations are looked up for each of its steps."""
_ORDERS = {"words": 3, "subwords": 4, "characters": 5}
"""Of n-grams, by what is written."""
_TRANSLATIONS = 12
_MINUTES = 5

_PAIRS: dict[str, Any] = {
    "model.cell": "lstm",
    "model.bidirectional": True,
    "model.forget_bias": 1.0,
    "model.embedding_std": 0.3,
    "model.hidden_dropout": 0.2,
    "model.head_dropout": 0.2,
    "model.tie_embeddings": True,
    "training.batch_size": 32,
    "training.schedule": "cosine",
    "training.warmup_steps": 50,
    "training.learning_rate": 4e-3,
    "training.refit": "solved",
}
"""With n-grams and translations, in words: 25,200 captions, English to French, four and a half minutes of one thread,
greedy, on the others of the training part: BLEU 33.7; the same network alone 12.7, in 3,000 subwords 22.6 (batches of
64, untied). After 75 seconds in batches of 64 27.5, of 32 30.8 (tied); as it is, five minutes, 37.3. Reversed strings
and dates: all exact."""


def plan(shape: Shape, recipe: Recipe) -> Plan:
    """By the units of what is read and written, and how many rows there are."""
    target = recipe.features.target
    if not isinstance(target, TextRecipe):
        return Plan("frames", {**ANNEALED, "model.bidirectional": True}, minutes=_MINUTES)
    unit = target.unit or "characters"
    options = {**_PAIRS, "model.ngrams": _ORDERS[unit]}
    if shape.form == "ids" and shape.typical <= _LONG:
        options["model.decoder.lexicon"] = _TRANSLATIONS
    sides = {"input": recipe.features.input, "target": target} if shape.rows >= _MANY else {}
    rare = {
        f"features.{name}.min_frequency": 2
        for name, side in sides.items()
        if isinstance(side, TextRecipe) and side.unit == "words"
    }
    return Plan(unit, {**options, **rare}, steps=2000, epochs=40, minutes=_MINUTES, reread=bool(rare))
