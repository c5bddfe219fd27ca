"""Truncated BPTT on streams of sequences, for any model that can continue from a state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor

from ostinato.bptt.reach import Reach
from ostinato.bptt.updates import Chunk, Update, fixed_updates, random_lengths, random_updates, with_losses
from ostinato.data.streams import Layout, Tapes, Window
from ostinato.errors import RecipeError, RunError
from ostinato.nn.recompute import chunk_steps, recompute_chunks
from ostinato.recipe import BpttRecipe
from ostinato.types import State

Step: TypeAlias = Callable[[Window, list[State]], tuple[Tensor, list[State]]]
"""(window, the state of each layer before each piece, (D, P, H)) -> (sum of the window's losses, states after it)."""

_LAGS = 32


class TruncatedBPTT:
    """Backpropagation through time over windows of streams, state carried and detached between updates.

    For any model with a loss at each step (language model, tagging, forecasting), or at the end of each sequence
    (classification): `step` says what a window's losses are. Memory is that of k2 steps, however long the sequences.

    The gradient of an update is that of the mean of its losses. Where their number varies by chance (at the end of each
    sequence; random truncation) it is that of their sum divided by the number an update has on average, so that every
    loss weighs the same.

    Args:
        layout: the tapes of an epoch.
        recipe: window k1, reach k2, whether state is carried, truncation.
        step: runs the model over a window's pieces, each a row.
        zero_states: the state of each layer before the first step, for a number of rows.
        losses: where they are: at each `step`, or at the `end` of each sequence; windows without one are read without
            gradients.
        recompute: compute activations again in the backward pass, but for sqrt(k1) of the steps of a window.
        seed: of random truncation.

    Raises:
        RecipeError: without a window (whole sequences need no streams), or for options that `losses` rules out.

    Example:
        >>> from ostinato.data.streams import Tapes
        >>> from ostinato.recipe.training import BpttRecipe
        >>> layer, head = nn.RNN(3, 4), torch.nn.Linear(4, 5)
        >>> values, tags = np.zeros((100, 3), np.float32), np.zeros(100, np.int64)  # ten rows of ten steps
        >>> offsets = np.arange(0, 101, 10)
        >>> def step(window, states):
        ...     output, h = layer(window.take(values), states[0][0])
        ...     return F.cross_entropy(head(output.values), window.take(tags).values, reduction="sum"), [(h,)]
        >>> training = TruncatedBPTT(
        ...     lambda epoch: Tapes.of_rows(offsets, np.arange(10), num_streams=2), BpttRecipe(window=4), step,
        ...     zero_states=lambda n: [(torch.zeros(1, n, 4),)])
        >>> for update in training.batches(epoch=0):
        ...     loss, num_steps = training.backward(update)  # then a step of an optimiser
    """

    def __init__(
        self,
        layout: Layout,
        recipe: BpttRecipe,
        step: Step,
        zero_states: Callable[[int], list[State]],
        losses: Literal["step", "end"] = "step",
        *,
        recompute: bool = False,
        seed: int = 0,
    ) -> None:
        _check(recipe, losses)
        self.recipe = recipe
        self._layout, self._step, self._zero_states = layout, step, zero_states
        self._losses, self.recompute, self._seed = losses, recompute, seed
        first = layout(0)
        self.num_streams = first.num_streams
        self.num_batches, self._usual_losses = self._count_updates(first)
        self.reach = Reach(recipe)
        self._carried = zero_states(self.num_streams)
        self._number = self._begin = 0
        self._tapes = first

    @property
    def length(self) -> int:
        """Steps of the longest stream."""
        return self._tapes.length

    def try_steps(self, num_steps: int) -> Tensor:
        """The loss of the first steps, and the graph behind it; random generators stay as they were."""
        with torch.random.fork_rng():
            return self._through(self._tapes.window(0, num_steps), self._zero_states(self.num_streams))[0]

    def batches(self, epoch: int, start: int = 0) -> Iterator[Update]:
        """The updates of an epoch; `start` > 0: from where the last one, or what was restored, ended."""
        if start == 0:
            self._carried, self._number, self._begin = self._zero_states(self.num_streams), 0, 0
        self._tapes = tapes = self._layout(epoch)
        if self.recipe.truncation == "random":
            updates = random_updates(tapes, self.recipe, self._random_lengths(tapes, epoch))
            for _ in range(self._number):
                next(updates)
        else:
            updates = fixed_updates(tapes, self.recipe, self._begin, self._number, self.reach)
        return with_losses(updates, lambda window: self._num_losses(window) > 0)

    def backward(self, update: Update) -> tuple[float, int]:
        """Add the gradients of an update's mean loss; returns that loss, and the number of steps read.

        Raises:
            RunError: if the update does not begin where the state is carried from.
        """
        if self.recipe.carry_state and update.start != self._begin:
            raise RunError(
                f"the state is carried on from step {self._begin}, but the window begins at step {update.start}.",
                hint="take windows in the order of `batches`, not shuffled, or set carry_state: false",
            )
        states = self._carried if self.recipe.carry_state else self._zero_states(self.num_streams)
        losses: list[Tensor] = []
        for chunk in update.chunks:
            loss, states = self._run(chunk, states)
            if chunk.counts:
                losses.append(loss)
            if chunk.carries:
                self._carried = detach(states)
        total = torch.stack(losses).sum()
        count = sum(self._num_losses(chunk.window) for chunk in update.chunks if chunk.counts)
        (total / (self._usual_losses or count)).backward()  # type: ignore[no-untyped-call]
        self._number, self._begin = update.number + 1, update.after
        self.reach.seen(self._decay)
        return float(total.detach()) / count, update.num_steps

    def carried(self) -> dict[str, Tensor]:
        """Everything that the next update depends on, by name."""
        found = {f"state.{i}.{j}": part for i, state in enumerate(self._carried) for j, part in enumerate(state)}
        return {**found, "plan": torch.tensor([self._number, self._begin, *self.reach.saved])}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `carried` returned."""
        self._carried = [
            tuple(tensors[f"state.{i}.{j}"].to(part.device) for j, part in enumerate(state))
            for i, state in enumerate(self._carried)
        ]
        self._number, self._begin, *numbers = (int(number) for number in tensors["plan"])
        self.reach.saved = numbers

    def _run(self, chunk: Chunk, states: list[State]) -> tuple[Tensor, list[State]]:
        if not chunk.learns:
            with torch.no_grad():  # through a copy, so that the update, which holds them all, keeps none of its indices
                return self._through(replace(chunk.window), states)
        if chunk.scale != 1.0:
            states = [tuple(_scaled(part, chunk.scale) for part in state) for state in states]
        if self.recompute:
            steps = chunk_steps(chunk.window.stop - chunk.window.start)
            return recompute_chunks(self._through, states, chunk.window.split(steps))
        return self._through(chunk.window, states)

    def _through(self, window: Window, states: list[State]) -> tuple[Tensor, list[State]]:
        """A window, from the states of the streams before it to those after it."""
        loss, finals = self._step(window, window.enter(states))
        return loss, window.leave(states, finals)

    def _num_losses(self, window: Window) -> int:
        return window.num_steps if self._losses == "step" else int(window.pieces.ends.sum())

    def _count_updates(self, tapes: Tapes) -> tuple[int, float | None]:
        """Updates of an epoch, and how many losses one has on average where that is what to divide by."""
        k1 = self.recipe.window or tapes.length
        pieces = tapes.pieces
        ends = (pieces.at + np.maximum(pieces.lengths, 1) - 1) // k1 if self._losses == "end" else None
        if self.recipe.truncation == "random":
            stops = np.cumsum(self._random_lengths(tapes, 0))
            count = len(stops) if ends is None else len(np.unique(np.searchsorted(stops, ends, side="right")))
            return count, max(1.0, (int(pieces.lengths.sum()) if ends is None else len(ends)) / max(count, 1))
        if ends is None:
            return -(-tapes.length // k1), None
        count = len(np.unique(ends))
        return count, max(1.0, len(ends) / max(count, 1))

    def _random_lengths(self, tapes: Tapes, epoch: int) -> list[int]:
        num_windows = -(-tapes.length // (self.recipe.window or tapes.length))
        return random_lengths(num_windows, self.recipe, np.random.default_rng([self._seed, epoch, 1]))

    def _decay(self) -> tuple[Sequence[float], int]:
        """The norm of the gradient of some losses by the state at growing lags before them, on the steps to come."""
        step = max(1, (self.recipe.reach or 1) // _LAGS)
        begin = min(self._begin, max(0, self._tapes.length - (_LAGS + 1) * step))
        states, seen, loss = detach(self._carried), list[list[State]](), torch.zeros(())
        with torch.random.fork_rng():
            for lag in range(_LAGS + 1):
                states = [tuple(part.requires_grad_() if part.is_leaf else part for part in state) for state in states]
                seen.append(states)
                window = self._tapes.window(begin + lag * step, begin + (lag + 1) * step)
                loss, states = self._through(window, states)
        flat = [part for each in seen for state in each for part in state]
        gradients = torch.autograd.grad(loss, flat, allow_unused=True)
        squares = [0.0 if gradient is None else float(gradient.square().sum()) for gradient in gradients]
        width = len(flat) // len(seen)
        norms = [sum(squares[i : i + width]) ** 0.5 for i in range(0, len(squares), width)]
        return norms[::-1], step


def _scaled(values: Tensor, scale: float) -> Tensor:
    return cast("Tensor", _Scaled.apply(values, scale))  # type: ignore[no-untyped-call]


class _Scaled(torch.autograd.Function):
    """The same values; their gradient times a number."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.scale, None


def _check(recipe: BpttRecipe, losses: str) -> None:
    if recipe.window is None:
        raise RecipeError("`training.bptt.window` must be a number of steps here. Received: none.")
    if losses == "end" and not recipe.carry_state:
        raise RecipeError(
            "`training.bptt.carry_state` must be true where the loss comes at the end of a sequence: without it the "
            "model would see the last window only. Received: false."
        )
    if losses == "end" and recipe.truncation == "adaptive":
        raise RecipeError(
            "`training.bptt.truncation: adaptive` needs a loss at each step, not at the end of a sequence."
        )


def detach(states: list[State]) -> list[State]:
    """The same states without a history: gradients end at the window's start (truncated BPTT)."""
    return [tuple(tensor.detach() for tensor in state) for state in states]
