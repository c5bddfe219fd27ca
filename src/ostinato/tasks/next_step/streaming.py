"""A next-step model in sessions: what each frame cost, what is expected next, and frames drawn from where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.arrays import Array
from ostinato.data.dataset import Features
from ostinato.errors import RecipeError
from ostinato.nn.rowwise import rowwise
from ostinato.recipe import Recipe
from ostinato.tasks.encoder_streaming import EncoderStreaming, first_answer
from ostinato.tasks.frames.sampling import as_values
from ostinato.tasks.next_step.model import NextStep
from ostinato.tasks.signature import TensorSpec, float_name
from ostinato.tasks.streaming import Answer, Reading, Steps, Writing, WritingModel, Written, no_stream

_SEEDS = 1_000_003


class NextStepStreaming(EncoderStreaming, WritingModel):
    """`{"nll"}` of each frame in nats, `{"expected"}` of the next one. Before the first frame stands one of zeros.

    Frames are drawn by a generator of their own each, seeded by (seed, number), so that a session can be cut anywhere;
    `generate` with the same seed draws others.
    """

    def __init__(self, model: NextStep, features: Features, recipe: Recipe) -> None:
        if model.states_per_row > 1:
            raise no_stream("each note has a recurrence of its own")
        dtype, width = float_name(model), model.frames.values
        own = [TensorSpec("hidden", dtype, (model.encoder.output_size,)), TensorSpec("frame", dtype, (width,))]
        super().__init__(model, features, recipe, model.encoder, own)
        self._frames, self._width = model.frames, width
        self._head: Any = rowwise(model.output)
        self._zero = super().read([Reading(Steps(np.zeros((1, width), self.dtype)), super().zero(), "none")])[0].state

    def zero(self) -> Array:
        return self._zero.copy()

    def _vectors(self, values: Array) -> Tensor:
        return self._floats(values)

    def _floats(self, values: Array) -> Tensor:
        """(L, C) as the model reads frames; those of floats are read already."""
        given = torch.from_numpy(np.ascontiguousarray(values))
        like = torch.from_numpy(np.zeros(0, self.dtype)).dtype
        return given if given.dtype == like else self._frames.floats(given, like)

    def answer(self, batch: Sequence[Reading], hidden: list[Tensor], own: Tensor) -> tuple[list[list[Answer]], Tensor]:
        kept, answers = own.clone(), list[list[Answer]]()
        for row, (one, read) in enumerate(zip(batch, hidden, strict=True)):
            frames = self._floats(one.steps.values)
            answers.append(self._answers(one, frames, read, own[row]) if len(read) else [])
            if len(read):
                kept[row] = torch.cat([read[-1], frames[-1]])
        return answers, kept

    def _answers(self, one: Reading, frames: Tensor, read: Tensor, own: Tensor) -> list[Answer]:
        size = len(own) - self._width
        known = self._frames.with_previous(
            torch.cat([own[:size].unsqueeze(0), read[:-1]]), torch.cat([own[size:].unsqueeze(0), frames[:-1]])
        )
        asked = range(first_answer(one, len(frames)), len(frames))
        each = [self._head.nll(known[at : at + 1], frames[at : at + 1]) for at in asked]
        return [{"nll": float(nll)} for nll in each]

    @torch.inference_mode()
    def peek(self, state: Array) -> Answer:
        """The frame that is expected next."""
        found = as_values(self.features.input, self._frames.stored(self._head.point(self._next(state))))
        return {"expected": next(iter(self.features.input.decode(found)))}

    def _next(self, state: Array) -> Tensor:
        """(1, H): what is known of the next frame."""
        own = torch.from_numpy(state[self._layers.state_size :].copy()).unsqueeze(0)
        return self._frames.with_previous(own[:, : -self._width], own[:, -self._width :])

    @torch.inference_mode()
    def write(self, batch: Sequence[Writing]) -> list[Written]:
        """Frames drawn one after the other, each read before the next."""
        for one in batch:
            _check(one)
        states, drawn = [one.state for one in batch], [list[Tensor]() for _ in batch]
        for number in range(max((one.max_new_tokens for one in batch), default=0)):
            going = [row for row, one in enumerate(batch) if number < one.max_new_tokens]
            for row in going:
                seed = batch[row].seed * _SEEDS + batch[row].drawn + number
                generator = torch.Generator().manual_seed(seed)
                frame = self._head.sample(self._next(states[row]), generator, batch[row].temperature)
                drawn[row].append(frame.to(torch.from_numpy(states[row]).dtype))
            pieces = [Reading(Steps(drawn[row][-1].numpy()), states[row], "none") for row in going]
            for row, after in zip(going, self.read(pieces), strict=True):
                states[row] = after.state
        found = zip(batch, states, drawn, strict=True)
        return [self._written(one, state, torch.cat(frames)) for one, state, frames in found]

    def _written(self, one: Writing, state: Array, frames: Tensor) -> Written:
        pieces = self.features.input.decode(as_values(self.features.input, self._frames.stored(frames)))
        return Written(state, Steps(frames.numpy()), list(pieces), one.drawn + len(frames))


def _check(one: Writing) -> None:
    if one.max_new_tokens < 1:
        raise RecipeError(f"`max_new_tokens` must be a positive integer. Received: {one.max_new_tokens}.")
    if not one.temperature >= 0:
        raise RecipeError(f"`temperature` must not be negative. Received: {one.temperature:g}.")
    for name, neutral in (("top_k", None), ("top_p", 1.0)):
        if getattr(one, name) != neutral:
            raise RecipeError(f"`{name}` does not apply to a next-step model.")
