"""The truth: a plain loop over a cell's step. Every other backend is tested against it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ostinato.cells import Cell, Weights
from ostinato.types import State


def scan(cell: Cell, values: Tensor, batch_sizes: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
    """Run ``cell`` forward in time over a packed batch.

    Autograd sees every operation, so gradients of any order come for free, in any floating dtype on any device.

    Args:
        cell: the recurrence.
        values: (sum L, I), packed time-major, rows by decreasing length (``Ragged.values``).
        batch_sizes: (max L,) int64 on the CPU, rows alive at each step.
        state: the initial state, (N, H) each, in the order of the packed rows; N may exceed ``batch_sizes[0]``: the
            rows beyond it are empty.
        weights: the weights of this layer and direction.

    Returns:
        outputs (sum L, H), and each row's state at its own last step (N, H), an empty row's being its initial state.
    """
    outputs: list[Tensor] = []
    finished: list[State] = []
    for x in torch.split(cell.project(values, weights), batch_sizes.tolist()):
        alive = x.shape[0]
        if alive < state[0].shape[0]:
            finished.append(tuple(part[alive:] for part in state))
            state = tuple(part[:alive] for part in state)
        state = cell.step(x, state, weights)
        outputs.append(cell.output(state))
    final = join_finished([*finished, state])
    return (torch.cat(outputs) if outputs else no_outputs(cell, values, state)), final


def join_finished(finished: Sequence[State]) -> State:
    """The final states of all rows, out of those of the rows that ended, the shortest first."""
    if len(finished) == 1:
        return finished[0]
    return tuple(torch.cat(parts) for parts in zip(*reversed(finished), strict=True))


def no_outputs(cell: Cell, values: Tensor, state: State) -> Tensor:
    """The (0, H) output of a batch whose rows are all empty."""
    return values.new_zeros((0, cell.output(state).shape[-1]))
