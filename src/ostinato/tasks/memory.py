"""Whether a model fits into memory, looked at before it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ostinato.bptt.memory import free_bytes
from ostinato.data.dataset import Features
from ostinato.errors import RecipeError
from ostinato.recipe import Recipe
from ostinato.tasks.sketch import SMALLER, sketching, without_numbers

if TYPE_CHECKING:
    from ostinato.tasks.spec import TaskSpec

_COPIES = 5
"""Weights, gradients, Adam's two moments, and the best weights while they are saved."""
_BYTES = 4


def check_memory(spec: TaskSpec, recipe: Recipe, features: Features) -> None:
    """Raise `RecipeError` where parameters and what is kept of each need more memory than is free.

    The model is laid out without memory (torch's device `meta`) and counted. What is computed of a batch comes on top.
    """
    num = _num_parameters(spec, recipe, features)
    needed, free = num * _BYTES * _COPIES, free_bytes(torch.device("cpu"))
    if free is not None and needed > free:
        raise RecipeError(
            f"the model has {num:,} parameters: training it takes {needed / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB of "
            "memory are free.",
            hint=SMALLER,
        )


def fits(spec: TaskSpec, recipe: Recipe, features: Features) -> bool:
    """Whether `check_memory` lets a model pass."""
    free = free_bytes(torch.device("cpu"))
    return free is None or _num_parameters(spec, recipe, features) * _BYTES * _COPIES <= free


def _num_parameters(spec: TaskSpec, recipe: Recipe, features: Features) -> int:
    """Of a model that is not built."""
    with sketching():
        model = spec.build(recipe.model_copy(update={"model": without_numbers(recipe.model)}), features)
    return sum(parameter.numel() for parameter in model.parameters())
