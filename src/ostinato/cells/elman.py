r"""The simple recurrence with hidden-to-hidden feedback.

.. math::

    h_t = \phi(x_t W_{ih}^T + b_{ih} + h_{t-1} W_{hh}^T + b_{hh}), \quad \phi = \tanh \text{ or } \mathrm{relu}

With ``layer_norm`` both sums are normalised, each over the H values of a row, the biases being its shift:

.. math::

    h_t = \phi(\mathrm{LN}(x_t W_{ih}^T; gain_{ih}) + b_{ih} + \mathrm{LN}(h_{t-1} W_{hh}^T; gain_{hh}) + b_{hh})

One block of rows, so no gate order. Source: J. Elman, "Finding Structure in Time", Cognitive Science 14 (1990), whose
context units are copies of the hidden units. Deviations: tanh (or relu) in place of the logistic function, and, as in
torch.nn and cuDNN, two biases of which only the sum matters. Layer normalisation: J. Ba, J. Kiros and G. Hinton (2016),
arXiv:1607.06450. Deviation: input and state are normalised apart, as in the paper's LSTM (equation 20), where its
simple recurrence (equation 4) normalises their sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from ostinato.cells.cell import Cell, NativeKernel, Weights, recurrent
from ostinato.cells.registry import register
from ostinato.types import State


class Elman(Cell):
    """Elman's recurrence; registered as ``elman`` (tanh), ``elman_relu`` and ``elman_layer_norm`` (tanh).

    Args:
        relu: relu in place of tanh.
        layer_norm: normalise both sums; adds the weights ``gain_ih`` and ``gain_hh``, (H,) each.
    """

    gates: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(self, relu: bool = False, layer_norm: bool = False) -> None:
        self.relu = relu
        self.layer_norm = layer_norm
        self.name = "elman" + "_relu" * relu + "_layer_norm" * layer_norm
        self.title = "layer-normalised " * layer_norm + "Elman network" + " (ReLU)" * relu

    @property
    def native(self) -> NativeKernel:
        """The kernel; it recognises layer normalisation by the gains."""
        return NativeKernel("elman_relu" if self.relu else "elman")

    @property
    def torch_name(self) -> str | None:
        """Without layer normalisation."""
        return None if self.layer_norm else "rnn_relu" if self.relu else "rnn_tanh"

    def step(self, x_projected: Tensor, state: State, weights: Weights, mask: Tensor | None = None) -> State:
        """(N, H), ((N, H),) -> ((N, H),)."""
        total = x_projected + recurrent(state[0], weights, mask)
        return (torch.relu(total) if self.relu else torch.tanh(total),)

    def gate_values(self, x_projected: Tensor, state: State, weights: Weights) -> Mapping[str, Tensor]:
        """The new h, (M, H)."""
        return {"h": self.step(x_projected, state, weights)[0]}


ELMAN = register(Elman())
ELMAN_RELU = register(Elman(relu=True))
ELMAN_LAYER_NORM = register(Elman(layer_norm=True))
