"""The contract of a cell.

A cell is one recurrence: pure functions of tensors, without parameters of its own. The layers of ``ostinato.nn`` hold
the weights, the kernels run the loop over time; neither knows more about a recurrence than what stands here. To add
one, write its file, end it with ``NAME = register(MyCell())`` and import it in ``ostinato.cells``; or, from another
package, name it under the entry points ``ostinato.cells``.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.types import State

Weights: TypeAlias = Mapping[str, Tensor]
"""Weights of one layer in one direction by their names without a suffix: ``weight_ih``, ``weight_hh``, ``bias_ih``."""

LAYER_NORM_EPS = 1e-5
"""What layer normalisation adds to the variance."""


_EQUATIONS = ("parameter_shapes", "extra_shapes", "state_sizes", "project", "step", "output")
_KNOWN_OF_EQUATIONS = ("gate_values", "native", "torch_name")


@dataclass(frozen=True)
class NativeKernel:
    """Which kernel of the native core runs a cell.

    Args:
        name: of the recurrence there: elman, elman_relu, gru or lstm.
        reset_before: GRU: the reset gate acts before the product.
    """

    name: str
    reset_before: bool = False

    @property
    def resets_after(self) -> bool:
        """Whether W_hn h + b_hn is kept apart from the other sums."""
        return self.name == "gru" and not self.reset_before


class Cell(ABC):
    """One recurrence ``state_t = step(project(x_t), state_{t-1})``, ``y_t = output(state_t)``.

    Every method is made of torch operations, so that autograd gives the gradients, in any floating dtype and on any
    device. A cell must be causal and must treat the rows of a batch independently.

    A class derived from a cell with other equations inherits neither ``gate_values`` nor ``native`` nor ``torch_name``:
    they hold for the equations they were written for.
    """

    name: str
    """What recipes and ``cells.get`` call it."""

    title: str = ""
    """What a text calls a network of it; by default its name."""

    gates: ClassVar[tuple[str, ...]]
    """Names of the G blocks of H rows in ``weight_ih`` and ``weight_hh``, in their order."""

    state_names: ClassVar[tuple[str, ...]] = ("h",)
    """Names of the tensors of the state; the first is the output."""

    supports_projection: ClassVar[bool] = False
    """Whether ``proj_size > 0`` (an output smaller than H) is defined for it."""

    keeping_gate: ClassVar[str | None] = None
    """The gate whose sigmoid is the share of the state that a step keeps, so that a positive bias remembers."""

    sigmoid_gates: ClassVar[frozenset[str]] = frozenset()
    """The gates that end in a sigmoid; the others end in a tanh or relu."""

    writing_gate: ClassVar[str | None] = None
    """The gate whose sigmoid is the share of new content let in, where that is not one minus the keeping gate's."""

    layer_norm: bool = False
    """Whether the input's and the state's sums are layer-normalised (``normalise``)."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if any(name in cls.__dict__ for name in _EQUATIONS):
            for name in _KNOWN_OF_EQUATIONS:
                if name not in cls.__dict__:
                    setattr(cls, name, Cell.__dict__[name])

    @property
    def native(self) -> NativeKernel | None:
        """The native core's kernel for it, or None."""
        return None

    @property
    def torch_name(self) -> str | None:
        """Torch's fused layer for it, by its name in ``torch._VF``, or None."""
        return None

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

    def gate_values(self, x_projected: Tensor, state: State, weights: Weights) -> Mapping[str, Tensor] | None:
        """The gates of many steps at once, after their sigmoid or tanh, to be looked at.

        Args:
            x_projected: (M, G*H), the input's part of each step.
            state: the state before each step.
            weights: of one layer and direction.

        Returns:
            (M, H) for each of ``gates``; None for a cell that gives none.

        Example:
            >>> from ostinato.cells import get
            >>> zeros = torch.zeros(3, 2)
            >>> get("elman").gate_values(zeros, (zeros,), {"weight_hh": torch.zeros(2, 2)})["h"].shape
            torch.Size([3, 2])
        """
        return None

    def undefined_options(self) -> dict[str, str]:
        """Options of a layer that are not defined for this cell, and why.

        Example:
            >>> from ostinato.cells import get
            >>> get("gru").undefined_options()
            {'proj_size': 'it has no projection'}
        """
        found: dict[str, str] = {}
        if self.keeping_gate is None:
            found |= dict.fromkeys(("forget_bias", "chrono"), "it has no gate that keeps the state")
        if not self.supports_projection:
            found["proj_size"] = "it has no projection"
        if "mask" not in inspect.signature(self.step).parameters:
            found["recurrent_dropout"] = (
                "its `step` takes no `mask: Tensor | None = None`, to multiply h by where it meets `weight_hh`"
            )
        if "weight_hh" not in self.parameter_shapes(1, 1):
            found["weight_dropout"] = "it has no `weight_hh`"
        return found


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
