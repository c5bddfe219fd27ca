r"""Minimal gated unit.

.. math::

    z_t &= \sigma(x_t W_{iz}^T + b_{iz} + h_{t-1} W_{hz}^T + b_{hz}) \\
    n_t &= \tanh(x_t W_{in}^T + b_{in} + (1 - z_t) (h_{t-1} W_{hn}^T + b_{hn})) \\
    h_t &= (1 - z_t) n_t + z_t h_{t-1}

Gate order z, n. Source: G. Zhou, J. Wu, C. Zhang and Z. Zhou, "Minimal Gated Unit for Recurrent Neural Networks",
International Journal of Automation and Computing 13 (2016), equations 6, whose f is 1 - z. Deviation: the gate acts
after the product with ``W_hn``, as in torch.nn's GRU.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ostinato.cells import Cell, Weights
from ostinato.cells.cell import recurrent
from ostinato.types import State


class Mgu(Cell):
    """Minimal gated unit."""

    name = "mgu"
    title = "minimal gated network"
    gates = ("z", "n")
    sigmoid_gates = frozenset({"z"})
    keeping_gate = "z"

    def step(self, x_projected: Tensor, state: State, weights: Weights, mask: Tensor | None = None) -> State:
        """(N, 2H), ((N, H),) -> ((N, H),)."""
        z, n = self._gates(x_projected, state[0], weights, mask)
        return (n + z * (state[0] - n),)

    def gate_values(self, x_projected: Tensor, state: State, weights: Weights) -> Mapping[str, Tensor]:
        """z and n, (M, H) each."""
        return dict(zip(self.gates, self._gates(x_projected, state[0], weights), strict=True))

    def _gates(
        self, x_projected: Tensor, h: Tensor, weights: Weights, mask: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        x_z, x_n = x_projected.chunk(2, dim=1)
        h_z, h_n = recurrent(h, weights, mask).chunk(2, dim=1)
        z = torch.sigmoid(x_z + h_z)
        return z, torch.tanh(x_n + (1 - z) * h_n)


MGU = Mgu()
