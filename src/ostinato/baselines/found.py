"""What a comparison with simple baselines found, as it is kept in `baselines.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ostinato.baselines.paired import Gap
from ostinato.metrics.classification import Metrics
from ostinato.storage.files import write_atomically

BASELINES_FILE = "baselines.json"


@dataclass(frozen=True)
class Part:
    """The part of the validation data a slow baseline answered. figures: of every method so far, by name, on it."""

    num_units: int
    figures: dict[str, float]


@dataclass(frozen=True)
class Folds:
    """What a baseline reaches in cross-validation of the training rows, where validation rows are too few to compare
    on."""

    num_folds: int
    num_rows: int
    metrics: Metrics


@dataclass(frozen=True)
class Entry:
    """One method.

    metrics: on all validation data, or on the `part` a slow baseline answered; seconds: of training, none where not
    known, 0 where it is fitted for each answer; num_rows: training rows (or tokens) it learnt from; latency_ms:
    median of single answers; gap: by how much the run's model is better than this one, none for itself.
    """

    name: str
    about: str
    metrics: Metrics
    seconds: float | None
    num_bytes: int
    latency_ms: float
    num_rows: int
    details: str = ""
    gap: Gap | None = None
    part: Part | None = None
    folds: Folds | None = None

    def standing(self, own: Entry, figure: str) -> float:
        """Its figure, of folds where there are some; of a slow baseline that of the run's model, plus by how much it
        differs on its part."""
        if self.folds is not None:
            return float(self.folds.metrics[figure])
        if self.part is None:
            return float(self.metrics[figure])
        return float(own.metrics[figure]) + self.part.figures[self.name] - self.part.figures[own.name]


@dataclass(frozen=True)
class Baselines:
    """What a comparison found.

    figure: the metric that decides; num_units: validation `unit`s; num_train: what there was to learn from; budget_s:
    what baselines were given together; own: the run's model; baselines: the others; passed_over: those not tried, and
    why;
    steps: of training, when it was measured; conclusion: in one sentence; scored: how the model's own figures came
    about, where that is not plain.
    """

    figure: str
    lower_is_better: bool
    unit: str
    question: str
    num_units: int
    num_train: int
    budget_s: float
    own: Entry
    baselines: list[Entry]
    passed_over: list[str]
    steps: int
    conclusion: str
    scored: str = ""

    @property
    def ranked(self) -> list[Entry]:
        """All methods, the best one first."""
        sign = 1 if self.lower_is_better else -1
        return sorted([self.own, *self.baselines], key=lambda one: sign * one.standing(self.own, self.figure))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Baselines:
        """The inverse of `to_dict`. Raises `KeyError` or `TypeError` for anything else."""
        baselines = [_entry(one) for one in saved["baselines"]]
        return cls(**{**saved, "own": _entry(saved["own"]), "baselines": baselines})

    def save(self, folder: Path) -> None:
        """Write `baselines.json` into a run directory."""
        write_atomically(folder / BASELINES_FILE, json.dumps(self.to_dict(), indent=1, ensure_ascii=False).encode())


def _entry(saved: dict[str, Any]) -> Entry:
    gap, part, folds = saved["gap"], saved.get("part"), saved.get("folds")
    made = {"gap": gap and Gap(**gap), "part": part and Part(**part), "folds": folds and Folds(**folds)}
    return Entry(**{**saved, **made})
