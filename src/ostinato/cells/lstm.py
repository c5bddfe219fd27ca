r"""Long short-term memory.

.. math::

    i_t &= \sigma(x_t W_{ii}^T + b_{ii} + h_{t-1} W_{hi}^T + b_{hi}) \\
    f_t &= \sigma(x_t W_{if}^T + b_{if} + h_{t-1} W_{hf}^T + b_{hf}) \\
    g_t &= \tanh(x_t W_{ig}^T + b_{ig} + h_{t-1} W_{hg}^T + b_{hg}) \\
    o_t &= \sigma(x_t W_{io}^T + b_{io} + h_{t-1} W_{ho}^T + b_{ho}) \\
    c_t &= f_t c_{t-1} + i_t g_t \\
    h_t &= o_t \tanh(c_t) \quad (\text{then } h_t W_{hr}^T \text{ with a projection})

Gate order i, f, g, o, as torch.nn. Source: S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural
Computation 9 (1997), with the forget gate of F. Gers, J. Schmidhuber and F. Cummins, "Learning to Forget", Neural
Computation 12 (2000); the projection is that of H. Sak, A. Senior and F. Beaufays (2014), arXiv:1402.1128. Deviations:
no peephole connections, gradients are not cut at the gates, and, as in torch.nn and cuDNN, two biases of which only the
sum matters. The forget bias starts like every weight, not at one, as in ``torch.nn.LSTM``.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.cells.cell import Cell, Weights, register
from ostinato.types import State


class Lstm(Cell):
    """Long short-term memory with a forget gate and an optional output projection."""

    name = "lstm"
    gates: ClassVar[tuple[str, ...]] = ("i", "f", "g", "o")
    state_names: ClassVar[tuple[str, ...]] = ("h", "c")
    supports_projection: ClassVar[bool] = True

    def step(self, x_projected: Tensor, state: State, weights: Weights) -> State:
        """(N, 4H), ((N, H or proj_size), (N, H)) -> the same shapes as the state."""
        h, c = state
        total = x_projected + F.linear(h, weights["weight_hh"], weights.get("bias_hh"))
        i, f, g, o = total.chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        if "weight_hr" in weights:
            h = F.linear(h, weights["weight_hr"])
        return h, c


LSTM = register(Lstm())
