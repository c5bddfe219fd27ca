"""Whether a window's activations fit into memory, measured on a few steps before training."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ostinato.bptt.truncated import TruncatedBPTT
from ostinato.errors import RecipeError

_SHORT, _LONG = 16, 48
_BEYOND_SAVED = 1.5
"""The backward pass holds gradients in addition to the kept activations: an LSTM of 128 units needs 1.5 times as much
(docs/results.md)."""


def check_memory(training: TruncatedBPTT, device: torch.device) -> None:
    """Raise `RecipeError` if an update needs more memory than is free, with the window that fits.

    What is kept for the backward pass of 16 and of 48 steps is counted; the difference is what a step costs.
    """
    steps = min(training.reach(), training.length)
    free = free_bytes(device)
    if steps <= _LONG or training.recompute or free is None:
        return
    short, long = (_kept_bytes(training, count) for count in (_SHORT, _LONG))
    per_step = _BEYOND_SAVED * (long - short) / (_LONG - _SHORT)
    if per_step * steps <= free:
        return
    raise RecipeError(
        f"`training.bptt` of {steps:,} steps in {training.num_streams} streams needs about "
        f"{_gigabytes(per_step * steps)}, and {_gigabytes(free)} are free.",
        hint=f"less is kept with --set model.recompute=true; up to {_rounded(free / per_step):,} steps fit, or more in "
        "fewer streams (`training.batch_size`)",
    )


def free_bytes(device: torch.device) -> int | None:
    """Memory that can still be used, as far as the system says."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    meminfo = Path("/proc/meminfo")
    if not meminfo.is_file():
        return None
    lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    free = 1024 * int(lines["MemAvailable"].split()[0]) if "MemAvailable" in lines else None
    limit, used = (_number(Path("/sys/fs/cgroup") / name) for name in ("memory.max", "memory.current"))
    within = None if limit is None or used is None else limit - used
    return min((value for value in (free, within) if value is not None), default=None)


def _kept_bytes(training: TruncatedBPTT, num_steps: int) -> int:
    """Bytes of every tensor that is kept for the backward pass of the first steps, each memory once."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        graph = training.try_steps(num_steps)
    del graph
    return sum(kept.values())


def _number(path: Path) -> int | None:
    text = path.read_text().strip() if path.is_file() else ""
    return int(text) if text.isdigit() else None


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"


def _rounded(steps: float) -> int:
    """Two digits, rounded down."""
    unit = int(10 ** max(0, len(str(int(steps))) - 2))
    return int(steps) // unit * unit
