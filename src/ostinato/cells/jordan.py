r"""Output recurrence: what comes back at the next step is the output, not the hidden state.

``jordan``, output-to-hidden, with the output y_t of P values:

.. math::

    h_t &= \tanh(x_t W_{ih}^T + b_{ih} + y_{t-1} W_{hh}^T + b_{hh}) \\
    y_t &= \tanh(h_t W_{hr}^T + b_{hr})

``output_recurrent``, output-to-output: the hidden layer sees the input alone, the output its own last value:

.. math::

    h_t &= \tanh(x_t W_{ih}^T + b_{ih}) \\
    y_t &= \tanh(h_t W_{hr}^T + y_{t-1} W_{hh}^T + b_{hh})

One block of rows, so no gate order. The state, called h as in every cell, is y, P = ``proj_size`` or H values; the
hidden layer has H. Where y is narrow, all that the layer knows of the past must pass through P numbers: that is the
difference to a hidden recurrence, whose memory costs no output.

Source: M. Jordan, "Attractor Dynamics and Parallelism in a Connectionist Sequential Machine", CogSci 1986, whose state
units are copies of the output units; all three types of recurrence: S. Raschka, Y. Liu and V. Mirjalili, "Machine
Learning with PyTorch and Scikit-Learn" (2022), chapter 15. Deviations: tanh in place of the logistic function; the
state units keep no decaying trace of older outputs.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.cells.cell import Cell, Weights, recurrent
from ostinato.cells.registry import register
from ostinato.types import State


class Jordan(Cell):
    """Output recurrence; registered as ``jordan`` (output-to-hidden) and ``output_recurrent`` (output-to-output).

    Args:
        to_hidden: whether the last output enters the hidden layer, or the output itself.
    """

    gates: ClassVar[tuple[str, ...]] = ("h",)
    supports_projection: ClassVar[bool] = True

    def __init__(self, to_hidden: bool = True) -> None:
        self.to_hidden = to_hidden
        self.name = "jordan" if to_hidden else "output_recurrent"
        self.title = "Jordan network" if to_hidden else "output-recurrent network"

    def parameter_shapes(
        self, input_size: int, hidden_size: int, proj_size: int = 0, bias: bool = True
    ) -> dict[str, tuple[int, ...]]:
        """``weight_ih`` (H, I), ``weight_hh`` (H, P) or (P, P), two biases, ``weight_hr`` (P, H), ``bias_hr`` (P,)."""
        size = proj_size or hidden_size
        back = hidden_size if self.to_hidden else size
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (hidden_size, input_size), "weight_hh": (back, size)}
        if bias:
            shapes |= {"bias_ih": (hidden_size,), "bias_hh": (back,)}
        shapes["weight_hr"] = (size, hidden_size)
        if bias and self.to_hidden:
            shapes["bias_hr"] = (size,)
        return shapes

    def step(self, x_projected: Tensor, state: State, weights: Weights, mask: Tensor | None = None) -> State:
        """(N, H), ((N, P),) -> ((N, P),)."""
        back = recurrent(state[0], weights, mask)
        if self.to_hidden:
            hidden = torch.tanh(x_projected + back)
            return (torch.tanh(F.linear(hidden, weights["weight_hr"], weights.get("bias_hr"))),)
        return (torch.tanh(F.linear(torch.tanh(x_projected), weights["weight_hr"]) + back),)


JORDAN = register(Jordan())
OUTPUT_RECURRENT = register(Jordan(to_hidden=False))
