"""Linear maps in the native core, whose rows do not depend on each other to the last bit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.kernels import native
from ostinato.kernels.native_layer import core, num_threads
from ostinato.kernels.native_plan import padded


class CoreLinear:
    """x W^T + b, of the weights as they are now, on the CPU.

    Args:
        weight: (O, I), float32 or float64.
        bias: (O,) or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        native.target()
        self.num_outputs, self.num_inputs = weight.shape
        self._padded = padded(self.num_outputs)
        missing = self._padded - self.num_outputs
        self._missing = padded(self.num_inputs) - self.num_inputs
        made = {torch.float32: core.Linear32, torch.float64: core.Linear64}[weight.dtype]
        full = None if bias is None else F.pad(bias.detach(), (0, missing)).contiguous()
        self._core: Any = made(F.pad(weight.detach(), (0, self._missing, 0, missing)).contiguous(), full)

    def __call__(self, x: Tensor) -> Tensor:
        """(M, I) -> (M, O)."""
        read = F.pad(x.detach(), (0, self._missing)) if self._missing else x.detach()
        output = read.new_empty(read.shape[0], self._padded)
        self._core.run(read.contiguous().numpy(), output.numpy(), num_threads())
        return output[:, : self.num_outputs]
