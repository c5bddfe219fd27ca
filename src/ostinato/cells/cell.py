"""The contract of a cell, and the registry of all cells.

A cell is one recurrence: pure functions of tensors, without parameters of its own. The layers of ``ostinato.nn`` hold
the weights, the kernels run the loop over time; neither knows more about a recurrence than what stands here. To add
one, write its file, end it with ``NAME = register(MyCell())`` and import it in ``ostinato.cells``.
"""

from __future__ import annotations

import difflib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, TypeAlias, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.errors import RecipeError
from ostinato.types import State

Weights: TypeAlias = Mapping[str, Tensor]
"""Weights of one layer in one direction by their names without a suffix: ``weight_ih``, ``weight_hh``, ``bias_ih``."""


class Cell(ABC):
    """One recurrence ``state_t = step(project(x_t), state_{t-1})``, ``y_t = output(state_t)``.

    Every method is made of torch operations, so that autograd gives the gradients, in any floating dtype and on any
    device. A cell must be causal and must treat the rows of a batch independently.
    """

    name: str
    """What recipes and ``cells.get`` call it."""

    gates: ClassVar[tuple[str, ...]]
    """Names of the G blocks of H rows in ``weight_ih`` and ``weight_hh``, in their order."""

    state_names: ClassVar[tuple[str, ...]] = ("h",)
    """Names of the tensors of the state; the first is the output."""

    supports_projection: ClassVar[bool] = False
    """Whether ``proj_size > 0`` (an output smaller than H) is defined for it."""

    def parameter_shapes(
        self, input_size: int, hidden_size: int, proj_size: int = 0, bias: bool = True
    ) -> dict[str, tuple[int, ...]]:
        """Name and shape of each weight of one layer in one direction, in torch.nn's order."""
        rows = len(self.gates) * hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, input_size),
            "weight_hh": (rows, proj_size or hidden_size),
        }
        if bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if proj_size:
            shapes["weight_hr"] = (proj_size, hidden_size)
        return shapes

    def state_sizes(self, hidden_size: int, proj_size: int = 0) -> tuple[int, ...]:
        """Features of each tensor of the state, in the order of ``state_names``."""
        return (proj_size or hidden_size,) + (hidden_size,) * (len(self.state_names) - 1)

    def initialise(self, weights: Weights, hidden_size: int) -> None:
        """Fill the weights in place: U(-1/sqrt(H), 1/sqrt(H)), torch.nn's default, one draw a tensor in their order."""
        bound = 1.0 / math.sqrt(hidden_size) if hidden_size else 0.0
        with torch.no_grad():
            for weight in weights.values():
                weight.uniform_(-bound, bound)

    def project(self, x: Tensor, weights: Weights) -> Tensor:
        """``x W_ih^T + b_ih``, the part without state, for all steps at once: (sum L, I) -> (sum L, G*H)."""
        return F.linear(x, weights["weight_ih"], weights.get("bias_ih"))

    @abstractmethod
    def step(self, x_projected: Tensor, state: State, weights: Weights) -> State:
        """The next state, out of (N, G*H) and the state before."""

    def output(self, state: State) -> Tensor:
        """What the layer above sees: ``h``, (N, H), or (N, proj_size) with a projection."""
        return state[0]


_CELLS: dict[str, Cell] = {}
CellT = TypeVar("CellT", bound=Cell)


def register(cell: CellT) -> CellT:
    """Make ``cell`` available under ``cell.name``; returns it.

    Raises:
        RecipeError: if the name is taken.
    """
    if cell.name in _CELLS:
        raise RecipeError(f"a cell named `{cell.name}` is registered already.")
    _CELLS[cell.name] = cell
    return cell


def names() -> list[str]:
    """Names of every registered cell, sorted."""
    return sorted(_CELLS)


def get(name: str) -> Cell:
    """The cell called ``name``.

    Raises:
        RecipeError: if there is none, with the nearest name as hint.

    Example:
        >>> get("lstm").gates
        ('i', 'f', 'g', 'o')
    """
    if name not in _CELLS:
        near = difflib.get_close_matches(name.lower(), _CELLS, n=1)
        raise RecipeError(
            f"`cell` must be one of {', '.join(names())}. Received: {name!r}.",
            hint=f"did you mean {near[0]}?" if near else None,
        )
    return _CELLS[name]
