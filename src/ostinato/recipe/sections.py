"""The sections `model` that recipes may have: a task's own, found by the entry points of the group `ostinato.tasks`."""

from __future__ import annotations

from typing import Any, Protocol

from ostinato.plugins import Registry
from ostinato.recipe.model import ModelRecipe


class Section(Protocol):
    """What recipes must know of a task, of which it is registered."""

    name: str
    noun: str
    recipe: type[ModelRecipe]
    precedence: int

    def infers(self, recipe: Any, sample: Any) -> str | None:
        """Why a recipe that leaves its task open is of this one on such data (`TaskSpec.infers`); None: it is not."""


TASKS: Registry[Section] = Registry(
    "ostinato.tasks", "task", lambda thing: hasattr(thing, "recipe"), lambda thing: str(thing.name)
)
"""By name; ours come by entry points, too."""


def entries() -> list[str]:
    """The names of all tasks."""
    return sorted(TASKS)


def section(task: str) -> Section:
    """Of the task with that name, which must be there."""
    return TASKS[task]


def sections() -> list[Section]:
    """Of all tasks."""
    return [TASKS[name] for name in entries()]


def noun(task: str) -> str:
    """What a model of a task is called in a sentence: `classifier`."""
    return TASKS[task].noun
