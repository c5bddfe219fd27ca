"""Recurrent layers one step at a time, the state kept between calls: for data that arrives as it happens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ostinato.errors import BackendError, RecipeError, ShapeError
from ostinato.kernels import dispatch
from ostinato.kernels.native_stream import CoreStream, StreamedLayer, Tokens
from ostinato.nn.checks import check_positive
from ostinato.nn.modes import evaluating
from ostinato.nn.stack import RecurrentStack
from ostinato.types import State


class Stream:
    """Layers in evaluation, run step by step on `num_rows` sequences (sessions) at once.

    Where the layers run natively, weights are packed and all buffers made once, when the stream is made: a step calls
    the core once for all layers, and allocates its output alone. Elsewhere it runs the layers as they are. Both are the
    layers' own recurrence, so that streaming a sequence gives what reading it whole gives. Later changes of the weights
    are not seen by a native stream.

    `precision="int8"` rounds weights to 8 bits, w ≈ s_r q with a scale for each row r of a matrix, |q| ≤ 127, and every
    vector that meets them likewise, with a scale of its own; sums and state stay float32. It reads a quarter of the
    bytes, which is what bounds a layer larger than the caches. Loss of accuracy: docs/results.md. A layer's own
    `precision="bf16"` is not looked at: a native stream has full precision or int8.

    Args:
        layers: a stack, or stacks one upon the other; in one direction.
        num_rows: N, >= 1.
        precision: `full` or `int8` (the native core only, float32).

    Raises:
        RecipeError: if the layers can't be streamed.
        BackendError: if `int8` can't run.

    Example:
        >>> stream = Stream(RecurrentStack("gru", 3, 4), num_rows=2)
        >>> stream.step(torch.zeros(2, 3)).shape
        torch.Size([2, 4])
    """

    def __init__(
        self, layers: RecurrentStack | Sequence[RecurrentStack], num_rows: int = 1, *, precision: str = "full"
    ) -> None:
        self._stacks = [layers] if isinstance(layers, RecurrentStack) else list(layers)
        self.num_rows = num_rows
        self._core = core_stream(self._stacks, num_rows, precision)
        first = self._stacks[0]
        self.input_size, self.output_size = first.input_size, self._stacks[-1].output_size
        weight = next(first.parameters())
        self._like = weight.detach().new_empty(0)
        self._states: list[State] = []
        self.reset()

    @property
    def native(self) -> bool:
        """Whether the native core runs it."""
        return self._core is not None

    def step(self, x: Tensor, *, out: Tensor | None = None) -> Tensor:
        """(N, I) -> (N, P): the last layer's output; in `out`, (N, P), where that is given, else in fresh memory."""
        if x.shape != (self.num_rows, self.input_size) or x.dtype != self._like.dtype:
            raise ShapeError(
                f"`x` must be ({self.num_rows}, {self.input_size}) in {self._like.dtype}. "
                f"Received: {tuple(x.shape)} in {x.dtype}."
            )
        shape = (self.num_rows, self.output_size)
        output = self._like.new_empty(shape) if out is None else out
        if out is not None and (out.shape != shape or out.dtype != x.dtype or not out.is_contiguous()):
            raise ShapeError(
                f"`out` must be contiguous, {shape} in {x.dtype}. Received: {tuple(out.shape)} in {out.dtype}."
            )
        if self._core is None:
            return output.copy_(self._run_stacks(x.unsqueeze(0))[0])
        self._core.run(x.detach().contiguous().unsqueeze(0), output.unsqueeze(0))
        return output

    def run(self, x: Tensor) -> Tensor:
        """As many steps as `x` has: (L, N, I) -> (L, N, P)."""
        if x.dim() != 3 or x.shape[1:] != (self.num_rows, self.input_size) or x.dtype != self._like.dtype:
            raise ShapeError(
                f"`x` must be (L, {self.num_rows}, {self.input_size}) in {self._like.dtype}. "
                f"Received: {tuple(x.shape)} in {x.dtype}."
            )
        if self._core is None:
            return self._run_stacks(x)
        output = self._like.new_empty(len(x), self.num_rows, self.output_size)
        self._core.run(x.detach().contiguous(), output)
        return output

    @property
    def states(self) -> list[State]:
        """A copy of the state of each layer from the lowest up: `h`, or `h` and `c`, (N, features) each.

        Assigning a list of the same shape sets it: a session can be saved, and taken up again by another stream.
        """
        if self._core is not None:
            return self._core.states()
        return [tuple(part.clone() for part in state) for state in self._states]

    @states.setter
    def states(self, states: Sequence[State]) -> None:
        expected = [tuple(part.shape for part in state) for state in self.states]
        found = [tuple(part.shape for part in state) for state in states]
        if found != expected:
            raise ShapeError(f"the states must be shaped {_shapes(expected)}. Received: {_shapes(found)}.")
        if self._core is not None:
            self._core.set_states(states)
        self._states = [tuple(part.detach().to(self._like).clone() for part in state) for state in states]

    def reset(self) -> None:
        """Every row starts over, from zero."""
        zeros = [
            tuple(
                self._like.new_zeros(self.num_rows, size)
                for size in stack.cell.state_sizes(stack.hidden_size, stack.proj_size)
            )
            for stack in self._stacks
            for _ in range(stack.num_layers)
        ]
        self._states = zeros
        if self._core is not None:
            self._core.set_states(zeros)

    @torch.no_grad()
    def _run_stacks(self, x: Tensor) -> Tensor:
        states, after = list(self._states), []
        for stack in self._stacks:
            own = [states.pop(0) for _ in range(stack.num_layers)]
            hx = tuple(torch.stack(parts) for parts in zip(*own, strict=True))
            inner = x.transpose(0, 1) if stack.batch_first else x
            with evaluating(stack):
                inner, final = stack(inner, hx if len(hx) > 1 else hx[0])
            x = inner.transpose(0, 1) if stack.batch_first else inner
            parts = final if isinstance(final, tuple) else (final,)
            after += list(zip(*(part.unbind(0) for part in parts), strict=True))
        self._states = after
        return x


def core_stream(
    stacks: Sequence[RecurrentStack], num_rows: int, precision: str = "full", tokens: Tokens | None = None
) -> CoreStream | None:
    """The native stream of these layers, or None where they run otherwise.

    Raises:
        RecipeError: if they can't be streamed.
        BackendError: if `int8` can't run.
    """
    check_positive(num_rows=num_rows)
    if precision not in ("full", "int8"):
        raise RecipeError(f"`precision` of a stream must be full or int8. Received: {precision!r}.")
    for stack in stacks:
        if stack.bidirectional:
            raise RecipeError("a bidirectional layer can't be streamed: it reads from the end, which has not come yet.")
    weight = next(stacks[0].parameters())
    chosen = {dispatch.choose(stack.backend, stack.cell, weight.device, weight.dtype).name for stack in stacks}
    if chosen == {"native"} and (precision == "full" or weight.dtype == torch.float32):
        return CoreStream([layer for stack in stacks for layer in _layers(stack)], num_rows, precision, tokens)
    if precision == "int8":
        raise BackendError(
            "`precision` = int8 streams in the native core from float32 weights only. "
            f"Received: {weight.dtype} on backend {', '.join(sorted(chosen))}."
        )
    return None


def _layers(stack: RecurrentStack) -> list[StreamedLayer]:
    names = stack.cell.parameter_shapes(1, stack.hidden_size, stack.proj_size, stack.bias)
    return [
        StreamedLayer(stack.cell, dict(zip(names, weights, strict=True)), stack.zoneout)
        for weights in stack.all_weights
    ]


def _shapes(shapes: Sequence[Sequence[torch.Size]]) -> str:
    return ", ".join(str(tuple(shape)) for state in shapes for shape in state)
