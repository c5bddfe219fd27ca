"""The ``native`` backend: whole layers, forward and backward, in the C++ core (``native/``), on a CPU.

Nothing is computed on padding, and threads share out rows, so that none waits for another one at a step. Memory kept
for the backward pass, bytes a token, layer and direction in float32: LSTM 4 * 6H, GRU 4 * 5H, Elman 4 * 2H, besides
the input. What a row's numbers are depends neither on the other rows nor on the number of threads; the gradients of the
weights are sums over rows, whose order the number of threads may change.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, library

from ostinato.cells import Cell, Weights
from ostinato.errors import BackendError
from ostinato.kernels import native_layer
from ostinato.kernels.native_layer import core
from ostinato.kernels.noise import Noise
from ostinato.kernels.reference import no_outputs
from ostinato.types import Ragged, State

TARGET_VARIABLE = "OSTINATO_NATIVE_TARGET"
_CELLS = ("elman", "elman_relu", "gru", "lstm")
_DTYPES = (torch.float32, torch.float64)


def missing_reason() -> str | None:
    """Why the core is not there, or None if it is."""
    if core is not None:
        return None
    try:
        from ostinato import _native_missing  # type: ignore[attr-defined, unused-ignore]
    except ImportError:
        return "its compiled part is not installed"
    return str(_native_missing.REASON)


def targets() -> dict[str, bool]:
    """The instruction sets compiled in, best first, and whether this processor has each; empty without the core."""
    return dict(core.targets()) if core is not None else {}


def target() -> str | None:
    """The instruction set in use; `OSTINATO_NATIVE_TARGET` forces one. None without the core.

    Raises:
        BackendError: if the one forced is unknown, or this processor lacks it.
    """
    if core is None:
        return None
    forced = os.environ.get(TARGET_VARIABLE)
    if forced and forced != core.target():
        try:
            core.force_target(forced)
        except ValueError as error:
            raise BackendError(f"environment variable {TARGET_VARIABLE}: {error}.") from error
    return str(core.target())


def threads_of() -> str | None:
    """Whose threads the core runs in: torch's OpenMP team, or its own. None without the core."""
    return None if core is None else str(core.threads_of())


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
    cell: Cell,
    batch: Ragged,
    states: Sequence[State],
    weights: Sequence[Weights],
    noise: Sequence[Noise | None] | None = None,
    all_states: bool = False,
) -> tuple[Tensor, list[State], list[State]]:
    """Run a layer, both directions at once; arguments and returns as in `dispatch.layer`."""
    if len(batch.batch_sizes) == 0:
        empty = [no_outputs(cell, batch.values, state) for state in states]
        return torch.cat(empty, dim=1), list(states), []
    dtype = weights[0]["weight_ih"].dtype
    values, sizes = batch.values.to(dtype), batch.batch_sizes
    initial = [torch.stack(parts).to(dtype) for parts in zip(*states, strict=True)]  # (D, N, P), (D, N, H)
    flat = [tensor for direction in weights for tensor in direction.values()]
    with torch.autocast("cpu", enabled=False):
        if torch.compiler.is_compiling():
            output, h_n, c_n, *_ = _forward_op(cell.name, values, sizes, initial, flat)
        else:
            output, h_n, c_n = _apply(cell.name, values, sizes, len(initial), *initial, *flat)
    final = (h_n, c_n)[: len(initial)]
    return output, [tuple(part[d] for part in final) for d in range(len(states))], []


class _LayerFunction(torch.autograd.Function):
    """The layer for autograd; `torch.compile` and `torch.export` see the operators below instead."""

    @staticmethod
    def forward(
        ctx: Any, cell: str, values: Tensor, batch_sizes: Tensor, num_initial: int, *rest: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        initial, weights = rest[:num_initial], rest[num_initial:]
        output, final, saved = native_layer.forward(cell, values, batch_sizes, initial, weights)
        ctx.cell, ctx.num_initial = cell, num_initial
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(values, batch_sizes, output, *saved, *rest)
        return output, final[0], final[1] if len(final) > 1 else None

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise _no_second_derivative()
        values, batch_sizes, output, *rest = ctx.saved_tensors
        saved, initial, weights = tuple(rest[:3]), rest[3 : 3 + ctx.num_initial], rest[3 + ctx.num_initial :]
        d_values, d_initial, d_weights = native_layer.backward(
            ctx.cell, values, batch_sizes, initial, weights, output, saved, gradients[0],
            gradients[1:], ctx.needs_input_grad[1],
        )  # fmt: skip
        needed = d_values if ctx.needs_input_grad[1] else None
        return None, needed, None, None, *d_initial, *d_weights


_apply: Any = _LayerFunction.apply


def _no_second_derivative() -> BackendError:
    return BackendError(
        "the native backend has no second derivative (`create_graph=True` asks for one).",
        hint='build the layer with backend="reference", which has',
    )


@library.custom_op("ostinato::recurrent_layer", mutates_args=())
def _forward_op(
    cell: str, values: Tensor, batch_sizes: Tensor, initial: list[Tensor], weights: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`native_layer.forward` as one operator: output, h_n, c_n, and what the backward pass needs."""
    output, final, saved = native_layer.forward(cell, values, batch_sizes, initial, weights)
    found = (output, final[0], final[1] if len(final) > 1 else values.new_empty(0), *saved)
    return found[0], found[1], found[2], found[3], found[4].clone(), found[5].clone()


@_forward_op.register_fake
def _(
    cell: str, values: Tensor, batch_sizes: Tensor, initial: list[Tensor], weights: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    sizes = native_layer.Layer(cell, initial, weights)
    num_values, num_directions = values.shape[0], sizes.num_directions
    each = (num_directions, num_values, sizes.units)
    return (
        values.new_empty(num_values, num_directions * sizes.output_size),
        torch.empty_like(initial[0]),
        torch.empty_like(initial[1]) if len(initial) > 1 else values.new_empty(0),
        values.new_empty(num_values, num_directions * sizes.num_gates * sizes.units),
        values.new_empty(each if sizes.num_gates > 1 else (0,)),
        values.new_empty(each if sizes.projects else (0,)),
    )


@library.custom_op("ostinato::recurrent_layer_backward", mutates_args=())
def _backward_op(
    cell: str,
    values: Tensor,
    batch_sizes: Tensor,
    initial: list[Tensor],
    weights: list[Tensor],
    output: Tensor,
    saved: list[Tensor],
    gradients: list[Tensor],
    given: list[bool],
    need_values: bool,
) -> list[Tensor]:
    """`native_layer.backward` as one operator; `given` tells which gradients count, the others are (0,)."""
    of = [gradient if there else None for gradient, there in zip(gradients, given, strict=True)]
    d_values, d_initial, d_weights = native_layer.backward(
        cell, values, batch_sizes, initial, weights, output, (saved[0], saved[1], saved[2]), of[0], of[1:],
        need_values,
    )  # fmt: skip
    return [tensor.clone() for tensor in (d_values, *d_initial, *d_weights)]


@_backward_op.register_fake
def _(
    cell: str,
    values: Tensor,
    batch_sizes: Tensor,
    initial: list[Tensor],
    weights: list[Tensor],
    output: Tensor,
    saved: list[Tensor],
    gradients: list[Tensor],
    given: list[bool],
    need_values: bool,
) -> list[Tensor]:
    d_values = torch.empty_like(values) if need_values else values.new_empty(0)
    return [d_values, *(torch.empty_like(part) for part in (*initial, *weights))]


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    cell, values, batch_sizes, initial, weights = inputs
    ctx.cell, ctx.num_initial = cell, len(initial)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(values, batch_sizes, output[0], *output[3:], *initial, *weights)


def _differentiate(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
    values, batch_sizes, output, *rest = ctx.saved_tensors
    saved, initial, weights = rest[:3], rest[3 : 3 + ctx.num_initial], rest[3 + ctx.num_initial :]
    none = values.new_empty(0)
    of = [none if gradient is None else gradient for gradient in gradients[: 1 + ctx.num_initial]]
    given = [gradient is not None for gradient in gradients[: 1 + ctx.num_initial]]
    need_values = ctx.needs_input_grad[1]
    d_values, *others = _backward_op(
        ctx.cell, values, batch_sizes, initial, weights, output, saved, of, given, need_values
    )
    d_initial, d_weights = others[: ctx.num_initial], others[ctx.num_initial :]
    return None, d_values if need_values else None, None, d_initial, d_weights


def _refuse(ctx: Any, *gradients: Any) -> None:
    raise _no_second_derivative()


_forward_op.register_autograd(_differentiate, setup_context=_remember)
_backward_op.register_autograd(_refuse, setup_context=lambda ctx, inputs, output: None)
