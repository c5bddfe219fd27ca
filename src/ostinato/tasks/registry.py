"""The registry of tasks: entry points of the group `ostinato.tasks`, loaded on first use."""

from __future__ import annotations

from typing import cast

from ostinato.errors import RecipeError
from ostinato.recipe import Recipe
from ostinato.recipe.sections import entries, section
from ostinato.tasks.spec import TaskSpec


def names() -> tuple[str, ...]:
    """All tasks."""
    return tuple(entries())


def task_named(name: str) -> TaskSpec:
    """The task of that name. Raises `RecipeError` if there is none."""
    if name not in entries():
        raise RecipeError(f"no task is called `{name}`. There are: {', '.join(names())}.")
    return cast("TaskSpec", section(name))


def task_of(recipe: Recipe) -> TaskSpec:
    """The task of a recipe that names it."""
    return task_named(recipe.model.task)
