"""All tasks by name."""

from __future__ import annotations

from collections.abc import Iterable

from ostinato.errors import RecipeError
from ostinato.longrange.images import SequentialMnist
from ostinato.longrange.remembering import Adding, CopyMemory, DelayedRecall, SelectiveCopying
from ostinato.longrange.task import Task
from ostinato.longrange.tracking import StateTracking, cyclic, generated
from ostinato.wording import meant

_S3 = ((1, 0, 2), (1, 2, 0))
_A5 = ((1, 2, 0, 3, 4), (0, 1, 3, 4, 2))

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Adding(),
        CopyMemory(),
        SelectiveCopying(),
        DelayedRecall(),
        StateTracking("parity", cyclic(2)),
        StateTracking("mod5", cyclic(5)),
        StateTracking("s3", generated(*_S3)),
        StateTracking("a5", generated(*_A5)),
        SequentialMnist(permuted=False),
        SequentialMnist(permuted=True),
    )
}
"""Every task by its name."""


def find(name: str) -> Task:
    """The task called `name`; a RecipeError with the nearest name if there is none."""
    return TASKS[one_of(name, TASKS, "tasks")]


def one_of(name: str, known: Iterable[str], option: str) -> str:
    """`name` if it is known; else a RecipeError that names the option and the nearest name."""
    names = list(known)
    if name not in names:
        raise RecipeError(
            f"`{option}` must be among {', '.join(names)}. Received: {name!r}.",
            instead=meant(name, names),
        )
    return name
