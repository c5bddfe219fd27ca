"""The ``torch`` backend: torch's own fused LSTM, GRU and Elman layers, fed without padding.

On a CPU torch's packed path runs step by step and is several times slower than its dense path. Here a packed batch is
cut into its staircase, the maximal runs of steps with the same number of rows alive, and each run is one dense call,
the state carried on from block to block. A batch without ragged ends is the one-block case. On CUDA the packed call
goes to cuDNN as it is.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import _VF, Tensor

from ostinato.cells import Cell, Weights
from ostinato.kernels.reference import join_finished, without_steps
from ostinato.types import State

_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def unavailable_reason(cell: Cell, device: torch.device, dtype: torch.dtype) -> str | None:
    """Why this backend can't run ``cell`` there, or None if it can."""
    if cell.torch_name is None:
        return f"torch has no fused layer for the cell `{cell.name}`"
    if device.type not in ("cpu", "cuda"):
        return f"it runs on cpu and cuda, not on {device.type}"
    if dtype not in _DTYPES:
        return f"it computes in float32, float64, bfloat16 or float16, not in {dtype}"
    return None


def scan(cell: Cell, values: Tensor, batch_sizes: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
    """Run ``cell`` forward in time over a packed batch; arguments and returns as in ``reference.scan``.

    Under ``torch.autocast`` on the CPU it computes in the dtype of the weights: oneDNN refuses the mixture. It knows no
    projection either, so a projected LSTM takes the packed call.
    """
    if len(batch_sizes) == 0:
        return without_steps(cell, values, state, weights)
    if values.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        dtype = weights["weight_ih"].dtype
        with torch.autocast("cpu", enabled=False):
            return scan(cell, values.to(dtype), batch_sizes, tuple(part.to(dtype) for part in state), weights)
    if values.device.type == "cuda" or "weight_hr" in weights:
        return scan_packed(cell, values, batch_sizes, state, weights)
    return scan_staircase(cell, values, batch_sizes, state, weights)


def scan_staircase(
    cell: Cell, values: Tensor, batch_sizes: Tensor, state: State, weights: Weights
) -> tuple[Tensor, State]:
    """One dense call for each run of steps with the same rows alive."""
    fused = _fused(cell)
    flat = list(weights.values())
    has_biases = "bias_ih" in weights
    train = torch.is_grad_enabled()
    widths, steps = (part.tolist() for part in torch.unique_consecutive(batch_sizes, return_counts=True))
    sizes = [width * num_steps for width, num_steps in zip(widths, steps, strict=True)]
    hidden = tuple(part.unsqueeze(0) for part in state)  # (1, N, H)
    outputs: list[Tensor] = []
    finished: list[State] = []
    for block, width, num_steps in zip(torch.split(values.contiguous(), sizes), widths, steps, strict=True):
        if width < hidden[0].shape[1]:
            finished.append(tuple(part[0, width:] for part in hidden))
            hidden = tuple(part[:, :width] for part in hidden)
        x = block.view(num_steps, width, -1)
        hx = tuple(part.contiguous() for part in hidden)
        y, *new = fused(x, hx if len(hx) > 1 else hx[0], flat, has_biases, 1, 0.0, train, False, False)
        hidden = tuple(new)
        outputs.append(y.reshape(num_steps * width, -1))
    final = join_finished([*finished, tuple(part[0] for part in hidden)])
    return (outputs[0] if len(outputs) == 1 else torch.cat(outputs)), final


def scan_packed(
    cell: Cell, values: Tensor, batch_sizes: Tensor, state: State, weights: Weights
) -> tuple[Tensor, State]:
    """One packed call, the one that cuDNN serves."""
    alive = int(batch_sizes[0])
    hx = tuple(part[:alive].unsqueeze(0).contiguous() for part in state)
    y, *new = _fused(cell)(
        values.contiguous(),
        batch_sizes,
        hx if len(hx) > 1 else hx[0],
        list(weights.values()),
        "bias_ih" in weights,
        1,
        0.0,
        torch.is_grad_enabled(),
        False,
    )
    ended = tuple(part[0] for part in new)
    return y, join_finished([tuple(part[alive:] for part in state), ended])


def _fused(cell: Cell) -> Callable[..., tuple[Tensor, ...]]:
    layer: Callable[..., tuple[Tensor, ...]] = getattr(_VF, str(cell.torch_name))
    return layer
