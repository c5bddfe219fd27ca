"""One layer in the native core, forward and backward: what is computed where. `native` makes a backend of it.

Forward: gates = x W_ih^T + biases for all steps and directions, one matrix product; the recurrence in the core, which
leaves activations in `gates`. Backward: the recurrence's gradient in the core, which leaves the gradients of all sums
in `d_gates`; from those the gradients of weights and input are matrix products again.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ostinato.kernels.native_plan import Layer, Plan, cut, product

logger = logging.getLogger("ostinato")


def _load_core() -> Any:
    try:
        return importlib.import_module("ostinato._native")
    except ModuleNotFoundError:
        return None


core: Any = _load_core()
"""The compiled module, or None where it was left out (`native.missing_reason` says why)."""

_most_threads = 1


def num_threads() -> int:
    """Torch's, and remembered: a forked process must not use them again."""
    global _most_threads
    count = torch.get_num_threads()
    _most_threads = max(_most_threads, count)
    return count


def _after_fork() -> None:
    if _most_threads > 1:
        torch.set_num_threads(1)
        logger.warning("a forked process lacks the threads of its parent: torch runs in one thread here")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

Saved = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""What the backward pass needs besides the arguments and the output: gates; memory (LSTM: c of every step; GRU: W_hn h
+ b_hn, or r h where it resets before the product), (D, sum L, units); o tanh(c) before a projection; with layer norm
the normalised sums, (D, sum L, G*units), and their inverse standard deviation. (0,) where there is none."""


@dataclass(frozen=True)
class Call:
    """The arguments of a layer's forward pass, which its backward pass needs again.

    Args:
        plan: what the layer is.
        values: (sum L, I) packed time-major, at least one value; or the input's sums, (sum L, D*G*H).
        batch_sizes: (max L,) int64.
        initial: (D, N, P), LSTM also (D, N, H); the second direction starts at each row's end.
        weights: those `plan` names, direction after direction.
        noise: those `plan` names.
    """

    plan: Plan
    values: Tensor
    batch_sizes: Tensor
    initial: Sequence[Tensor]
    weights: Sequence[Tensor]
    noise: Sequence[Tensor]


def forward(call: Call, consume: bool = False) -> tuple[Tensor, list[Tensor], Saved]:
    """Output (sum L, D*P), final states shaped as the initial ones, and what `backward` needs.

    Args:
        call: the layer and its input.
        consume: whether values that are sums may be overwritten.
    """
    plan, values = call.plan, call.values
    layer = Layer(plan, call.initial, call.weights)
    gates = layer.project(values, consume)
    count, lstm = len(values), plan.kernel == "lstm"
    shape = (layer.num_directions, count, layer.units)
    output = values.new_empty(count, layer.num_directions * layer.output_units)
    memory = values.new_empty(shape) if layer.num_gates > 1 else None
    unprojected = values.new_empty(shape) if layer.projects else None
    extras = layer.extras(call.noise)
    normalised, inverse_std = values.new_empty(0), values.new_empty(0)
    if layer.normalises:
        normalised = values.new_empty(layer.num_directions, count, layer.num_gates * layer.units)
        inverse_std = values.new_empty(layer.num_directions, count)
        extras |= {"normalised": normalised, "inverse_std": inverse_std}
    states = layer.pad_states(call.initial, call.initial)
    ends = [part.clone() for part in states]
    core.forward(
        plan.kernel, call.batch_sizes, layer.weight_hh(), layer.weight_hr(), layer.bias_hn(), states[0],
        states[1] if lstm else None, gates.detach(), output, memory, unprojected, ends[0], ends[1] if lstm else None,
        False, num_threads(), extras,
    )  # fmt: skip
    kept = [values.new_empty(0) if part is None else part for part in (memory, unprojected)]
    return layer.cut_output(output), layer.cut_states(ends), (gates, kept[0], kept[1], normalised, inverse_std)


def backward(
    call: Call,
    output: Tensor,
    saved: Saved,
    d_output: Tensor | None,
    d_final: Sequence[Tensor | None],
    d_memory: Tensor | None,
    need_values: bool,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Gradients of values ((0,) unless needed), of the initial states, and of the weights in their order.

    Args:
        call: as for `forward`.
        output, saved: what `forward` returned.
        d_output, d_final: gradients of the output and the final states; None: zero.
        d_memory: LSTM: of the saved memory, c of every step; None: zero.
        need_values: whether the input needs a gradient.
    """
    plan, values = call.plan, call.values
    layer = Layer(plan, call.initial, call.weights)
    gates, memory, unprojected, normalised, inverse_std = (part.detach() for part in saved)
    states, d_states = layer.pad_states(call.initial, call.initial), layer.pad_states(d_final, call.initial)
    out, lstm, count = layer.pad_output(output), plan.kernel == "lstm", len(values)
    shape = (layer.num_directions, count, layer.output_units)
    d_gates = torch.empty_like(gates)
    found = _Found(d_gates, d_gates)
    if not _is_dense(call):
        found.before = values.new_empty(shape)
    if plan.resets_after:
        found.d_hidden_n = values.new_empty(shape)
    if layer.projects:
        found.d_projected = values.new_empty(shape)
    extras = layer.extras(call.noise)
    if extras and any(name in plan.names for name in ("peepholes", "gain_hh")):
        width = (5 + layer.num_gates) * layer.units
        found.d_vectors = values.new_zeros(layer.num_directions, layer.num_rows, width)
        extras["d_vectors"] = found.d_vectors
    if layer.normalises:
        found.d_recurrent = torch.empty_like(normalised)
        extras |= {"normalised": normalised, "inverse_std": inverse_std, "d_recurrent": found.d_recurrent}
    core.backward(
        plan.kernel, call.batch_sizes, layer.weight_hh(), layer.weight_hr(), states[0], states[1] if lstm else None,
        gates, out, memory if layer.num_gates > 1 else None,
        torch.zeros_like(out) if d_output is None else layer.pad_output(d_output), d_states[0],
        d_states[1] if lstm else None, found.d_gates, found.d_hidden_n, found.d_projected, found.before, False,
        torch.get_num_threads(), None if d_memory is None else d_memory.contiguous(), extras,
    )  # fmt: skip
    if plan.precision == "bf16":
        found.d_products = d_gates.bfloat16()
    d_values = _value_gradients(layer, found) if need_values else values.new_empty(0)
    before = _Before(out, states[0], found.before, layer)
    d_weights = [
        gradient
        for d in range(layer.num_directions)
        for gradient in _weight_gradients(layer, d, values, found, before, memory, unprojected)
    ]
    return d_values, layer.cut_states(d_states), d_weights


@dataclass
class _Found:
    """What the core's backward pass writes; `d_products` is d_gates in the precision of products, rounded once."""

    d_gates: Tensor
    d_products: Tensor
    before: Tensor | None = None
    d_hidden_n: Tensor | None = None
    d_projected: Tensor | None = None
    d_vectors: Tensor | None = None
    d_recurrent: Tensor | None = None


def _is_dense(call: Call) -> bool:
    """Whether all rows have all steps, so that the state before a step lies a step away in the output; no mask."""
    num_rows, num_steps = call.initial[0].shape[1], len(call.batch_sizes)
    return len(call.values) == num_rows * num_steps and "hidden_mask" not in call.plan.names + call.plan.noise


class _Before:
    """The state before each step, to be multiplied with a gradient from the left."""

    def __init__(self, out: Tensor, h_0: Tensor, copied: Tensor | None, layer: Layer) -> None:
        self._out, self._h_0, self._copied = out, h_0, copied
        self._units, self._precision = layer.output_units, layer.plan.precision

    def times(self, gradient: Tensor, d: int) -> Tensor:
        """(sum L, k) -> (k, P): gradient^T h_before, of direction `d`."""
        if self._copied is not None:
            return product(gradient.t(), self._copied[d], self._precision)
        own = self._out[:, d * self._units : (d + 1) * self._units]
        rows = self._h_0.shape[1]
        later, first = (gradient[rows:], gradient[:rows]) if d == 0 else (gradient[:-rows], gradient[-rows:])
        earlier = own[:-rows] if d == 0 else own[rows:]
        return product(later.t(), earlier, self._precision).addmm_(first.t().to(self._h_0.dtype), self._h_0[d])


def _value_gradients(layer: Layer, found: _Found) -> Tensor:
    """(sum L, I), or of the sums themselves."""
    if not layer.plan.projected:
        return product(found.d_products, layer.weight_ih(), layer.plan.precision)
    split = found.d_gates.view(len(found.d_gates), -1, layer.units)
    return cut(split, layer.hidden_size).flatten(1)


def _weight_gradients(
    layer: Layer, d: int, values: Tensor, found: _Found, before: _Before, memory: Tensor, unprojected: Tensor
) -> list[Tensor]:
    """Of the weights of direction `d`, in their order."""
    plan, units = layer.plan, layer.units
    size = layer.num_gates * units
    own = found.d_products[:, d * size : (d + 1) * size]
    gradients = {"weight_hh": _recurrent_gradient(layer, d, own, found, before, memory)}
    if not plan.projected:
        gradients["weight_ih"] = layer.cut_gates(product(own.t(), values, plan.precision))
    if "bias_ih" in plan.names:
        d_bias = found.d_gates[:, d * size : (d + 1) * size].sum(0)
        gradients["bias_ih"] = layer.cut_gates(d_bias)
        if found.d_hidden_n is not None:
            d_bias = torch.cat([d_bias[: 2 * units], found.d_hidden_n[d].sum(0)])
        gradients["bias_hh"] = layer.cut_gates(d_bias)
    if "bias_hn" in plan.names and found.d_hidden_n is not None:
        gradients["bias_hn"] = layer.cut_gates(found.d_hidden_n[d].sum(0))
    if found.d_projected is not None:
        whole = product(found.d_projected[d].t(), unprojected[d], plan.precision)
        gradients["weight_hr"] = whole[: layer.output_size, : layer.hidden_size]
    if found.d_vectors is not None:
        parts = torch.split(found.d_vectors[d].sum(0), [3 * units, units, units, size])
        for name, part in zip(("peepholes", "gain_c", "bias_c", "gain_hh"), parts, strict=True):
            gradients[name] = layer.cut_gates(part)
    return [gradients[name] for name in plan.names]


def _recurrent_gradient(layer: Layer, d: int, own: Tensor, found: _Found, before: _Before, memory: Tensor) -> Tensor:
    """Of weight_hh, (G*H, P)."""
    if found.d_recurrent is not None:
        whole = before.times(found.d_recurrent[d], d)
    elif layer.plan.kernel == "gru":
        shared, last = own[:, : 2 * layer.units], own[:, 2 * layer.units :]
        d_weight_hn = (
            product(last.t(), memory[d], layer.plan.precision)
            if found.d_hidden_n is None
            else before.times(found.d_hidden_n[d], d)
        )
        whole = torch.cat([before.times(shared, d), d_weight_hn])
    else:
        whole = before.times(own, d)
    return layer.cut_gates(cut(whole, layer.output_size))
