r"""Gated recurrent unit.

.. math::

    r_t &= \sigma(x_t W_{ir}^T + b_{ir} + h_{t-1} W_{hr}^T + b_{hr}) \\
    z_t &= \sigma(x_t W_{iz}^T + b_{iz} + h_{t-1} W_{hz}^T + b_{hz}) \\
    n_t &= \tanh(x_t W_{in}^T + b_{in} + r_t (h_{t-1} W_{hn}^T + b_{hn})) \\
    h_t &= (1 - z_t) n_t + z_t h_{t-1}

Gate order r, z, n, as torch.nn. Source: K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder",
EMNLP 2014, section 2.3. Deviations: the reset gate acts after the product with ``W_hn`` (and on ``b_hn``), the "reset
after" variant of cuDNN and torch.nn, where the paper has ``W_hn (r_t h_{t-1})``; the paper has no biases.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.cells.cell import Cell, Weights, register
from ostinato.types import State


class Gru(Cell):
    """Gated recurrent unit, reset after the product."""

    name = "gru"
    gates: ClassVar[tuple[str, ...]] = ("r", "z", "n")

    def step(self, x_projected: Tensor, state: State, weights: Weights) -> State:
        """(N, 3H), ((N, H),) -> ((N, H),)."""
        (h,) = state
        x_r, x_z, x_n = x_projected.chunk(3, dim=1)
        h_r, h_z, h_n = F.linear(h, weights["weight_hh"], weights.get("bias_hh")).chunk(3, dim=1)
        r = torch.sigmoid(x_r + h_r)
        z = torch.sigmoid(x_z + h_z)
        n = torch.tanh(x_n + r * h_n)
        return (n + z * (h - n),)


GRU = register(Gru())
