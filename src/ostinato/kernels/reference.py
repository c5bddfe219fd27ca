"""The truth: a plain loop over a cell's step. Every other backend is tested against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias, overload

import torch
from torch import Tensor

from ostinato.cells import Cell, Weights
from ostinato.cells.registry import check_takes
from ostinato.kernels.noise import Noise
from ostinato.types import State

Scanned: TypeAlias = tuple[Tensor, State] | tuple[Tensor, State, State]
"""Outputs and final state, and where asked for the state of all steps."""


@overload
def scan(
    cell: Cell,
    values: Tensor,
    batch_sizes: Tensor,
    state: State,
    weights: Weights,
    noise: Noise | None = None,
    all_states: Literal[False] = False,
) -> tuple[Tensor, State]: ...
@overload
def scan(
    cell: Cell,
    values: Tensor,
    batch_sizes: Tensor,
    state: State,
    weights: Weights,
    noise: Noise | None = None,
    *,
    all_states: Literal[True],
) -> tuple[Tensor, State, State]: ...
def scan(
    cell: Cell,
    values: Tensor,
    batch_sizes: Tensor,
    state: State,
    weights: Weights,
    noise: Noise | None = None,
    all_states: bool = False,
) -> Scanned:
    """Run ``cell`` forward in time over a packed batch.

    Autograd sees every operation, so gradients of any order come for free, in any floating dtype on any device.

    Args:
        cell: the recurrence.
        values: (sum L, I), packed time-major, rows by decreasing length (``Ragged.values``).
        batch_sizes: (max L,) int64 on the CPU, rows alive at each step.
        state: the initial state, (N, H) each, in the order of the packed rows; N may exceed ``batch_sizes[0]``: the
            rows beyond it are empty.
        weights: the weights of this layer and direction.
        noise: a mask of the hidden state, and zoneout; none by default.
        all_states: return the state after every step as well.

    Returns:
        outputs (sum L, H), and each row's state at its own last step (N, H), an empty row's being its initial state;
        with ``all_states`` also each tensor of the state after every step, (sum L, H).

    Raises:
        RecipeError: if the noise has a mask and the cell's step takes none.
    """
    return scan_sums(cell, cell.project(values, weights), batch_sizes, state, weights, noise, all_states)


def scan_sums(
    cell: Cell,
    sums: Tensor,
    batch_sizes: Tensor,
    state: State,
    weights: Weights,
    noise: Noise | None = None,
    all_states: bool = False,
    make: Callable[[int, Tensor, State], State] | None = None,
) -> Scanned:
    """As ``scan``, from the input's sums, ``cell.project(values, weights)``; ``make`` makes a step, given its number,
    in place of the cell and the noise."""
    noise = noise or Noise()
    if noise.hidden_mask is not None:
        check_takes(cell, "recurrent_dropout", "a mask")
    counts = batch_sizes.tolist()
    kept = _by_step(noise.zoneout or (None,) * len(state), counts)
    every: list[State] = []
    finished: list[State] = []
    initial = state
    for number, (x, shares) in enumerate(zip(torch.split(sums, counts), kept, strict=True)):
        alive = x.shape[0]
        if alive < state[0].shape[0]:
            finished.append(tuple(part[alive:] for part in state))
            state = tuple(part[:alive] for part in state)
        if make is None:
            proposed = _step(cell, x, state, weights, noise.hidden_mask)
            state = tuple(_keep(*parts) for parts in zip(shares, state, proposed, strict=True))
        else:
            state = make(number, x, state)
        every.append(state)
    if every:
        outputs, final = torch.cat([cell.output(each) for each in every]), join_finished([*finished, state])
    else:
        outputs, final = without_steps(cell, sums, state, weights)
    if not all_states:
        return outputs, final
    return outputs, final, tuple(torch.cat([part[:0], *parts]) for part, *parts in zip(initial, *every, strict=True))


def _step(cell: Cell, x: Tensor, state: State, weights: Weights, mask: Tensor | None) -> State:
    """One step; a cell without a ``mask`` argument runs where no mask is asked for."""
    if mask is None:
        return cell.step(x, state, weights)
    return cell.step(x, state, weights, mask[: len(x)])


def _keep(share: Tensor | None, old: Tensor, proposed: Tensor) -> Tensor:
    """``share * old + (1 - share) * proposed``."""
    return proposed if share is None else share * old + (1 - share) * proposed


def _by_step(zoneout: Sequence[Tensor | None], counts: list[int]) -> list[tuple[Tensor | None, ...]]:
    """The shares of each step, out of those of each tensor of the state."""
    parts = [[None] * len(counts) if part is None else torch.split(part, counts) for part in zoneout]
    return list(zip(*parts, strict=True))


def join_finished(finished: Sequence[State]) -> State:
    """The final states of all rows, out of those of the rows that ended, the shortest first."""
    if len(finished) == 1:
        return finished[0]
    return tuple(torch.cat(parts) for parts in zip(*reversed(finished), strict=True))


def without_steps(cell: Cell, values: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
    """The (0, H) output of a batch whose rows are all empty, and the state it ends in, the initial one.

    As in torch.nn the gradient of every weight is zero, rather than not there.
    """
    nothing = values.new_zeros(()) + sum(part.flatten()[:0].sum() for part in (values, *weights.values()))
    return cell.output(state)[:0] + nothing, tuple(part + nothing for part in state)
