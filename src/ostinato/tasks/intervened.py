"""A model some of whose units or gates are changed while it predicts or writes, whatever its task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.cells import Cell, Weights
from ostinato.errors import RecipeError, RunError
from ostinato.kernels import reference
from ostinato.kernels.directions import by_direction
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.nn.layer_runs import LAYER_RUNS
from ostinato.nn.stack import RecurrentStack
from ostinato.tasks.edited_layers import changed_step
from ostinato.tasks.intervening import Edit, Edits, active, later, steps_alike
from ostinato.tasks.streaming import Answer, Read, Reading, StreamingModel, Writing, WritingModel, Written
from ostinato.types import Ragged, State

StreamingT = TypeVar("StreamingT", bound=StreamingModel)


@contextmanager
def intervening(encoder: RecurrentEncoder, edits: Sequence[Edit], start: int = 0) -> Iterator[None]:
    """While it lasts the layers of an encoder, in evaluation, run step by step, changed; in this thread.

    Args:
        encoder: of the model.
        edits: of `layer 1`, `layer 1 reverse`, …; with none that changes anything the layers run as they are.
        start: the number of the first step that the layers read: -1 where they read one before a row's first.

    Raises:
        RecipeError: for a part or a unit that is not there, or a step that a direction can't begin at.
    """
    stacks = cast("list[RecurrentStack]", list(encoder.layers))
    names = [f"layer {n}{way}" for n, stack in enumerate(stacks, 1) for way in ("", " reverse")[: stack.num_directions]]
    shapes = [
        (stack.cell, stack.cell.state_sizes(stack.hidden_size, stack.proj_size), stack.hidden_size)
        for stack in stacks
        for _ in range(stack.num_directions)
    ]
    made = Edits(edits, shapes, names)
    for edit in edits:
        if edit.begin and " reverse." in edit.part:
            raise RecipeError(
                f"`{edit.part}` reads from a row's end, so that it is changed at every step: leave out `from`. "
                f"Received: from {edit.begin}."
            )
    if not any(edit.changes for edit in edits):
        yield
        return
    runs, first = dict[Any, Any](), 0
    for stack in stacks:
        runs[stack] = _ChangedRun(stack, first, made, start)
        first += stack.num_directions
    token = LAYER_RUNS.set(runs)
    try:
        yield
    finally:
        LAYER_RUNS.reset(token)


def encoder_of(model: object) -> RecurrentEncoder:
    """Raises `RunError` for a model without an encoder that reads its input."""
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, RecurrentEncoder):
        raise RunError("this model has no single encoder whose states could be followed.")
    if not getattr(encoder.embedding, "reads_steps", True):
        raise RunError("this model has a state for each segment of steps: there is none at each step to follow.")
    return encoder


def read_changed(model: StreamingModel, reading: Reading, edits: Sequence[Edit]) -> Read:
    """What a model reads and answers, changed from a step on."""
    state, said, at = reading.state, list[Answer](), 0
    while at < len(reading.steps):
        some = steps_alike(edits, len(reading.steps) - at)
        last = at + some == len(reading.steps)
        piece = reading.steps.cut(at, at + some)
        asked = reading.answers if last or reading.answers == "each" else "none"
        (found,) = _changed(model, edits).read([Reading(piece, state, asked)])
        state, said, at, edits = found.state, [*said, *found.answers], at + some, later(edits, some)
    return Read(state, said)


def write_changed(model: WritingModel, writing: Writing, edits: Sequence[Edit], at_once: int) -> Iterator[Written]:
    """What a model writes, changed from a step on, at most so many steps at a time."""
    left = writing.max_new_tokens
    while left:
        some = steps_alike(edits, min(left, at_once))
        (found,) = _changed(model, edits).write([replace(writing, max_new_tokens=some)])
        yield found
        if found.ended:
            return
        writing = replace(writing, state=found.state, drawn=found.drawn)
        left, edits = left - some, later(edits, some)


def _changed(model: StreamingT, edits: Sequence[Edit]) -> StreamingT:
    now = active(edits)
    return model.changed(now) if now else model


class _ChangedRun:
    """As `dispatch.layer`, of one stack: by the plain loop. Steps are counted on where a call goes on from a state."""

    def __init__(self, stack: RecurrentStack, first: int, edits: Edits, start: int) -> None:
        self._stack, self._first, self._edits = stack, first, edits
        self._start = self._at = start

    def begin(self) -> None:
        """Rows start over."""
        self._at = self._start

    def __call__(
        self,
        requested: str,
        cell: Cell,
        batch: Ragged,
        states: Sequence[State],
        weights: Sequence[Weights],
        noise: object = None,
        all_states: bool = False,
        precision: str = "full",
        table: Tensor | None = None,
    ) -> tuple[Tensor, list[State], list[State]]:
        """The same arguments and results; in full precision."""
        if table is not None:
            batch = batch.with_values(F.embedding(batch.values, table))
        layers = iter(range(self._first, self._first + len(states)))

        def scan(cell: Cell, values: Tensor, batch_sizes: Tensor, state: State, own: Weights, **options: Any) -> Any:
            layer = next(layers)

            def make(number: int, x: Tensor, before: State) -> State:
                return self._step(self._edits.at(self._at + number), layer, x, before, own)

            return reference.scan_sums(cell, cell.project(values, own), batch_sizes, state, own, make=make, **options)

        found = by_direction(scan, cell, batch, states, weights, {"all_states": all_states})
        self._at += len(batch.batch_sizes)
        return found

    def _step(self, edits: Edits, layer: int, x: Tensor, before: State, weights: Weights) -> State:
        changed = changed_step(self._stack, edits, layer, x, before, weights, range(len(x)))
        return tuple(torch.split(changed, [part.shape[1] for part in before], dim=1))
