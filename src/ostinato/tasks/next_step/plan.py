"""The portfolio of next-step models: a configuration by what frames hold, with its evidence."""

from __future__ import annotations

from typing import Any

from ostinato.recipe import Recipe
from ostinato.tasks.plan import ANNEALED, Plan, Shape

_MANY_FRAMES = 30_000
"""From which notes have states of their own."""
_CUT, _BATCH, _EPOCHS, _STEPS = 150, 4, 10, 500
"""Of notes: frames of a piece at once, pieces a step, epochs and steps at least."""

_NOTES: dict[str, Any] = {
    **ANNEALED,
    "training.learning_rate": 1e-2,
    "training.batch_size": _BATCH,
    "training.max_norm": 5,
    "model.notes.output": "autoregressive",
    "model.notes.output_size": 128,
    "model.notes.output_dropout": 0.3,
}
"""Validation of JSB's chorales, ten epochs, nats a frame: 4.80, with independent notes 8.15."""

_FRAMES: dict[str, Any] = {
    "model.cell": "lstm_layer_norm",
    "model.hidden_size": 256,
    "model.hidden_dropout": 0.5,
    "model.recurrent_dropout": 0.3,
}
"""The chorales (14,000 frames): 4.80, with a state for each note 5.19 after five of ten epochs; notes independent, 8.15
and 8.25."""

_EACH_NOTE: dict[str, Any] = {
    "model.recurrence": "note",
    "model.cell": "lstm",
    "model.hidden_size": 48,
    "model.hidden_dropout": 0.1,
    "model.cut_frames": _CUT,
}
"""Piano-midi.de (75,000 frames), notes independent, 500 steps: 7.65, with one state for whole frames 8.31."""

_NUMBERS: dict[str, Any] = {
    **ANNEALED,
    "training.learning_rate": 5e-3,
    "training.batch_size": 16,
    "model.cell": "gru",
    "model.hidden_size": 128,
    "model.hidden_dropout": 0.2,
    "model.numbers.components": 5,
}
"""Validation, nats a step, 500 steps: synthetic control 0.898, without dropout and at 3e-3 0.908, LSTM 0.928, 64 units
and one component 0.961, defaults 0.968; ECG200 -0.354, -0.329, -, -0.219, -0.055."""


def plan(shape: Shape, recipe: Recipe) -> Plan:
    """By what a frame holds, and of notes how many frames there are."""
    if recipe.features.input.kind != "notes":
        return Plan("frames of numbers", _NUMBERS)
    if shape.steps < _MANY_FRAMES:
        return Plan("notes, read by frames", {**_NOTES, **_FRAMES})
    steps = max(_STEPS, _EPOCHS * shape.steps // (_CUT * _BATCH))
    return Plan("notes, a state for each", {**_NOTES, **_EACH_NOTE}, steps=steps)
