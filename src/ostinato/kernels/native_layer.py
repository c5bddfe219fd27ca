"""One layer in the native core, forward and backward: what is computed where. `native` makes a backend of it.

Forward: gates = x W_ih^T + biases for all steps and directions, one matrix product; the recurrence in the core, which
leaves activations in `gates`. Backward: the recurrence's gradient in the core, which leaves the gradients of all sums
in `d_gates`; from those the gradients of weights and input are matrix products again.

The core wants every number of units to be a multiple of 16: weights are padded with zeros where they aren't.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def _load_core() -> Any:
    try:
        return importlib.import_module("ostinato._native")
    except ModuleNotFoundError:
        return None


core: Any = _load_core()
"""The compiled module, or None where it was left out (`native.missing_reason` says why)."""

_UNIT_MULTIPLE = 16
_NUM_GATES = {"elman": 1, "elman_relu": 1, "gru": 3, "lstm": 4}


class Layer:
    """Sizes and weights of a layer, padded and joined as the core wants them.

    Args:
        cell: its name.
        initial: (D, N, P), LSTM also (D, N, H); P is the size of the output.
        weights: for each direction weight_ih (G*H, I), weight_hh (G*H, P), the biases (G*H,) if there are any, and
            weight_hr (P, H) if there is a projection.
    """

    def __init__(self, cell: str, initial: Sequence[Tensor], weights: Sequence[Tensor]) -> None:
        self.cell = cell
        self.num_gates = _NUM_GATES[cell]
        self.num_directions, _, self.output_size = initial[0].shape
        count = len(weights) // self.num_directions
        self.has_bias = count > 3
        self.directions = [weights[d * count : (d + 1) * count] for d in range(self.num_directions)]
        self.hidden_size = weights[0].shape[0] // self.num_gates
        self.projects = count % 2 == 1
        self.units, self.output_units = padded(self.hidden_size), padded(self.output_size)

    def weight_ih(self) -> Tensor:
        """(D*G*units, I)."""
        return _join([self.pad_gates(weights[0]) for weights in self.directions])

    def project(self, values: Tensor) -> Tensor:
        """(sum L, I) -> (sum L, D*G*units): x W_ih^T and all biases but GRU's b_hn.

        Padded units are filled in after the product: infinite inputs times their zero weights would be NaN.
        """
        weight = _join([weights[0] for weights in self.directions])
        bias = self.bias()
        gates = values @ weight.t() if bias is None else torch.addmm(bias, values, weight.t())
        split = gates.view(-1, self.num_directions * self.num_gates, self.hidden_size)
        return _pad(split, self.units).flatten(1)

    def weight_hh(self) -> list[Tensor]:
        """(G*units, output_units) for each direction."""
        return [_pad(self.pad_gates(w[1]), self.output_units).detach().contiguous() for w in self.directions]

    def weight_hr(self) -> list[Tensor]:
        """(output_units, units) for each direction; none without a projection."""
        if not self.projects:
            return []
        missing = (0, self.units - self.hidden_size, 0, self.output_units - self.output_size)
        return [F.pad(weights[-1], missing).detach().contiguous() for weights in self.directions]

    def bias(self) -> Tensor | None:
        """(D*G*H,): what is added before the recurrence; GRU: all but b_hn."""
        if not self.has_bias:
            return None
        sums = []
        for weights in self.directions:
            bias_ih, bias_hh = weights[2:4]
            if self.cell == "gru":
                bias_hh = torch.cat([bias_hh[: 2 * self.hidden_size], bias_hh.new_zeros(self.hidden_size)])
            sums.append(bias_ih + bias_hh)
        return _join(sums)

    def bias_hn(self) -> list[Tensor]:
        """GRU: (units,) for each direction; else none."""
        if self.cell != "gru" or not self.has_bias:
            return []
        return [_pad(w[3][2 * self.hidden_size :], self.units).detach().contiguous() for w in self.directions]

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
        return [_cut(part, size) for part, size in zip(states, (self.output_size, self.hidden_size), strict=False)]

    def pad_gates(self, tensor: Tensor) -> Tensor:
        """(G*H, ...) -> (G*units, ...)."""
        if self.units == self.hidden_size:
            return tensor
        split = tensor.reshape(self.num_gates, self.hidden_size, -1)
        full = F.pad(split, (0, 0, 0, self.units - self.hidden_size))
        return full.view(self.num_gates * self.units, *tensor.shape[1:])

    def cut_gates(self, tensor: Tensor) -> Tensor:
        """(G*units, ...) -> (G*H, ...)."""
        if self.units == self.hidden_size:
            return tensor
        split = tensor.view(self.num_gates, self.units, -1)[:, : self.hidden_size]
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


Saved = tuple[Tensor, Tensor, Tensor]
"""What the backward pass needs besides the arguments and the output: gates, memory (LSTM: c; GRU: W_hn h + b_hn), and
o tanh(c) before a projection; (0,) where a cell has none."""


def forward(
    cell: str,
    values: Tensor,
    batch_sizes: Tensor,
    initial: Sequence[Tensor],
    weights: Sequence[Tensor],
) -> tuple[Tensor, list[Tensor], Saved]:
    """Output (sum L, D*P), final states shaped as `initial`, and what `backward` needs.

    Args:
        cell: a name the core knows.
        values: (sum L, I), at least one value, packed time-major.
        batch_sizes: (max L,) int64.
        initial: see `Layer`; the second direction starts at each row's end.
        weights: see `Layer`.
    """
    layer = Layer(cell, initial, weights)
    gates = layer.project(values)
    shape = (layer.num_directions, len(values), layer.units)
    output = values.new_empty(len(values), layer.num_directions * layer.output_units)
    memory = values.new_empty(shape) if layer.num_gates > 1 else None
    unprojected = values.new_empty(shape) if layer.projects else None
    states = layer.pad_states(initial, initial)
    ends = [part.clone() for part in states]
    c_0, c_n = (states[1], ends[1]) if cell == "lstm" else (None, None)
    core.forward(
        cell, batch_sizes, layer.weight_hh(), layer.weight_hr(), layer.bias_hn(), states[0], c_0, gates.detach(),
        output, memory, unprojected, ends[0], c_n, False, torch.get_num_threads(), {},
    )  # fmt: skip
    none = values.new_empty(0)
    saved = (gates, none if memory is None else memory, none if unprojected is None else unprojected)
    return layer.cut_output(output), layer.cut_states(ends), saved


def backward(
    cell: str,
    values: Tensor,
    batch_sizes: Tensor,
    initial: Sequence[Tensor],
    weights: Sequence[Tensor],
    output: Tensor,
    saved: Saved,
    d_output: Tensor | None,
    d_final: Sequence[Tensor | None],
    need_values: bool,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Gradients of values ((0,) unless needed), of the initial states, and of the weights in their order.

    Args:
        cell, values, batch_sizes, initial, weights: as for `forward`.
        output, saved: what `forward` returned.
        d_output, d_final: gradients of the output and the final states; None: zero.
        need_values: whether the input needs a gradient.
    """
    layer = Layer(cell, initial, weights)
    gates, memory, unprojected = saved
    states, d_states = layer.pad_states(initial, initial), layer.pad_states(d_final, initial)
    out = layer.pad_output(output)
    d_gates = torch.empty_like(gates)
    shape = (layer.num_directions, len(values), layer.output_units)
    before = values.new_empty(shape)
    d_hidden_n = values.new_empty(shape) if cell == "gru" else None
    d_projected = values.new_empty(shape) if layer.projects else None
    c_0, d_c = (states[1], d_states[1]) if cell == "lstm" else (None, None)
    core.backward(
        cell, batch_sizes, layer.weight_hh(), layer.weight_hr(), states[0], c_0, gates.detach(), out,
        memory.detach() if layer.num_gates > 1 else None,
        torch.zeros_like(out) if d_output is None else layer.pad_output(d_output), d_states[0], d_c, d_gates,
        d_hidden_n, d_projected, before, False, torch.get_num_threads(), None, {},
    )  # fmt: skip
    d_values = d_gates @ layer.weight_ih() if need_values else values.new_empty(0)
    d_weights = _weight_gradients(layer, values, d_gates, d_hidden_n, before)
    if d_projected is not None:
        count = len(d_weights) // layer.num_directions
        for d in range(layer.num_directions):
            d_weight_hr = (d_projected[d].t() @ unprojected[d])[: layer.output_size, : layer.hidden_size]
            d_weights.insert((d + 1) * (count + 1) - 1, d_weight_hr)
    return d_values, layer.cut_states(d_states), d_weights


def _weight_gradients(
    layer: Layer, values: Tensor, d_gates: Tensor, d_hidden_n: Tensor | None, before: Tensor
) -> list[Tensor]:
    """Of weight_ih, weight_hh and biases, direction after direction; `before` (D, sum L, P): h of the step before."""
    d_weight_ih = d_gates.t() @ values  # (D*G*units, I)
    d_bias = d_gates.sum(0) if layer.has_bias else None
    found: list[Tensor] = []
    size = layer.num_gates * layer.units
    for d in range(layer.num_directions):
        own = slice(d * size, (d + 1) * size)
        if d_hidden_n is None:
            d_weight_hh = d_gates[:, own].t() @ before[d]
        else:
            shared = slice(d * size, d * size + 2 * layer.units)
            d_weight_hh = torch.cat([d_gates[:, shared].t() @ before[d], d_hidden_n[d].t() @ before[d]])
        found += [layer.cut_gates(d_weight_ih[own]), layer.cut_gates(_cut(d_weight_hh, layer.output_size))]
        if d_bias is not None:
            d_bias_hh = d_bias[own]
            if d_hidden_n is not None:
                d_bias_hh = torch.cat([d_bias_hh[: 2 * layer.units], d_hidden_n[d].sum(0)])
            found += [layer.cut_gates(d_bias[own]), layer.cut_gates(d_bias_hh)]
    return found


def padded(size: int) -> int:
    """The next multiple of 16."""
    return -(-size // _UNIT_MULTIPLE) * _UNIT_MULTIPLE


def _join(tensors: list[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)


def _pad(tensor: Tensor, size: int) -> Tensor:
    missing = size - tensor.shape[-1]
    return F.pad(tensor, (0, missing)) if missing else tensor


def _cut(tensor: Tensor, size: int) -> Tensor:
    return tensor if tensor.shape[-1] == size else tensor[..., :size].contiguous()
