"""The tasks there are, by name: entry points of the group `ostinato.tasks`, each loaded when it is asked for."""

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
    """The task of that name. Raises `RecipeError` for one that is not there."""
    if name not in entries():
        raise RecipeError(f"no task is called `{name}`. There are: {', '.join(names())}.")
    return cast("TaskSpec", section(name))


def task_of(recipe: Recipe) -> TaskSpec:
    """The task of a recipe that leaves it not open."""
    return task_named(recipe.model.task)
