"""A layer of the native core for autograd (a plain function) and for `torch.compile` (a registered operator).

Both call the same two functions of `native_layer`. The operator's bookkeeping costs about 0.25 ms a call in eager mode,
which a small layer would feel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, library

from ostinato.errors import BackendError
from ostinato.kernels import native_layer
from ostinato.kernels.native_again import Equations
from ostinato.kernels.native_layer import Call
from ostinato.kernels.native_plan import Layer, Plan
from ostinato.packing import in_transforms


def differentiable(call: Call, equations: Equations, sources: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Output, h_n, c_n, and what the backward pass needs, by whichever of the two there is to be: see above.

    Args:
        call: the layer and its input.
        equations, sources: how it is computed again where the core's own gradient is not enough.
    """
    parts = call.initial, call.weights, call.noise
    if torch.compiler.is_compiling():
        listed = [list(part) for part in parts]
        compiled: tuple[Tensor, ...] = _forward_op(call.plan.to_text(), call.values, call.batch_sizes, *listed)
        return compiled
    counts = tuple(len(part) for part in parts)
    flat = (*call.initial, *call.weights, *call.noise, *sources)
    found: tuple[Tensor, ...] = _apply(equations, call.plan, call.values, call.batch_sizes, counts, *flat)
    return found


class _LayerFunction(torch.autograd.Function):
    """The layer for autograd; `torch.compile` and `torch.export` see the operators below instead."""

    @staticmethod
    def forward(
        ctx: Any,
        equations: Equations,
        plan: Plan,
        values: Tensor,
        batch_sizes: Tensor,
        counts: tuple[int, int, int],
        *rest: Tensor,
    ) -> tuple[Tensor, ...]:
        call = _call(plan, values, batch_sizes, counts, rest)
        output, final, saved = native_layer.forward(call, consume=True)
        ctx.equations, ctx.plan, ctx.counts = equations, plan, counts
        ctx.set_materialize_grads(False)
        kept = saved[0] if call.plan.projected else values  # sums are consumed, and not needed again
        ctx.save_for_backward(kept, batch_sizes, output, *saved, *rest)
        returned = (output, final[0], final[-1] if len(final) > 1 else values.new_empty(0), *saved)
        ctx.mark_non_differentiable(
            *(part for i, part in enumerate(returned[3:]) if i != 1 or call.plan.kernel != "lstm")
        )
        return returned

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        values, batch_sizes, output, *rest = ctx.saved_tensors
        saved, rest = tuple(rest[:5]), rest[5:]
        call = _call(ctx.plan, values, batch_sizes, ctx.counts, rest)
        sources = rest[sum(ctx.counts) :]
        without = (None,) * (len(call.noise) + len(sources))
        need_values, needed = ctx.needs_input_grad[2], ctx.needs_input_grad[5 : 5 + sum(ctx.counts[:2])]
        if torch.is_grad_enabled() or in_transforms() or _batched(gradients):
            memory = None if gradients[4] is None else gradients[4][..., : call.initial[-1].shape[2]]
            d_values, *others = ctx.equations.differentiate(
                call, sources, (*gradients[:3], memory), (need_values, *needed)
            )
            return None, None, d_values, None, None, *others, *without
        d_values, d_initial, d_weights = native_layer.backward(
            call, output, saved, gradients[0], gradients[1:3], gradients[4], need_values
        )
        return None, None, d_values if need_values else None, None, None, *d_initial, *d_weights, *without


_apply: Any = _LayerFunction.apply


def _batched(gradients: Sequence[Tensor | None]) -> bool:
    """Whether they are many gradients at once (`is_grads_batched=True`)."""
    return any(part is not None and torch._C._functorch.is_legacy_batchedtensor(part) for part in gradients)


def _call(
    plan: Plan, values: Tensor, batch_sizes: Tensor, counts: tuple[int, int, int], rest: Sequence[Tensor]
) -> Call:
    """`counts`: how many of `rest` are initial states, weights and noise, one after the other."""
    first, second, third = counts[0], counts[0] + counts[1], sum(counts)
    return Call(plan, values, batch_sizes, rest[:first], rest[first:second], rest[second:third])


def _no_second_derivative() -> BackendError:
    return BackendError(
        "the compiled native layer has no second derivative (`create_graph=True` asks for one).",
        hint='call it without `torch.compile`, or build the layer with backend="reference"; both have.',
    )


_Eight: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


@library.custom_op("ostinato::recurrent_layer", mutates_args=())
def _forward_op(
    plan: str, values: Tensor, batch_sizes: Tensor, initial: list[Tensor], weights: list[Tensor], noise: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`native_layer.forward` as one operator: output, h_n, c_n, and what the backward pass needs."""
    call = Call(Plan.from_text(plan), values, batch_sizes, initial, weights, noise)
    output, final, saved = native_layer.forward(call)
    return output, final[0], final[1] if len(final) > 1 else values.new_empty(0), *saved


@_forward_op.register_fake
def _(
    plan: str, values: Tensor, batch_sizes: Tensor, initial: list[Tensor], weights: list[Tensor], noise: list[Tensor]
) -> _Eight:
    sizes = Layer(Plan.from_text(plan), initial, weights)
    num_values, num_directions = values.shape[0], sizes.num_directions
    each, rows = (num_directions, num_values, sizes.units), sizes.num_gates * sizes.units
    normalised = (num_directions, num_values, rows) if sizes.normalises else (0,)
    return (
        values.new_empty(num_values, num_directions * sizes.output_size),
        torch.empty_like(initial[0]),
        torch.empty_like(initial[1]) if len(initial) > 1 else values.new_empty(0),
        values.new_empty(num_values, num_directions * rows),
        values.new_empty(each if sizes.num_gates > 1 else (0,)),
        values.new_empty(each if sizes.projects else (0,)),
        values.new_empty(normalised),
        values.new_empty(normalised[:2] if sizes.normalises else (0,)),
    )


@library.custom_op("ostinato::recurrent_layer_backward", mutates_args=())
def _backward_op(
    plan: str,
    values: Tensor,
    batch_sizes: Tensor,
    initial: list[Tensor],
    weights: list[Tensor],
    noise: list[Tensor],
    output: Tensor,
    saved: list[Tensor],
    gradients: list[Tensor],
    given: list[bool],
    need_values: bool,
) -> list[Tensor]:
    """`native_layer.backward` as one operator; `given` tells which of the gradients of output, final states and memory
    count, the others are (0,)."""
    of = [gradient if there else None for gradient, there in zip(gradients, given, strict=True)]
    call = Call(Plan.from_text(plan), values, batch_sizes, initial, weights, noise)
    kept = (saved[0], saved[1], saved[2], saved[3], saved[4])
    d_values, d_initial, d_weights = native_layer.backward(call, output, kept, of[0], of[1:3], of[3], need_values)
    return [tensor.clone() for tensor in (d_values, *d_initial, *d_weights)]


@_backward_op.register_fake
def _(
    plan: str,
    values: Tensor,
    batch_sizes: Tensor,
    initial: list[Tensor],
    weights: list[Tensor],
    noise: list[Tensor],
    output: Tensor,
    saved: list[Tensor],
    gradients: list[Tensor],
    given: list[bool],
    need_values: bool,
) -> list[Tensor]:
    d_values = torch.empty_like(values) if need_values else values.new_empty(0)
    return [d_values, *(torch.empty_like(part) for part in (*initial, *weights))]


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    plan, values, batch_sizes, initial, weights, noise = inputs
    ctx.plan, ctx.counts = plan, (len(initial), len(weights), len(noise))
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(values, batch_sizes, output[0], *output[3:], *initial, *weights, *noise)


def _differentiate(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
    values, batch_sizes, output, *rest = ctx.saved_tensors
    call = _call(Plan.from_text(ctx.plan), values, batch_sizes, ctx.counts, rest[5:])
    none = values.new_empty(0)
    counted = [*gradients[:3], gradients[4]]
    of = [none if gradient is None else gradient for gradient in counted]
    given = [gradient is not None for gradient in counted]
    need_values = ctx.needs_input_grad[1]
    d_values, *others = _backward_op(
        ctx.plan, values, batch_sizes, call.initial, call.weights, call.noise, output, rest[:5], of, given, need_values
    )
    d_initial, d_weights = others[: ctx.counts[0]], others[ctx.counts[0] :]
    return None, d_values if need_values else None, None, d_initial, d_weights, [None] * len(call.noise)


def _refuse(ctx: Any, *gradients: Any) -> None:
    raise _no_second_derivative()


_forward_op.register_autograd(_differentiate, setup_context=_remember)
_backward_op.register_autograd(_refuse, setup_context=lambda ctx, inputs, output: None)
