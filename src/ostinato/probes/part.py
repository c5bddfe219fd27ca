"""The part of a model that is diagnosed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ostinato.probes.subject import Subject
from ostinato.probes.unused import UnusedContext

MOST_STEPS = 1600
"""The default limit of steps per row."""


@dataclass(frozen=True)
class Lookback:
    """The lookback that rows were cut to.

    Args:
        steps: of a row.
        option: of the recipe, that says so.
    """

    steps: int
    option: str


@dataclass(frozen=True)
class Part:
    """A recurrence of a model that is to be diagnosed.

    Args:
        name: `encoder` or `decoder` where the model has both, else none.
        make: its subject on a random sample of answers or rows: how many, and the seed.
        unit: what a step is called.
        reads_input: whether its steps are those of the input column.
        remarks: what does not apply to it, and why.
        lookback: how far back its rows reach, where an option says so.
        unused: what measures how much of its past it leaves unused; None: that is not known of such a model.
    """

    name: str
    make: Callable[[int, int], Subject]
    unit: str
    reads_input: bool = True
    remarks: tuple[str, ...] = ()
    lookback: Lookback | None = None
    unused: Callable[[], UnusedContext] | None = None
