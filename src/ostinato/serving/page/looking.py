"""Looking inside a served run: its exploration, computed once and kept."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Any

import numpy as np

from ostinato.exploration import Exploration
from ostinato.exploration.exploration import Unit
from ostinato.serving.refused import RefusedError
from ostinato.serving.served import Served

MOST_STEPS = 20_000
_KEPT = 3
"""Explorations: each may take some hundred megabytes."""
_SHOWN_STEPS = 1_500


class Looks:
    """The explorations that were asked for last."""

    def __init__(self) -> None:
        self._kept = OrderedDict[tuple[str, str, int], Exploration]()
        self._lock = Lock()

    def of(self, served: Served, num_steps: int) -> Exploration:
        """What a run's units do on its validation data; takes as long as reading these."""
        key = (served.name, served.weights, num_steps)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = served.run.explore(num_steps=num_steps)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]

    def look(self, served: Served, question: str, num_steps: int, series: str, unit: int) -> dict[str, Any]:
        """Which units tell a question, and the first steps with the values of one of them.

        Args:
            served: the run.
            question: empty: none is asked.
            num_steps: that are read.
            series: whose unit is shown; empty: the best one's, or the first.
            unit: of that series.

        Raises:
            RefusedError: for a unit that there is none of.
            OstinatoError: for a run or a question that nothing can be said of.
        """
        found = self.of(served, num_steps)
        answered = found.answer(question) if question else None
        shown = self._shown(found, answered.units if answered else (), series, unit)
        column = found.columns.get("token", found.columns.get("value"))
        tokens = [] if column is None else column[:_SHOWN_STEPS].tolist()
        return {
            "num_steps": found.num_steps,
            "num_rows": len(set(found.rows.tolist())),
            "series": {name: part.shape[1] for name, part in found.series.items()},
            "answer": None if answered is None else answered.to_dict(),
            "shown": {"series": shown[0], "unit": shown[1]},
            "tokens": tokens,
            "separator": found.separator,
            "values": _rounded(found.series[shown[0]][:_SHOWN_STEPS, shown[1]]),
            "asked": None if answered is None else _rounded(found.ask(question)[:_SHOWN_STEPS]),
        }

    def _shown(self, found: Exploration, units: tuple[Unit, ...], series: str, unit: int) -> tuple[str, int]:
        if not series:
            return (units[0].series, units[0].unit) if units else (next(iter(found.series)), 0)
        if series not in found.series or unit >= found.series[series].shape[1]:
            there = ", ".join(f"{name} ({part.shape[1]} units)" for name, part in found.series.items())
            raise RefusedError(422, f"`series` and `unit` must be among {there}. Received: {series[:40]!r}, {unit}.")
        return series, unit


def _rounded(values: Any) -> list[float | None]:
    return [float(f"{one:.4g}") if np.isfinite(one) else None for one in values.tolist()]
