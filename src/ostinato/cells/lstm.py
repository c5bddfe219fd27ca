r"""Long short-term memory.

.. math::

    i_t &= \sigma(x_t W_{ii}^T + b_{ii} + h_{t-1} W_{hi}^T + b_{hi}) \\
    f_t &= \sigma(x_t W_{if}^T + b_{if} + h_{t-1} W_{hf}^T + b_{hf}) \\
    g_t &= \tanh(x_t W_{ig}^T + b_{ig} + h_{t-1} W_{hg}^T + b_{hg}) \\
    o_t &= \sigma(x_t W_{io}^T + b_{io} + h_{t-1} W_{ho}^T + b_{ho}) \\
    c_t &= f_t c_{t-1} + i_t g_t \\
    h_t &= o_t \tanh(c_t) \quad (\text{then } h_t W_{hr}^T \text{ with a projection})

With ``peepholes`` the sum of i has also ``p_i c_{t-1}``, that of f ``p_f c_{t-1}``, and that of o ``p_o c_t``, the new
cell state; the weight ``peepholes`` (3H,) holds p_i, p_f, p_o.

With ``layer_norm`` the four sums are ``LN(x_t W_ih^T; gain_ih) + b_ih + LN(h_{t-1} W_hh^T; gain_hh) + b_hh``, each LN
over the 4H values of a row, and ``h_t = o_t tanh(LN(c_t; gain_c) + bias_c)``, that LN over H values; the c carried on
is ``c_t`` itself.

Gate order i, f, g, o, as torch.nn. Source: S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural
Computation 9 (1997), with the forget gate of F. Gers, J. Schmidhuber and F. Cummins, "Learning to Forget", Neural
Computation 12 (2000); the projection is that of H. Sak, A. Senior and F. Beaufays (2014), arXiv:1402.1128; peepholes:
F. Gers and J. Schmidhuber, "Recurrent Nets that Time and Count", IJCNN 2000, and F. Gers, N. Schraudolph and J.
Schmidhuber, "Learning Precise Timing with LSTM Recurrent Networks", JMLR 3 (2002), as in ONNX; layer normalisation: J.
Ba, J. Kiros and G. Hinton (2016), arXiv:1607.06450, equations 20-22. Deviations: gradients are not cut at the gates;
as in torch.nn and cuDNN, two biases of which only the sum matters, which with layer normalisation are its shift (the
paper has one bias and shifts besides). The forget bias starts like every weight, not at one, as in ``torch.nn.LSTM``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.cells.cell import Cell, NativeKernel, Weights, normalise, recurrent
from ostinato.cells.registry import register
from ostinato.errors import RecipeError
from ostinato.types import State


class Lstm(Cell):
    """Long short-term memory with a forget gate and an optional output projection.

    Registered as ``lstm``, ``lstm_peephole`` and ``lstm_layer_norm``.

    Args:
        peepholes: the gates see the cell state; adds the weight ``peepholes``, (3H,).
        layer_norm: normalise the sums and the cell state that is put out; adds the weights ``gain_ih`` and ``gain_hh``,
            (4H,) each, and ``gain_c`` and ``bias_c``, (H,) each.

    Raises:
        RecipeError: for both at once: no source says whether the gates see the cell state normalised.
    """

    gates: ClassVar[tuple[str, ...]] = ("i", "f", "g", "o")
    state_names: ClassVar[tuple[str, ...]] = ("h", "c")
    supports_projection: ClassVar[bool] = True
    keeping_gate: ClassVar[str | None] = "f"
    sigmoid_gates: ClassVar[frozenset[str]] = frozenset({"i", "f", "o"})
    writing_gate: ClassVar[str | None] = "i"

    def __init__(self, peepholes: bool = False, layer_norm: bool = False) -> None:
        if peepholes and layer_norm:
            raise RecipeError("`peepholes` must be False with `layer_norm`. Received: True.")
        self.peepholes = peepholes
        self.layer_norm = layer_norm
        self.name = "lstm" + "_peephole" * peepholes + "_layer_norm" * layer_norm
        self.title = "peephole " * peepholes + "layer-normalised " * layer_norm + "LSTM"

    @property
    def native(self) -> NativeKernel:
        """The kernel; it recognises peepholes and layer normalisation by their weights."""
        return NativeKernel("lstm")

    @property
    def torch_name(self) -> str | None:
        """Without peepholes and layer normalisation."""
        return None if self.peepholes or self.layer_norm else "lstm"

    def extra_shapes(self, hidden_size: int) -> dict[str, tuple[int, ...]]:
        """``peepholes`` (3H,); or ``gain_ih``, ``gain_hh`` (4H,) and ``gain_c``, ``bias_c`` (H,)."""
        if self.peepholes:
            return {"peepholes": (3 * hidden_size,)}
        if self.layer_norm:
            return super().extra_shapes(hidden_size) | {"gain_c": (hidden_size,), "bias_c": (hidden_size,)}
        return {}

    def step(self, x_projected: Tensor, state: State, weights: Weights, mask: Tensor | None = None) -> State:
        """(N, 4H), ((N, H or proj_size), (N, H)) -> the same shapes as the state."""
        _, _, _, o, c = self._gates(x_projected, state, weights, mask)
        seen = normalise(c, weights["gain_c"], weights["bias_c"]) if self.layer_norm else c
        h = o * torch.tanh(seen)
        if "weight_hr" in weights:
            h = F.linear(h, weights["weight_hr"])
        return h, c

    def gate_values(self, x_projected: Tensor, state: State, weights: Weights) -> Mapping[str, Tensor]:
        """i, f, g and o, (M, H) each."""
        return dict(zip(self.gates, self._gates(x_projected, state, weights), strict=False))

    def _gates(
        self, x_projected: Tensor, state: State, weights: Weights, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """i, f, g and o, and the new c, (N, H) each."""
        h, c = state
        i, f, g, o = (x_projected + recurrent(h, weights, mask)).chunk(4, dim=1)
        if self.peepholes:
            p_i, p_f, p_o = weights["peepholes"].chunk(3)
            i, f = i + p_i * c, f + p_f * c
        i, f, g = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g)
        c = f * c + i * g
        if self.peepholes:
            o = o + p_o * c
        return i, f, g, torch.sigmoid(o), c


LSTM = register(Lstm())
LSTM_PEEPHOLE = register(Lstm(peepholes=True))
LSTM_LAYER_NORM = register(Lstm(layer_norm=True))
