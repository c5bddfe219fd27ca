"""The ``native`` backend: whole layers, forward and backward, in the C++ core (``native/``), on a CPU.

The input projections of all steps and directions are one matrix product, which torch runs at the machine's peak; the
recurrence then runs in the core, each row from its first step to its last without a barrier, and leaves the gradients of
all sums behind, of which the weights' gradients are matrix products again. Nothing is computed on padding.

Memory kept for the backward pass, bytes a token, layer and direction (float32): LSTM 4 * 6H, GRU 4 * 5H, Elman 4 * 2H,
besides the input. What a row's numbers are depends neither on the other rows nor on the number of threads; the weights'
gradients are sums over rows, whose order the number of threads may change.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.cells import Cell, Weights
from ostinato.errors import BackendError
from ostinato.kernels.reference import no_outputs
from ostinato.types import Ragged, State

try:
    from ostinato import _native  # type: ignore[attr-defined, unused-ignore]
except ImportError:
    _native = None

TARGET_VARIABLE = "OSTINATO_NATIVE_TARGET"
_CELLS = ("elman", "elman_relu", "gru", "lstm")
_DTYPES = (torch.float32, torch.float64)


def missing_reason() -> str | None:
    """Why the core is not there, or None if it is."""
    if _native is not None:
        return None
    note = Path(__file__).parents[1] / "native-missing.txt"
    return note.read_text().strip() if note.is_file() else "the core is not installed; install Ostinato with a C++ compiler"


def targets() -> dict[str, bool]:
    """The instruction sets compiled in, best first, and whether this processor has each; empty without the core."""
    return dict(_native.targets()) if _native is not None else {}


def target() -> str | None:
    """The instruction set in use; `OSTINATO_NATIVE_TARGET` forces one. None without the core.

    Raises:
        BackendError: if the one forced is unknown, or this processor lacks it.
    """
    if _native is None:
        return None
    forced = os.environ.get(TARGET_VARIABLE)
    if forced and forced != _native.target():
        try:
            _native.force_target(forced)
        except ValueError as error:
            raise BackendError(f"environment variable {TARGET_VARIABLE}: {error}.") from error
    return str(_native.target())


def unavailable_reason(cell: Cell, device: torch.device, dtype: torch.dtype) -> str | None:
    """Why this backend can't run `cell` there, or None if it can."""
    missing = missing_reason()
    if missing is not None:
        return missing
    if cell.name not in _CELLS:
        return f"the core has no kernel for the cell `{cell.name}`"
    if device.type != "cpu":
        return f"it runs on the cpu, not on {device.type}"
    if dtype not in _DTYPES:
        return f"it computes in float32 or float64, not in {dtype}"
    return None


def layer(
    cell: Cell, batch: Ragged, states: Sequence[State], weights: Sequence[Weights]
) -> tuple[Tensor, list[State]]:
    """Run a layer, both directions at once; arguments and returns as in `dispatch.layer`."""
    target()
    if len(batch.batch_sizes) == 0:
        empty = [no_outputs(cell, batch.values, state) for state in states]
        return torch.cat(empty, dim=1), list(states)
    dtype = weights[0]["weight_ih"].dtype
    initial = [torch.stack(parts).to(dtype) for parts in zip(*states, strict=True)]  # (D, N, H) each
    flat = [tensor for direction in weights for tensor in direction.values()]
    with torch.autocast("cpu", enabled=False):
        output, h_n, c_n, _, _ = _forward(
            cell.name, batch.values.to(dtype), batch.batch_sizes, initial, flat, torch.get_num_threads()
        )
    finals = (h_n, c_n) if len(initial) == 2 else (h_n,)
    return output, [tuple(part[d] for part in finals) for d in range(len(states))]


class _Layer:
    """Sizes of a layer, and its weights as the core wants them: units padded with zeros, directions joined."""

    def __init__(self, cell: str, values: Tensor, initial: Sequence[Tensor], weights: Sequence[Tensor]) -> None:
        self.cell = cell
        self.num_directions, self.num_rows, self.hidden_size = initial[0].shape
        self.units = -(-self.hidden_size // _native.UNIT_MULTIPLE) * _native.UNIT_MULTIPLE
        self.num_gates = {"lstm": 4, "gru": 3}.get(cell, 1)
        self.num_values = values.shape[0]
        per_direction = len(weights) // self.num_directions
        self.has_bias = per_direction == 4
        self.directions = [weights[d * per_direction : (d + 1) * per_direction] for d in range(self.num_directions)]

    @property
    def has_memory(self) -> bool:
        return self.cell in ("lstm", "gru")

    def weight_ih(self) -> Tensor:
        """(D*G*units, I)."""
        return torch.cat([self.pad_gates(weights[0]) for weights in self.directions])

    def weight_hh(self) -> list[Tensor]:
        """(G*units, units) for each direction."""
        return [self.pad_units(self.pad_gates(weights[1])).contiguous() for weights in self.directions]

    def bias(self) -> Tensor | None:
        """(D*G*units,): what is added before the recurrence; GRU: all but b_hn."""
        if not self.has_bias:
            return None
        sums = []
        for _, _, bias_ih, bias_hh in self.directions:
            if self.cell == "gru":
                bias_hh = torch.cat([bias_hh[: 2 * self.hidden_size], bias_hh.new_zeros(self.hidden_size)])
            sums.append(self.pad_gates(bias_ih + bias_hh))
        return torch.cat(sums)

    def bias_hn(self) -> list[Tensor]:
        """GRU: (units,) for each direction."""
        if self.cell != "gru" or not self.has_bias:
            return []
        return [self.pad_units(weights[3][2 * self.hidden_size :]).contiguous() for weights in self.directions]

    def pad_units(self, tensor: Tensor) -> Tensor:
        """(..., H) -> (..., units)."""
        missing = self.units - self.hidden_size
        return F.pad(tensor, (0, missing)) if missing else tensor

    def pad_gates(self, tensor: Tensor) -> Tensor:
        """(G*H, ...) -> (G*units, ...)."""
        if self.units == self.hidden_size:
            return tensor
        split = tensor.view(self.num_gates, self.hidden_size, -1)
        padded = F.pad(split, (0, 0, 0, self.units - self.hidden_size))
        return padded.view(self.num_gates * self.units, *tensor.shape[1:])

    def pad_output(self, tensor: Tensor) -> Tensor:
        """(sum L, D*H) -> (sum L, D*units)."""
        if self.units == self.hidden_size:
            return tensor.contiguous()
        return self.pad_units(tensor.reshape(-1, self.num_directions, self.hidden_size)).flatten(1)

    def cut_units(self, tensor: Tensor) -> Tensor:
        """(..., units) -> (..., H)."""
        return tensor if self.units == self.hidden_size else tensor[..., : self.hidden_size].contiguous()

    def cut_gates(self, tensor: Tensor) -> Tensor:
        """(G*units, ...) -> (G*H, ...)."""
        if self.units == self.hidden_size:
            return tensor
        return tensor.view(self.num_gates, self.units, -1)[:, : self.hidden_size].reshape(-1, *tensor.shape[1:])

    def cut_output(self, tensor: Tensor) -> Tensor:
        """(sum L, D*units) -> (sum L, D*H)."""
        if self.units == self.hidden_size:
            return tensor
        return tensor.view(-1, self.num_directions, self.units)[..., : self.hidden_size].flatten(1)

    def buffer(self, *shape: int, like: Tensor) -> Tensor:
        return torch.empty(shape, dtype=like.dtype)


@torch.library.custom_op("ostinato::recurrent_layer", mutates_args=())
def _forward(
    cell: str, values: Tensor, batch_sizes: Tensor, initial: list[Tensor], weights: list[Tensor], num_threads: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Output (sum L, D*H), h_n and c_n (D, N, H), and what the backward pass needs: gates and memory."""
    layer = _Layer(cell, values, initial, weights)
    states = [layer.pad_units(part.detach()).contiguous() for part in initial]
    bias, weight_ih = layer.bias(), layer.weight_ih()
    gates = values @ weight_ih.t() if bias is None else torch.addmm(bias, values, weight_ih.t())
    output = layer.buffer(layer.num_values, layer.num_directions * layer.units, like=values)
    memory = (
        layer.buffer(layer.num_directions, layer.num_values, layer.units, like=values) if layer.has_memory else None
    )
    ends = [part.clone() for part in states]
    c_0, c_n = (states[1], ends[1]) if cell == "lstm" else (None, None)
    _native.forward(
        cell, batch_sizes, [w.detach() for w in layer.weight_hh()], [b.detach() for b in layer.bias_hn()], states[0], c_0,
        gates.detach(), output, memory, ends[0], c_n, False, num_threads,
    )  # fmt: skip
    none = values.new_empty(0)
    return (
        layer.cut_output(output),
        layer.cut_units(ends[0]),
        none if c_n is None else layer.cut_units(c_n),
        gates,
        none.clone() if memory is None else memory,
    )


@torch.library.custom_op("ostinato::recurrent_layer_backward", mutates_args=())
def _backward(
    cell: str, values: Tensor, batch_sizes: Tensor, initial: list[Tensor], weights: list[Tensor], num_threads: int,
    output: Tensor, gates: Tensor, memory: Tensor, d_output: Tensor | None, d_h_n: Tensor | None,
    d_c_n: Tensor | None, need_values: bool,
) -> list[Tensor]:  # fmt: skip
    """Gradients of values (empty unless needed), of the initial states, and of the weights, in this order."""
    layer = _Layer(cell, values, initial, weights)
    states = [layer.pad_units(part.detach()).contiguous() for part in initial]
    out = layer.pad_output(output)
    d_out = torch.zeros_like(out) if d_output is None else layer.pad_output(d_output)
    d_states = [
        torch.zeros_like(part) if gradient is None else layer.pad_units(gradient).clone(memory_format=torch.contiguous_format)
        for part, gradient in zip(states, (d_h_n, d_c_n), strict=False)
    ]
    lstm, gru = cell == "lstm", cell == "gru"
    d_gates = torch.empty_like(gates)
    shape = (layer.num_directions, layer.num_values, layer.units)
    before = layer.buffer(*shape, like=values)
    d_hidden_n = layer.buffer(*shape, like=values) if gru else None
    _native.backward(
        cell, batch_sizes, [w.detach() for w in layer.weight_hh()], states[0], states[1] if lstm else None, gates, out,
        memory if layer.has_memory else None, d_out, d_states[0], d_states[1] if lstm else None, d_gates, d_hidden_n,
        before, False, num_threads,
    )  # fmt: skip
    d_values = d_gates @ layer.weight_ih() if need_values else values.new_empty(0)
    d_weight_ih = d_gates.t() @ values  # (D*G*units, I)
    d_bias = d_gates.sum(0)
    found = [d_values, *(layer.cut_units(part) for part in d_states)]
    size = layer.num_gates * layer.units
    for d in range(layer.num_directions):
        part = slice(d * size, (d + 1) * size)
        if d_hidden_n is None:
            d_weight_hh = d_gates[:, part].t() @ before[d]
            d_bias_hh = d_bias[part]
        else:
            both = slice(d * size, d * size + 2 * layer.units)
            d_weight_hh = torch.cat([d_gates[:, both].t() @ before[d], d_hidden_n[d].t() @ before[d]])
            d_bias_hh = torch.cat([d_bias[both], d_hidden_n[d].sum(0)])
        found += [layer.cut_gates(d_weight_ih[part]), layer.cut_gates(layer.cut_units(d_weight_hh))]
        if layer.has_bias:
            found += [layer.cut_gates(d_bias[part]), layer.cut_gates(d_bias_hh)]
    return [tensor.clone() if tensor._base is not None else tensor for tensor in found]


@_forward.register_fake
def _(
    cell: str, values: Tensor, batch_sizes: Tensor, initial: list[Tensor], weights: list[Tensor], num_threads: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    num_directions, num_rows, hidden_size = initial[0].shape
    units = (hidden_size + 15) // 16 * 16
    num_gates = {"lstm": 4, "gru": 3}.get(cell, 1)
    num_values = values.shape[0]
    return (
        values.new_empty(num_values, num_directions * hidden_size),
        values.new_empty(num_directions, num_rows, hidden_size),
        values.new_empty((num_directions, num_rows, hidden_size) if cell == "lstm" else (0,)),
        values.new_empty(num_values, num_directions * num_gates * units),
        values.new_empty((num_directions, num_values, units) if num_gates > 1 else (0,)),
    )


@_backward.register_fake
def _(
    cell: str, values: Tensor, batch_sizes: Tensor, initial: list[Tensor], weights: list[Tensor], num_threads: int,
    output: Tensor, gates: Tensor, memory: Tensor, d_output: Tensor | None, d_h_n: Tensor | None,
    d_c_n: Tensor | None, need_values: bool,
) -> list[Tensor]:  # fmt: skip
    d_values = torch.empty_like(values) if need_values else values.new_empty(0)
    return [d_values, *(torch.empty_like(part) for part in (*initial, *weights))]


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    cell, values, batch_sizes, initial, weights, num_threads = inputs
    out, _, _, gates, memory = output
    ctx.cell, ctx.num_threads, ctx.num_initial = cell, num_threads, len(initial)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(values, batch_sizes, out, gates, memory, *initial, *weights)


def _differentiate(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
    values, batch_sizes, out, gates, memory, *rest = ctx.saved_tensors
    initial, weights = rest[: ctx.num_initial], rest[ctx.num_initial :]
    d_values, *others = cast(
        "list[Tensor]",
        _backward(
            ctx.cell, values, batch_sizes, initial, weights, ctx.num_threads, out, gates, memory, *gradients[:3],
            ctx.needs_input_grad[1],
        ),
    )  # fmt: skip
    return (
        None,
        d_values if ctx.needs_input_grad[1] else None,
        None,
        others[: ctx.num_initial],
        others[ctx.num_initial :],
        None,
    )


def _no_second_derivative(ctx: Any, *gradients: Any) -> None:
    raise BackendError(
        "the native backend has no second derivative.", hint='build the layer with backend="reference", which has'
    )


_forward.register_autograd(_differentiate, setup_context=_remember)
_backward.register_autograd(_no_second_derivative, setup_context=lambda ctx, inputs, output: None)
