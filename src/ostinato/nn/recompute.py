r"""Trading time for memory: what the backward pass needs of a stretch of steps is computed again when it gets there.

Of L steps in chunks of about :math:`\sqrt{L}`, only the states between chunks are kept, and the activations of one
chunk at a time: memory grows as :math:`\sqrt{L}` for one more forward pass. Source: T. Chen, B. Xu, C. Zhang and C.
Guestrin, "Training Deep Nets with Sublinear Memory Cost" (2016), arXiv:1604.06174, section 4; through time: A. Gruslys
et al., "Memory-Efficient Backpropagation Through Time", NeurIPS 2016.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ostinato.cells import Cell, Weights
from ostinato.errors import ShapeError
from ostinato.kernels import dispatch, native
from ostinato.kernels.noise import Noise
from ostinato.nn.checks import check_positive
from ostinato.types import Ragged, State

ChunkT = TypeVar("ChunkT")
StepFunction = Callable[[list[Tensor], list[State]], tuple[Tensor, list[State]]]


def recompute_through_time(
    function: StepFunction, states: Sequence[State], sequences: Sequence[Tensor], num_steps: int | None = None
) -> tuple[Tensor, list[State]]:
    """The sum of a loss over a long sequence, whose whole backward pass needs memory for about sqrt(L) of its steps.

    For that the loss must lie inside: scores of all steps, kept for a loss outside, would grow with L themselves.
    Gradients are exact, those of one backward pass through all steps. Draws inside `function` are repeated as they
    were; a mask that `function` draws once a call is drawn once a chunk.

    Args:
        function: (part of each sequence, states) -> (summed loss of the part, states after it).
        states: at the beginning.
        sequences: (L, ...) each, cut along their first axis; such as ids and targets.
        num_steps: of a chunk, >= 1; sqrt(L), rounded up, by default.

    Returns:
        the sum of all losses, and the final states.

    Raises:
        ShapeError: if there is no step, or the sequences differ in length.
        RecipeError: if `num_steps` is no positive integer.

    Example:
        >>> layer = torch.nn.GRU(3, 4)
        >>> def loss(parts, states):
        ...     output, h = layer(parts[0], states[0][0])
        ...     return output.square().sum(), [(h,)]
        >>> total, _ = recompute_through_time(loss, [(torch.zeros(1, 2, 4),)], [torch.randn(100, 2, 3)])
        >>> total.shape
        torch.Size([])
    """
    lengths = {len(sequence) for sequence in sequences}
    if len(lengths) != 1 or 0 in lengths:
        raise ShapeError(
            f"`sequences` must have the same number of steps, at least one. Received: {[len(s) for s in sequences]}."
        )
    if num_steps is not None:
        check_positive(num_steps=num_steps)
    length = lengths.pop()
    size = chunk_steps(length) if num_steps is None else num_steps
    # one split, whose gradient is one concatenation; that of a slice is as long as the sequence, for every chunk
    chunks = list(zip(*(torch.split(sequence, size) for sequence in sequences), strict=True))
    return recompute_chunks(lambda chunk, before: function(list(chunk), before), states, chunks)


def recompute_chunks(
    function: Callable[[ChunkT, list[State]], tuple[Tensor, list[State]]],
    states: Sequence[State],
    chunks: Sequence[ChunkT],
) -> tuple[Tensor, list[State]]:
    """As `recompute_through_time`, with the sequences cut up already, in whatever form `function` takes its part."""
    counts = [len(state) for state in states]
    flat = [part for state in states for part in state]
    losses = []
    with native.large_buffers_apart():
        for chunk in chunks:

            def run(*before: Tensor, chunk: ChunkT = chunk) -> tuple[Tensor, ...]:
                loss, after = function(chunk, _split(before, counts))
                return loss, *(part for state in after for part in state)

            loss, *flat = _checkpoint(run, *flat, draws=True)
            losses.append(loss)
    return torch.stack(losses).sum(), _split(flat, counts)


def run_layer(
    requested: str,
    cell: Cell,
    batch: Ragged,
    states: Sequence[State],
    weights: Sequence[Weights],
    noise: Sequence[Noise | None],
    all_states: bool,
    precision: str,
    table: Tensor | None,
) -> tuple[Tensor, list[State], list[State]]:
    """As `dispatch.layer`, but that only input, output and the states between chunks are kept for the backward pass."""
    outputs, finals, every = [], [], []
    for direction, (state, weight) in enumerate(zip(states, weights, strict=True)):
        source, own = batch, noise[direction]
        if direction:
            source = batch.reversed()
            own = None if own is None else Noise(own.hidden_mask, _turned(batch, own.zoneout))
        chunks = _Chunks(requested, cell, source, weight, own, all_states, precision, table)
        output, final, steps = chunks.run(state)
        found = [output, *steps]
        if direction:
            found = [batch.with_values(part).reversed().values for part in found]
        outputs.append(found[0])
        every.append(tuple(found[1:]))
        finals.append(final)
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, 1), finals, every if all_states else []


class _Chunks:
    """One direction, forward in time, chunk after chunk."""

    def __init__(
        self,
        requested: str,
        cell: Cell,
        batch: Ragged,
        weights: Weights,
        noise: Noise | None,
        all_states: bool,
        precision: str,
        table: Tensor | None,
    ) -> None:
        self._requested, self._cell, self._batch, self._names = requested, cell, batch, list(weights)
        self._weights, self._noise = list(weights.values()), noise
        self._all_states, self._precision, self._table = all_states, precision, table

    def run(self, state: State) -> tuple[Tensor, State, list[Tensor]]:
        """Output, final state, and on request each tensor of the state after every step."""
        pieces: list[list[Tensor]] = []
        num_states, offset = len(state), 0
        for part in self._parts():

            def step(values: Tensor, *rest: Tensor, part: Ragged = part, at: int = offset) -> tuple[Tensor, ...]:
                return self._step(part.with_values(values), at, rest, num_states)

            found = _checkpoint(step, part.values, *state, *self._weights)
            state = tuple(found[1 : 1 + num_states])
            pieces.append([found[0], *found[1 + num_states :]])
            offset += len(part.values)
        output, *every = (torch.cat(parts) for parts in zip(*pieces, strict=True))
        return output, state, every

    def _parts(self) -> Iterator[Ragged]:
        """The chunks, of every row the same steps; one without a step where there is none."""
        batch = self._batch
        size = chunk_steps(len(batch.batch_sizes))
        sizes = torch.split(batch.batch_sizes, size)
        values = torch.split(batch.values, [int(each.sum()) for each in sizes])
        for number, (own, counts) in enumerate(zip(values, sizes, strict=True)):
            lengths = (batch.lengths - number * size).clamp(0, len(counts))
            yield Ragged(own, counts, batch.sorted_indices, batch.unsorted_indices, lengths)

    def _step(self, part: Ragged, offset: int, rest: Sequence[Tensor], num_states: int) -> tuple[Tensor, ...]:
        noise = self._noise
        if noise is not None:
            shares = (p if p is None else p[offset : offset + len(part.values)] for p in noise.zoneout)
            noise = Noise(noise.hidden_mask, tuple(shares))
        weights = dict(zip(self._names, rest[num_states:], strict=True))
        output, finals, every = dispatch.layer(
            self._requested, self._cell, part, [tuple(rest[:num_states])], [weights], [noise], self._all_states,
            self._precision, self._table,
        )  # fmt: skip
        return output, *finals[0], *(every[0] if self._all_states else ())


def chunk_steps(length: int) -> int:
    """Steps of a chunk of a sequence of so many: sqrt(L), rounded up."""
    return max(1, math.isqrt(max(length - 1, 0)) + 1)


def _turned(batch: Ragged, zoneout: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    return tuple(None if part is None else batch.with_values(part).reversed().values for part in zoneout)


def _checkpoint(
    function: Callable[..., tuple[Tensor, ...]], *arguments: Tensor, draws: bool = False
) -> tuple[Tensor, ...]:
    """`function(*arguments)`, run again in the backward pass; `draws`: it draws numbers, the same ones both times."""
    if not torch.is_grad_enabled():
        return function(*arguments)
    found: Any = checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=draws)
    return tuple(found)


def _split(flat: Sequence[Tensor], counts: Sequence[int]) -> list[State]:
    parts = list(flat)
    return [tuple(parts.pop(0) for _ in range(count)) for count in counts]
