"""What the native core computes for a layer, and the layer's tensors padded and joined as the core wants them.

The core wants every number of units to be a multiple of 16: weights are padded with zeros where they aren't.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

UNIT_MULTIPLE = 16
NUM_GATES = {"elman": 1, "elman_relu": 1, "gru": 3, "lstm": 4}
STACKED = ("peepholes", "gain_hh", "gain_c", "bias_c")
"""Weights that the core takes with both directions in one array."""


@dataclass(frozen=True)
class Plan:
    """All that is known of a layer before its tensors.

    Args:
        kernel: its name: elman, elman_relu, gru or lstm.
        names: of the weights of each direction, in the order they are given. Without weight_ih the values are the
            input's sums already, biases included but for a `bias_hn`.
        noise: names of the noise tensors, each (D, ...): hidden_mask, zoneout_h, zoneout_c.
        reset_before: GRU: the reset gate acts before the product.
        precision: full or bf16.
    """

    kernel: str
    names: tuple[str, ...]
    noise: tuple[str, ...] = ()
    reset_before: bool = False
    precision: str = "full"

    @property
    def num_gates(self) -> int:
        """G."""
        return NUM_GATES[self.kernel]

    @property
    def projected(self) -> bool:
        """Whether the values are the input's sums."""
        return "weight_ih" not in self.names

    @property
    def resets_after(self) -> bool:
        """Whether W_hn h + b_hn is kept apart."""
        return self.kernel == "gru" and not self.reset_before

    def to_text(self) -> str:
        """As operators take it."""
        return ";".join(
            (self.kernel, ",".join(self.names), ",".join(self.noise), str(int(self.reset_before)), self.precision)
        )

    @staticmethod
    @lru_cache(maxsize=256)
    def from_text(text: str) -> Plan:
        """The inverse of `to_text`."""
        kernel, names, noise, reset_before, precision = text.split(";")
        given = tuple(noise.split(",")) if noise else ()
        return Plan(kernel, tuple(names.split(",")), given, reset_before == "1", precision)


class Layer:
    """Sizes and weights of a layer.

    Args:
        plan: what it is.
        initial: (D, N, P), LSTM also (D, N, H); P is the size of the output.
        weights: each direction's, one direction after the other.
    """

    def __init__(self, plan: Plan, initial: Sequence[Tensor], weights: Sequence[Tensor]) -> None:
        self.plan = plan
        self.num_gates = plan.num_gates
        self.num_directions, self.num_rows, self.output_size = initial[0].shape
        count = len(plan.names)
        self.directions = [
            dict(zip(plan.names, weights[d * count : (d + 1) * count], strict=True)) for d in range(self.num_directions)
        ]
        self.hidden_size = self.directions[0]["weight_hh"].shape[0] // self.num_gates
        self.units, self.output_units = padded(self.hidden_size), padded(self.output_size)
        self.projects = "weight_hr" in plan.names
        self.normalises = "gain_hh" in plan.names

    def weight_ih(self) -> Tensor:
        """(D*G*units, I)."""
        return _join([self.pad_gates(weights["weight_ih"]) for weights in self.directions])

    def project(self, values: Tensor, consume: bool = False) -> Tensor:
        """(sum L, I) -> (sum L, D*G*units): x W_ih^T and all biases but GRU's b_hn.

        In memory of its own, unless the values are the sums themselves and may be consumed.

        Padded units are filled in after the product: infinite inputs times their zero weights would be NaN.
        """
        if self.plan.projected:
            gates = values
        else:
            weight = _join([weights["weight_ih"] for weights in self.directions])
            gates = product(values, weight.t(), self.plan.precision, self.bias())
        split = gates.view(-1, self.num_directions * self.num_gates, self.hidden_size)
        full = _pad(split, self.units).flatten(1)
        return full if consume or full.data_ptr() != values.data_ptr() else full.clone()

    def weight_hh(self) -> list[Tensor]:
        """(G*units, output_units) for each direction."""
        return [_pad(self.pad_gates(w["weight_hh"]), self.output_units).detach().contiguous() for w in self.directions]

    def weight_hr(self) -> list[Tensor]:
        """(output_units, units) for each direction; none without a projection."""
        if not self.projects:
            return []
        missing = (0, self.units - self.hidden_size, 0, self.output_units - self.output_size)
        return [F.pad(weights["weight_hr"], missing).detach().contiguous() for weights in self.directions]

    def bias(self) -> Tensor | None:
        """(D*G*H,): what is added before the recurrence; where b_hn is kept apart, all but b_hn."""
        if "bias_ih" not in self.plan.names:
            return None
        return _join([w["bias_ih"] + split_bias(w["bias_hh"], self.plan.resets_after)[0] for w in self.directions])

    def bias_hn(self) -> list[Tensor]:
        """(units,) for each direction where b_hn is kept apart; else none."""
        if "bias_hn" in self.plan.names:
            return [_pad(w["bias_hn"], self.units).detach().contiguous() for w in self.directions]
        if not self.plan.resets_after or "bias_hh" not in self.plan.names:
            return []
        found = (w["bias_hh"][2 * self.hidden_size :] for w in self.directions)
        return [_pad(bias, self.units).detach().contiguous() for bias in found]

    def extras(self, noise: Sequence[Tensor]) -> dict[str, object]:
        """What is added to the plain cell, by the core's names; empty for the plain cell."""
        plan = self.plan
        found: dict[str, object] = {}
        for name, tensor in zip(plan.noise, noise, strict=True):
            size = self.units if name == "zoneout_c" else self.output_units
            found[name] = _pad(tensor.detach(), size).contiguous()
        for name in STACKED:
            if name in plan.names:
                found[name] = torch.stack([self.pad_gates(w[name]) for w in self.directions]).detach()
        if found or plan.reset_before or plan.precision != "full":
            found |= {"reset_before": plan.reset_before, "precision": plan.precision, "count": self.hidden_size}
        return found

    def pad_states(self, states: Sequence[Tensor | None], like: Sequence[Tensor]) -> list[Tensor]:
        """Copies of (D, N, P) and (D, N, H), padded; zeros for None."""
        sizes = (self.output_units, self.units)
        return [
            part.new_zeros(*part.shape[:2], size)
            if state is None
            else _pad(state.detach(), size).clone(memory_format=torch.contiguous_format)
            for state, part, size in zip(states, like, sizes, strict=False)
        ]

    def cut_states(self, states: Sequence[Tensor]) -> list[Tensor]:
        """The inverse of `pad_states`."""
        return [cut(part, size) for part, size in zip(states, (self.output_size, self.hidden_size), strict=False)]

    def pad_gates(self, tensor: Tensor) -> Tensor:
        """(k*H, ...) -> (k*units, ...)."""
        if self.units == self.hidden_size:
            return tensor
        count = tensor.shape[0] // self.hidden_size
        split = tensor.reshape(count, self.hidden_size, -1)
        full = F.pad(split, (0, 0, 0, self.units - self.hidden_size))
        return full.view(count * self.units, *tensor.shape[1:])

    def cut_gates(self, tensor: Tensor) -> Tensor:
        """(k*units, ...) -> (k*H, ...)."""
        if self.units == self.hidden_size:
            return tensor
        split = tensor.view(tensor.shape[0] // self.units, self.units, -1)[:, : self.hidden_size]
        return split.reshape(-1, *tensor.shape[1:])

    def pad_output(self, tensor: Tensor) -> Tensor:
        """(sum L, D*P) -> (sum L, D*output_units)."""
        split = tensor.detach().reshape(-1, self.num_directions, self.output_size)
        return _pad(split, self.output_units).contiguous().flatten(1)

    def cut_output(self, tensor: Tensor) -> Tensor:
        """(sum L, D*output_units) -> (sum L, D*P)."""
        if self.output_units == self.output_size:
            return tensor
        return (
            tensor.view(-1, self.num_directions, self.output_units)[..., : self.output_size]
            .reshape(len(tensor), -1)
            .contiguous()
        )


def split_bias(bias_hh: Tensor, resets_after: bool) -> tuple[Tensor, Tensor]:
    """What may be added to the input's sums, (G*H,), and a GRU's b_hn, (H,), which is kept apart if it resets after."""
    if not resets_after:
        return bias_hh, bias_hh[:0]
    begin = 2 * len(bias_hh) // 3
    return torch.cat([bias_hh[:begin], bias_hh.new_zeros(len(bias_hh) - begin)]), bias_hh[begin:]


def product(a: Tensor, b: Tensor, precision: str, bias: Tensor | None = None) -> Tensor:
    """`a @ b + bias`; in bf16 both are rounded, and so is their product, before the bias is added."""
    if precision == "bf16":
        found = (a.bfloat16() @ b.bfloat16()).float()
        return found if bias is None else found.add_(bias)
    return a @ b if bias is None else torch.addmm(bias, a, b)


def padded(size: int) -> int:
    """The next multiple of 16."""
    return -(-size // UNIT_MULTIPLE) * UNIT_MULTIPLE


def cut(tensor: Tensor, size: int) -> Tensor:
    """The first `size` of the last axis."""
    return tensor if tensor.shape[-1] == size else tensor[..., :size].contiguous()


def _join(tensors: list[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)


def _pad(tensor: Tensor, size: int) -> Tensor:
    missing = size - tensor.shape[-1]
    return F.pad(tensor, (0, missing)) if missing else tensor
