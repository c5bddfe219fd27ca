"""The values of a cell's gates, computed again from its weights and the states along real data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.cells import Cell, Elman, Gru, Lstm, Weights
from ostinato.cells.cell import recurrent
from ostinato.types import State


@runtime_checkable
class ShowsGates(Protocol):
    """A cell of your own that says what its gates are."""

    def gate_values(self, x_projected: Tensor, state: State, weights: Weights) -> Mapping[str, Tensor]:
        """From what `step` reads, (M, G*H) and a state of (M, H) each, to each gate's values by name, (M, H) each."""


def gate_values(cell: Cell, x_projected: Tensor, state: State, weights: Weights) -> dict[str, Tensor] | None:
    """The gates of many steps at once, after their sigmoid or tanh.

    Known are the equations of the LSTM, the GRU and Elman's recurrence with all their variants, and any cell that has a
    method `gate_values`; a class derived from one of those with a `step` of its own is not taken for what it was.

    Args:
        cell: the recurrence.
        x_projected: (M, G*H), the input's part of each step.
        state: the state before each step, (M, H) each.
        weights: of one layer and direction.

    Returns:
        (M, H) for each of `cell.gates`; None for a cell whose gates are not known.

    Example:
        >>> from ostinato.cells import ELMAN
        >>> zeros = torch.zeros(3, 2)
        >>> gate_values(ELMAN, zeros, (zeros,), {"weight_hh": torch.zeros(2, 2)})["h"].shape
        torch.Size([3, 2])
    """
    if isinstance(cell, ShowsGates):
        return dict(cell.gate_values(x_projected, state, weights))
    if isinstance(cell, Lstm) and type(cell).step is Lstm.step:
        return _lstm(cell, x_projected, state, weights)
    if isinstance(cell, Gru) and type(cell).step is Gru.step:
        return _gru(cell, x_projected, state[0], weights)
    if isinstance(cell, Elman) and type(cell).step is Elman.step:
        return {"h": cell.step(x_projected, state, weights)[0]}
    return None


def _lstm(cell: Lstm, x_projected: Tensor, state: State, weights: Weights) -> dict[str, Tensor]:
    h, c = state
    i, f, g, o = (x_projected + recurrent(h, weights)).chunk(4, dim=1)
    if cell.peepholes:
        p_i, p_f, p_o = weights["peepholes"].chunk(3)
        i, f = i + p_i * c, f + p_f * c
        o = o + p_o * (torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g))
    return {"i": torch.sigmoid(i), "f": torch.sigmoid(f), "g": torch.tanh(g), "o": torch.sigmoid(o)}


def _gru(cell: Gru, x_projected: Tensor, h: Tensor, weights: Weights) -> dict[str, Tensor]:
    x_r, x_z, x_n = x_projected.chunk(3, dim=1)
    h_r, h_z, h_n = recurrent(h, weights).chunk(3, dim=1)
    r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    if not cell.reset_after:
        size = h.shape[1]
        bias = weights.get("bias_hh")
        h_n = F.linear(r * h, weights["weight_hh"][2 * size :], None if bias is None else bias[2 * size :])
        return {"r": r, "z": z, "n": torch.tanh(x_n + h_n)}
    return {"r": r, "z": z, "n": torch.tanh(x_n + r * h_n)}
