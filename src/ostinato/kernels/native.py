"""The ``native`` backend: whole layers, forward and backward, in the C++ core (``native/``), on a CPU.

Nothing is computed on padding, and threads share out rows, so that none waits for another one at a step. Memory kept
for the backward pass, bytes a token, layer and direction in float32: LSTM 4 * 6H, GRU 4 * 5H, Elman 4 * 2H, besides
the input. What a row's numbers are depends neither on the other rows nor on the number of threads; the gradients of the
weights are sums over rows, whose order the number of threads may change.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from ostinato.cells import Cell, NativeKernel, Weights
from ostinato.errors import BackendError
from ostinato.kernels.native_again import INPUT_WEIGHTS, Equations, project, without_input
from ostinato.kernels.native_autograd import differentiable
from ostinato.kernels.native_layer import Call, core
from ostinato.kernels.native_plan import Plan
from ostinato.kernels.noise import Noise
from ostinato.kernels.reference import without_steps
from ostinato.types import Ragged, State

TARGET_VARIABLE = "OSTINATO_NATIVE_TARGET"
ABILITIES = frozenset({"noise", "all_states", "bf16"})
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


@contextmanager
def large_buffers_apart() -> Iterator[None]:
    """Take large buffers from the system one by one inside the ``with`` block, and give them back at once.

    For a walk that leaves small things behind after every stretch: where they lie between freed buffers, no later
    buffer fits there, and memory grows with every stretch. Costs a fault for every page of a buffer.
    """
    if core is None:
        yield
        return
    core.keep_freed_memory(False)
    try:
        yield
    finally:
        core.keep_freed_memory(True)


def threads_of() -> str | None:
    """Whose threads the core runs in: torch's OpenMP team, or its own. None without the core."""
    return None if core is None else str(core.threads_of())


def unavailable_reason(cell: Cell, device: torch.device, dtype: torch.dtype) -> str | None:
    """Why this backend can't run `cell` there, or None if it can."""
    missing = missing_reason()
    if missing is not None:
        return missing
    if cell.native is None:
        return f"the core has no kernel for the cell `{cell.name}`"
    if device.type != "cpu":
        return f"it runs on the cpu, not on {device.type}"
    if dtype not in _DTYPES:
        return f"it computes in float32 or float64, not in {dtype}"
    return None


def kernel_of(cell: Cell) -> NativeKernel:
    """The core's kernel for a cell. Raises BackendError if there is none."""
    if cell.native is None:
        raise BackendError(f"the core has no kernel for the cell `{cell.name}`.")
    return cell.native


def has_bf16() -> bool:
    """Whether the instruction set in use multiplies bfloat16; false without the core."""
    return target() is not None and bool(core.has_bf16())


def layer(
    cell: Cell,
    batch: Ragged,
    states: Sequence[State],
    weights: Sequence[Weights],
    noise: Sequence[Noise | None] | None = None,
    all_states: bool = False,
    precision: str = "full",
    table: Tensor | None = None,
) -> tuple[Tensor, list[State], list[State]]:
    """Run a layer, both directions at once; arguments and returns as in `dispatch.layer`."""
    if batch.batch_sizes.shape[0] == 0:
        ended = [without_steps(cell, batch.values, *own) for own in zip(states, weights, strict=True)]
        every = [tuple(part[:0] for part in state) for state in states] if all_states else []
        return torch.cat([output for output, _ in ended], dim=1), [state for _, state in ended], every
    kernel, dtype = kernel_of(cell), weights[0]["weight_hh"].dtype
    if precision == "bf16" and (dtype != torch.float32 or not has_bf16()):
        why = f"target `{target()}` has no bf16 products" if dtype == torch.float32 else f"the weights are {dtype}"
        raise BackendError(
            f"`precision` = bf16 needs float32 weights and an instruction set with bf16 products: {why}.",
            hint='use precision="full"',
        )
    values = batch.values.to(dtype) if table is None else table.to(dtype)
    sizes = batch.batch_sizes
    initial = [torch.stack(parts).to(dtype) for parts in zip(*states, strict=True)]  # (D, N, P), (D, N, H)
    with torch.autocast("cpu", enabled=False):
        named, tensors = _stack_noise(noise or [], values)
        equations = Equations(cell, kernel)
        sources: list[Tensor] = []
        if cell.layer_norm or table is not None:
            names = tuple(name for name in INPUT_WEIGHTS if name in weights[0])
            equations = Equations(cell, kernel, names, table is not None)
            sources = [values, *(weight[name] for weight in weights for name in names)]
            values = torch.cat([project(cell, kernel, values, weight) for weight in weights], dim=1)
            if table is not None:
                values, sources = values.index_select(0, batch.values), [batch.values, *sources]
            weights = [without_input(kernel, weight) for weight in weights]
        plan = Plan(kernel.name, tuple(weights[0]), named, kernel.reset_before, precision)
        flat = [tensor for direction in weights for tensor in direction.values()]
        call = Call(plan, values, sizes, initial, flat, tensors)
        output, h_n, c_n, _, memory, *_ = differentiable(call, equations, sources)
    final = (h_n, c_n)[: len(initial)]
    ends = [tuple(part[d] for part in final) for d in range(len(states))]
    if not all_states:
        return output, ends, []
    hidden = output.chunk(len(states), dim=1)
    every = [(hidden[d], memory[d, :, : initial[1].shape[2]])[: len(initial)] for d in range(len(states))]
    return output, ends, every


def _stack_noise(noise: Sequence[Noise | None], values: Tensor) -> tuple[tuple[str, ...], list[Tensor]]:
    """Names and (D, ...) tensors of all noise; what one direction alone lacks is ones, or zeros."""
    given: dict[str, list[Tensor | None]] = {}
    for each in noise:
        zoneout = each.zoneout if each is not None else ()
        given.setdefault("hidden_mask", []).append(None if each is None else each.hidden_mask)
        for position, name in enumerate(("zoneout_h", "zoneout_c")):
            given.setdefault(name, []).append(zoneout[position] if position < len(zoneout) else None)
    names, tensors = [], []
    for name, parts in given.items():
        like = next((part for part in parts if part is not None), None)
        if like is None:
            continue
        neutral = torch.ones_like(like) if name == "hidden_mask" else torch.zeros_like(like)
        names.append(name)
        tensors.append(torch.stack([neutral if part is None else part for part in parts]).to(values.dtype))
    return tuple(names), tensors
