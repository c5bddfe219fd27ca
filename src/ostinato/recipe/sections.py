"""The sections `model` that recipes may have: a task's own, found by the entry points of the group `ostinato.tasks`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from ostinato.errors import RecipeError
from ostinato.recipe.model import ModelRecipe

GROUP = "ostinato.tasks"


class Section(Protocol):
    """What recipes must know of a task, of which it is registered."""

    name: str
    noun: str
    recipe: type[ModelRecipe]


@cache
def entries() -> dict[str, EntryPoint]:
    """Where each task is, by name. Raises `RecipeError` for a name that two of them have."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        if entry.name in found and found[entry.name].value != entry.value:
            raise RecipeError(f"two tasks are called `{entry.name}`: {found[entry.name].value} and {entry.value}.")
        found[entry.name] = entry
    return dict(sorted(found.items()))


@cache
def section(task: str) -> Section:
    """Of the task with that name, which must be there."""
    found: Section = entries()[task].load()
    return found


def sections() -> list[Section]:
    """Of all tasks."""
    return [section(name) for name in entries()]


def noun(task: str) -> str:
    """What a model of a task is called in a sentence: `classifier`."""
    return section(task).noun
