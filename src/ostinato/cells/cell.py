"""The contract of a cell, and the registry of all cells.

A cell is one recurrence: pure functions of tensors, without parameters of its own. The layers of ``ostinato.nn`` hold
the weights, the kernels run the loop over time; neither knows more about a recurrence than what stands here. To add
one, write its file, end it with ``NAME = register(MyCell())`` and import it in ``ostinato.cells``.
"""

from __future__ import annotations

import difflib
import inspect
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

LAYER_NORM_EPS = 1e-5
"""What layer normalisation adds to the variance."""


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

    keeping_gate: ClassVar[str | None] = None
    """The gate whose sigmoid is the share of the state that a step keeps, so that a positive bias remembers."""

    writing_gate: ClassVar[str | None] = None
    """The gate whose sigmoid is the share of new content let in, where that is not one minus the keeping gate's."""

    layer_norm: bool = False
    """Whether the input's and the state's sums are layer-normalised (``normalise``)."""

    def parameter_shapes(
        self, input_size: int, hidden_size: int, proj_size: int = 0, bias: bool = True
    ) -> dict[str, tuple[int, ...]]:
        """Name and shape of each weight of one layer in one direction: in torch.nn's order, then those it lacks."""
        rows = len(self.gates) * hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, input_size),
            "weight_hh": (rows, proj_size or hidden_size),
        }
        if bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if proj_size:
            shapes["weight_hr"] = (proj_size, hidden_size)
        return shapes | self.extra_shapes(hidden_size)

    def extra_shapes(self, hidden_size: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of the weights that torch.nn's layers lack: the gains of layer normalisation, (G*H,) each."""
        rows = len(self.gates) * hidden_size
        return {"gain_ih": (rows,), "gain_hh": (rows,)} if self.layer_norm else {}

    def state_sizes(self, hidden_size: int, proj_size: int = 0) -> tuple[int, ...]:
        """Features of each tensor of the state, in the order of ``state_names``."""
        return (proj_size or hidden_size,) + (hidden_size,) * (len(self.state_names) - 1)

    def initialise(self, weights: Weights, hidden_size: int) -> None:
        """Fill the weights in place: U(-1/sqrt(H), 1/sqrt(H)), torch.nn's default, one draw a tensor in their order.

        Of layer normalisation the gains (``gain_...``) start at one and the shift of an LSTM's cell, ``bias_c``, at
        zero, without a draw.
        """
        bound = 1.0 / math.sqrt(hidden_size) if hidden_size else 0.0
        with torch.no_grad():
            for name, weight in weights.items():
                if name.startswith("gain_"):
                    weight.fill_(1.0)
                elif name == "bias_c":
                    weight.zero_()
                else:
                    weight.uniform_(-bound, bound)

    def project(self, x: Tensor, weights: Weights) -> Tensor:
        """The part without state, for all steps at once: (sum L, I) -> (sum L, G*H).

        ``x W_ih^T + b_ih``, or with layer normalisation ``LN(x W_ih^T; gain_ih) + b_ih``.
        """
        return _affine(x, weights["weight_ih"], weights.get("bias_ih"), weights.get("gain_ih"))

    @abstractmethod
    def step(self, x_projected: Tensor, state: State, weights: Weights, mask: Tensor | None = None) -> State:
        """The next state.

        Args:
            x_projected: (N, G*H), this step's part of ``project``.
            state: the state before, (N, H) each.
            weights: of this layer and direction.
            mask: (N, H), or (N, proj_size): multiplies h wherever it enters a product with ``weight_hh``, and nowhere
                else. A cell whose ``step`` has no such argument runs, but without recurrent dropout.
        """

    def output(self, state: State) -> Tensor:
        """What the layer above sees: ``h``, (N, H), or (N, proj_size) with a projection."""
        return state[0]

    def check_takes_mask(self) -> None:
        """Raise a RecipeError if ``step`` takes no ``mask``, so that recurrent dropout is not defined for the cell."""
        if "mask" not in inspect.signature(self.step).parameters:
            raise RecipeError(
                f"`recurrent_dropout` must be 0 with the cell `{self.name}`: its `step` takes no `mask`.",
                hint="give it `mask: Tensor | None = None` and multiply h by it where it meets `weight_hh`.",
            )


def recurrent(h: Tensor, weights: Weights, mask: Tensor | None = None) -> Tensor:
    """The state's part of the sums: (N, P) -> (N, G*H).

    ``(h * mask) W_hh^T + b_hh``, or with layer normalisation ``LN((h * mask) W_hh^T; gain_hh) + b_hh``.

    Args:
        h: (N, H), or (N, proj_size) with a projection.
        weights: ``weight_hh``, and where there are ``bias_hh`` and ``gain_hh``.
        mask: shaped as ``h``; None: ones.
    """
    return _affine(masked(h, mask), weights["weight_hh"], weights.get("bias_hh"), weights.get("gain_hh"))


def masked(h: Tensor, mask: Tensor | None) -> Tensor:
    """``h * mask``, or ``h`` without one."""
    return h if mask is None else h * mask


def normalise(sums: Tensor, gain: Tensor, shift: Tensor | None) -> Tensor:
    r"""Layer normalisation of each row, ``LN(a) = gain * (a - mean(a)) / sqrt(var(a) + 1e-5) + shift``.

    Mean and (population) variance are over all features of the row. Source: J. Ba, J. Kiros and G. Hinton, "Layer
    Normalization" (2016), arXiv:1607.06450, equation 4.

    Args:
        sums: (N, F).
        gain: (F,).
        shift: (F,); None: zeros.
    """
    return F.layer_norm(sums, sums.shape[-1:], gain, shift, LAYER_NORM_EPS)


def _affine(x: Tensor, weight: Tensor, bias: Tensor | None, gain: Tensor | None) -> Tensor:
    return F.linear(x, weight, bias) if gain is None else normalise(F.linear(x, weight), gain, bias)


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
