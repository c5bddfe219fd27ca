"""The tasks there are, by name: entry points of the group `ostinato.tasks`, each loaded when it is asked for."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from ostinato.errors import RecipeError
from ostinato.recipe import Recipe
from ostinato.tasks.spec import TaskSpec

GROUP = "ostinato.tasks"
_OLD_NAMES = {"classifier": "classification", "tagger": "tagging", "forecaster": "forecasting"}


@cache
def _found() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        if entry.name in found and found[entry.name].value != entry.value:
            raise RecipeError(f"two tasks are called `{entry.name}`: {found[entry.name].value} and {entry.value}.")
        found[entry.name] = entry
    return found


def names() -> tuple[str, ...]:
    """All tasks."""
    return tuple(sorted(_found()))


@cache
def task_named(name: str) -> TaskSpec:
    """The task of that name. Raises `RecipeError` for one that is not there."""
    if name not in _found():
        raise RecipeError(f"no task is called `{name}`. There are: {', '.join(names())}.")
    spec: TaskSpec = _found()[name].load()
    return spec


def task_of(recipe: Recipe) -> TaskSpec:
    """The task of a recipe that leaves it not open."""
    return task_named(_OLD_NAMES.get(recipe.model.kind, recipe.model.kind))
