r"""Gated recurrent unit.

.. math::

    r_t &= \sigma(x_t W_{ir}^T + b_{ir} + h_{t-1} W_{hr}^T + b_{hr}) \\
    z_t &= \sigma(x_t W_{iz}^T + b_{iz} + h_{t-1} W_{hz}^T + b_{hz}) \\
    n_t &= \tanh(x_t W_{in}^T + b_{in} + r_t (h_{t-1} W_{hn}^T + b_{hn})) \\
    h_t &= (1 - z_t) n_t + z_t h_{t-1}

Without ``reset_after`` the reset gate acts before the product:

.. math::

    n_t = \tanh(x_t W_{in}^T + b_{in} + (r_t h_{t-1}) W_{hn}^T + b_{hn})

With ``layer_norm`` every ``x_t W_i.^T`` is its part of ``LN(x_t W_ih^T; gain_ih)`` and every ``h_{t-1} W_h.^T`` its
part of ``LN(h_{t-1} W_hh^T; gain_hh)``, each normalised over the 3H values of a row, the biases being the shift; so
``n_t = tanh(xn + r_t hn)`` with hn the n part of ``LN(h_{t-1} W_hh^T; gain_hh) + b_hh``.

Gate order r, z, n, as torch.nn. Source: K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder",
EMNLP 2014, section 2.3, whose form is that without ``reset_after`` (ONNX: ``linear_before_reset = 0``); with it, the
default, it is the variant of cuDNN and torch.nn (ONNX: 1). Deviations: the paper has no biases; layer normalisation (J.
Ba, J. Kiros and G. Hinton, 2016, arXiv:1607.06450, equation 20 for the LSTM) is taken over the three blocks jointly,
where the paper's own GRU (supplement) normalises the two gates' sums and the candidate's apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.cells.cell import Cell, NativeKernel, Weights, masked, recurrent
from ostinato.cells.registry import register
from ostinato.errors import RecipeError
from ostinato.types import State


class Gru(Cell):
    """Gated recurrent unit; registered as ``gru``, ``gru_reset_before`` and ``gru_layer_norm``.

    Args:
        reset_after: whether the reset gate acts after the product with ``W_hn`` (and on ``b_hn``).
        layer_norm: normalise the sums; adds the weights ``gain_ih`` and ``gain_hh``, (3H,) each.

    Raises:
        RecipeError: for ``layer_norm`` without ``reset_after``: the candidate's sum is not there to be normalised
            with the others.
    """

    gates: ClassVar[tuple[str, ...]] = ("r", "z", "n")
    keeping_gate: ClassVar[str | None] = "z"
    sigmoid_gates: ClassVar[frozenset[str]] = frozenset({"r", "z"})

    def __init__(self, reset_after: bool = True, layer_norm: bool = False) -> None:
        if layer_norm and not reset_after:
            raise RecipeError("`reset_after` must be True with `layer_norm`. Received: False.")
        self.reset_after = reset_after
        self.layer_norm = layer_norm
        self.name = "gru" + "_reset_before" * (not reset_after) + "_layer_norm" * layer_norm
        self.title = "layer-normalised " * layer_norm + "GRU" + " that resets before the product" * (not reset_after)

    @property
    def native(self) -> NativeKernel:
        """The kernel; it recognises layer normalisation by the gains."""
        return NativeKernel("gru", reset_before=not self.reset_after)

    @property
    def torch_name(self) -> str | None:
        """For the variant of torch.nn."""
        return "gru" if self.reset_after and not self.layer_norm else None

    def step(self, x_projected: Tensor, state: State, weights: Weights, mask: Tensor | None = None) -> State:
        """(N, 3H), ((N, H),) -> ((N, H),). The mask acts on the products alone, not on the h that z carries on."""
        (h,) = state
        _, z, n = self._gates(x_projected, h, weights, mask)
        return (n + z * (h - n),)

    def gate_values(self, x_projected: Tensor, state: State, weights: Weights) -> Mapping[str, Tensor]:
        """r, z and n, (M, H) each."""
        return dict(zip(self.gates, self._gates(x_projected, state[0], weights), strict=True))

    def _gates(
        self, x_projected: Tensor, h: Tensor, weights: Weights, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """r, z and n, (N, H) each."""
        if not self.reset_after:
            return _reset_before(x_projected, masked(h, mask), weights)
        x_r, x_z, x_n = x_projected.chunk(3, dim=1)
        h_r, h_z, h_n = recurrent(h, weights, mask).chunk(3, dim=1)
        r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        return r, z, torch.tanh(x_n + r * h_n)


def _reset_before(x_projected: Tensor, h_masked: Tensor, weights: Weights) -> tuple[Tensor, Tensor, Tensor]:
    """r, z and n, (N, H) each, the reset gate acting before the product with ``W_hn``."""
    rows = 2 * h_masked.shape[1]
    bias = weights.get("bias_hh")
    bias_rz, bias_n = (None, None) if bias is None else (bias[:rows], bias[rows:])
    rz = torch.sigmoid(x_projected[:, :rows] + F.linear(h_masked, weights["weight_hh"][:rows], bias_rz))
    r, z = rz.chunk(2, dim=1)
    n = torch.tanh(x_projected[:, rows:] + F.linear(r * h_masked, weights["weight_hh"][rows:], bias_n))
    return r, z, n


GRU = register(Gru())
GRU_RESET_BEFORE = register(Gru(reset_after=False))
GRU_LAYER_NORM = register(Gru(layer_norm=True))
