"""The states, gates and surprise of a network at every step of some data, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.errors import RecipeError
from ostinato.exploration.questions import Column, asked
from ostinato.exploration.sorting import Sorted
from ostinato.exploration.states import Floats, States, probe

_BLOCKS = 10
_LEAST = 40
_MOST_UNITS = 5


@dataclass(frozen=True)
class Unit:
    """A unit, and how its value goes with a question's answer: Pearson's r on steps that did not choose it."""

    series: str
    unit: int
    correlation: float


@dataclass(frozen=True)
class Answered:
    """What units tell of a question.

    units: the best of all, chosen on half of the data, their r on the other half; probe: a linear map of the fewest
    units that help, chosen and fitted on the one half; r_squared: of the probe on the other, 1 - SSE / SST (below zero:
    worse than the mean).
    """

    question: str
    units: tuple[Unit, ...]
    probe: tuple[Unit, ...]
    r_squared: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "question": self.question,
            "units": [one.__dict__ for one in self.units],
            "probe": [one.__dict__ for one in self.probe],
            "r_squared": self.r_squared,
        }


@dataclass(frozen=True)
class Moment:
    """A step, how far its state is from the one asked about, and what stands around it."""

    step: int
    distance: float
    around: str


@dataclass(frozen=True)
class Exploration:
    """A network at every step of some rows, one after the other.

    Args:
        columns: what is known of each step, (T,): `token` or `value`, `position`, and where there is one `surprise`
            (nats; not a number at a first step that nothing predicts) and `label`.
        rows: (T,), the row that a step belongs to.
        series: (T, units) by name: `layer 1.h`, `layer 1.c`, each gate `layer 1.f`, …
        time_constants: (units,) of each layer, in steps, by its name: -1 / mean(ln f) of the gate f that keeps the
            state; empty where a cell has none.
        separator: what stands between tokens where they are shown.

    Example:
        >>> found = ostinato.load("runs/island").explore(num_steps=2000)
        >>> found.units("token in 'aeiou'")[0].series
        'layer 1...'
    """

    columns: Mapping[str, Column]
    rows: Column
    series: Mapping[str, NDArray[Any]]
    time_constants: Mapping[str, Floats] = field(default_factory=dict)
    separator: str = ""

    @property
    def num_steps(self) -> int:
        """T."""
        return len(self.rows)

    def ask(self, question: str) -> Floats:
        """(T,): the answer at each step; see `questions.asked`."""
        return asked(question, self.columns, self.rows)

    def units(self, question: str, count: int = 10) -> list[Unit]:
        """The units whose value goes with the answer, the closest first."""
        return list(self.answer(question, count).units)

    def answer(self, question: str, count: int = 10) -> Answered:
        """The units that tell the answer, and a sparse linear probe. The data are cut into ten stretches: every second
        one chooses and fits, the others score. Where either half has one answer only, no unit tells it.

        Raises:
            RecipeError: for a question that can't be asked, or fewer than 40 steps.
        """
        wanted = self.ask(question)
        fitting, scoring = self._halves(np.isfinite(wanted))
        if min(np.ptp(wanted[fitting]), np.ptp(wanted[scoring])) == 0:
            return Answered(question, (), (), 0.0)
        found = self.states.correlations(wanted, (fitting, scoring))
        ranked, told = np.argsort(-np.abs(found[0]), kind="stable"), found[1]
        names = self.states.names
        units = tuple(_unit(names[place], told[place]) for place in ranked[:count].tolist())
        candidates = ranked[: 8 * _MOST_UNITS].tolist()
        chosen, r_squared = probe(self.states.columns(candidates), wanted, fitting, scoring, _MOST_UNITS)
        places = [candidates[one] for one in chosen]
        return Answered(question, units, tuple(_unit(names[one], told[one]) for one in places), r_squared)

    def sorted(self, name: str, question: str) -> Sorted:
        """The units of a series by how closely they go with a question's answer, over all steps that have one.

        Raises:
            RecipeError: for a series that is not there, or a question that can't be asked.
        """
        if name not in self.series:
            raise RecipeError(f"`series` must be one of {', '.join(self.series)}. Received: {name[:80]!r}.")
        wanted = self.ask(question)
        (found,) = States({name: self.series[name]}).correlations(wanted, (np.isfinite(wanted),))
        order = np.argsort(-np.abs(found), kind="stable")
        return Sorted(order.tolist(), found[order].tolist())

    def _halves(self, there: Column) -> tuple[Column, Column]:
        if there.sum() < _LEAST:
            raise RecipeError(f"a question needs at least {_LEAST} steps with an answer. Received: {int(there.sum())}.")
        block = np.arange(self.num_steps) * _BLOCKS // self.num_steps
        return there & (block % 2 == 0), there & (block % 2 == 1)

    @cached_property
    def states(self) -> States:
        """All tensors of the states side by side."""
        return States({name: part for name, part in self.series.items() if self.is_state(name)})

    def is_state(self, name: str) -> bool:
        """Whether a series is a part of the state: of the others each is a gate."""
        return name.split(".")[-1] in ("h", "c")

    def nearest(self, step: int, count: int = 10, apart: int = 20) -> list[Moment]:
        """The moments whose states are closest to that after `step`, in deviations of each unit; at least `apart` steps
        from it and from each other.

        Raises:
            RecipeError: for a step that is not there.
        """
        if not 0 <= step < self.num_steps:
            raise RecipeError(f"`step` must be from 0 to {self.num_steps - 1}. Received: {step}.")
        distances = self.states.distances(step)
        found, taken = list[Moment](), [step]
        for place in np.argsort(distances, kind="stable").tolist():
            if all(abs(place - other) >= apart for other in taken):
                found.append(Moment(place, float(distances[place]), self.around(place)))
                taken.append(place)
            if len(found) == count:
                break
        return found

    def around(self, step: int, before: int = 30, after: int = 10) -> str:
        """The tokens around a step, which stands between brackets."""
        shown = self.columns.get("token", self.columns.get("value"))
        if shown is None:
            return str(step)
        same = np.flatnonzero(self.rows == self.rows[step])
        first, last = max(same[0], step - before), min(same[-1] + 1, step + after + 1)
        parts = [str(one) for one in shown[first:last]]
        parts[step - first] = f"[{parts[step - first]}]"
        return self.separator.join(parts)

    def path(self, dimensions: int = 2) -> Floats:
        """(T, dimensions): the states along their directions of largest variance."""
        return self.states.path(dimensions)

    def save(self, path: str | Path) -> None:
        """Write a NumPy archive of all arrays, by name."""
        texts = {name: part.astype(str) if part.dtype == object else part for name, part in self.columns.items()}
        np.savez_compressed(path, allow_pickle=False, rows=self.rows, **texts, **self.series)


def _unit(name: tuple[str, int], correlation: float) -> Unit:
    return Unit(name[0], name[1], round(float(correlation), 6))
