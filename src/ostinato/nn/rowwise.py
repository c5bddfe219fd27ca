"""Modules whose answer to a row does not depend, to the last bit, on the rows beside it."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.kernels import native
from ostinato.kernels.native_linear import CoreLinear

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class RowwiseLinear(nn.Module):
    """`nn.Linear` in evaluation, of the weights as they are now: each sum in one order, however many rows there are.

    In the native core where it can run, else row by row.

    Args:
        linear: whose map it is.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight = nn.Parameter(linear.weight.detach().clone(), requires_grad=False)
        self.bias = None if linear.bias is None else nn.Parameter(linear.bias.detach().clone(), requires_grad=False)
        runs = native.missing_reason() is None and self.weight.device.type == "cpu"
        runs = runs and self.weight.dtype in (torch.float32, torch.float64)
        self._core = CoreLinear(self.weight, self.bias) if runs else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) -> (..., O)."""
        rows = x.reshape(-1, self.in_features)
        if self._core is not None:
            found = self._core(rows)
        else:
            each = [F.linear(row.unsqueeze(0), self.weight, self.bias) for row in rows]
            found = torch.cat(each) if each else rows.new_empty(0, self.out_features)
        return found.reshape(*x.shape[:-1], self.out_features)


def rowwise(module: ModuleT) -> ModuleT:
    """A copy of a module in evaluation whose linear layers treat each row by itself.

    Everything else must do so anyway: what works element by element, or along a row.

    Example:
        >>> head, x = rowwise(nn.Linear(3, 2)), torch.randn(5, 3)
        >>> bool((head(x)[:1] == head(x[:1])).all())
        True
    """
    if isinstance(module, nn.Linear):
        return RowwiseLinear(module)  # type: ignore[return-value]
    copied = copy.deepcopy(module).eval()
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                setattr(parent, name, RowwiseLinear(child))
    return copied
