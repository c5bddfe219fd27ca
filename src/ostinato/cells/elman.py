r"""The simple recurrence with hidden-to-hidden feedback.

.. math::

    h_t = \phi(x_t W_{ih}^T + b_{ih} + h_{t-1} W_{hh}^T + b_{hh}), \quad \phi = \tanh \text{ or } \mathrm{relu}

One block of rows, so no gate order. Source: J. Elman, "Finding Structure in Time", Cognitive Science 14 (1990), whose
context units are copies of the hidden units. Deviations: tanh (or relu) in place of the logistic function, and, as in
torch.nn and cuDNN, two biases of which only the sum matters.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.cells.cell import Cell, Weights, register
from ostinato.types import State


class Elman(Cell):
    """Elman's recurrence; registered as ``elman`` (tanh) and ``elman_relu``.

    Args:
        relu: relu in place of tanh.
    """

    gates: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(self, relu: bool = False) -> None:
        self.relu = relu
        self.name = "elman_relu" if relu else "elman"

    def step(self, x_projected: Tensor, state: State, weights: Weights) -> State:
        """(N, H), ((N, H),) -> ((N, H),)."""
        total = x_projected + F.linear(state[0], weights["weight_hh"], weights.get("bias_hh"))
        return (torch.relu(total) if self.relu else torch.tanh(total),)


ELMAN = register(Elman())
ELMAN_RELU = register(Elman(relu=True))
