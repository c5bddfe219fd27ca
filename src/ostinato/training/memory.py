"""Whether a model fits into memory, checked before it is built."""

from __future__ import annotations

from pathlib import Path

from ostinato.data.dataset import Features
from ostinato.errors import RecipeError
from ostinato.recipe import Recipe
from ostinato.tasks.sketch import SMALLER, sketching, without_numbers
from ostinato.tasks.spec import TaskSpec

_COPIES = 5
"""Weights, gradients, Adam's two moments, and the best weights while they are saved."""
_BYTES = 4


def check_memory(spec: TaskSpec, recipe: Recipe, features: Features) -> None:
    """Raise `RecipeError` where parameters and what is kept of each need more memory than is free.

    The model is laid out without memory (torch's device `meta`) and counted. What is computed of a batch comes on top.
    """
    with sketching():
        model = spec.build(recipe.model_copy(update={"model": without_numbers(recipe.model)}), features)
    num = sum(parameter.numel() for parameter in model.parameters())
    needed, free = num * _BYTES * _COPIES, free_bytes()
    if free is not None and needed > free:
        raise RecipeError(
            f"the model has {num:,} parameters: training it takes {needed / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB of "
            "memory are free.",
            hint=SMALLER,
        )


def free_bytes() -> int | None:
    """Memory that can be had without swapping, within the limit of the control group; None where Linux doesn't say."""
    found = [number for number in (_available(), _below_limit()) if number is not None]
    return min(found, default=None)


def _available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _below_limit() -> int | None:
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = ((group / f"memory.{name}").read_text().strip() for name in ("max", "current"))
    except OSError:
        return None
    return int(limit) - int(used) if limit.isdigit() else None
