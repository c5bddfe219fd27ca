"""Diagnosis of next-step models."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from torch import Tensor

from ostinato.data.batching import Batch
from ostinato.layers.frame_decoder import previous_frames
from ostinato.probes.part import Part
from ostinato.probes.steps import at_steps, drawn_steps, step_subject
from ostinato.probes.subject import Subject
from ostinato.tasks.next_step.model import NextStep
from ostinato.tasks.probing import Reading
from ostinato.types import Ragged

_FEWER_ANSWERS = 4
"""Of a model whose notes have a recurrence each, so many times fewer frames are looked at."""


def parts(reading: Reading) -> list[Part]:
    """The encoder, on single frames."""
    fewer = _FEWER_ANSWERS if cast("NextStep", reading.model).states_per_row > 1 else 1  # a row for each note
    noun = reading.features.input.step_noun
    return [Part("", lambda count, seed: _frames(reading, -(-count // fewer), seed), noun)]


def answers(model: NextStep, batch: Batch) -> Tensor:
    """The nats of each frame given those before it, row after row."""
    return batch.inputs.with_values(model.nll(batch.inputs, batch.extra)).row_major()


def _frames(reading: Reading, count: int, seed: int) -> Subject:
    """Single frames."""
    model = cast("NextStep", reading.model)
    read, rows, steps = drawn_steps(reading.examples.sequences.lengths, count, seed)
    batch, found = reading.read(read)
    frames = model.laid(batch.inputs)
    before = at_steps(previous_frames(frames, frames.values.dtype), rows, steps)
    loss = _frame_loss(model, at_steps(frames, rows, steps), before)
    return step_subject(found["encoder"], rows, steps, loss, model.states_per_row)


def _frame_loss(model: NextStep, frames: Tensor, before: Tensor) -> Callable[[Ragged], Tensor]:
    """Nats of single frames, (M, C), after others; of a recurrence for each note from C rows a frame."""

    def loss(output: Ragged) -> Tensor:
        hidden = output.select_last()
        if model.states_per_row > 1:
            hidden = hidden.view(len(frames), -1, hidden.shape[1])
        return model.head.nll(model.frames.with_previous(hidden, before), frames)

    return loss
