"""What a baseline is: a simple method that learns from the same training data as the recurrent model, and answers the
same questions on the same validation data."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ostinato.arrays import Mask, Offsets
from ostinato.data.dataset import Examples, Features, Prepared
from ostinato.metrics.classification import Metrics
from ostinato.metrics.resampling import Units, halves

Figures = NDArray[np.float64]


class Baseline(ABC):
    """A simple method. A new one is a class and a line in its task's `baselines`.

    Baselines are tried in the order given, the cheap ones first. `fit` sees training data only; `answer` returns what
    the task's `BaselineComparison` can score (probabilities of classes, a list of tags a row, nats of each token, …).
    """

    name: ClassVar[str]
    """As the table shows it."""
    about: ClassVar[str]
    """How it works, in brief."""
    modules: ClassVar[tuple[str, ...]] = ()
    """Libraries it needs: imported before timing starts; without them the baseline is skipped."""
    trivial: ClassVar[bool] = False
    """Whether it is so cheap that it is tried whatever the budget."""
    slow: ClassVar[bool] = False
    """Whether prediction is the expensive part: then it answers as many validation rows as the budget allows, evenly
    picked."""

    @classmethod
    def applies(cls, prepared: Prepared) -> bool:
        """Whether it can read this data."""
        return True

    @classmethod
    def seconds(cls, prepared: Prepared) -> float:
        """An estimate of the seconds for fitting and predicting, where that is not proportional to the training
        rows."""
        return 0.0

    @classmethod
    def of(cls, prepared: Prepared) -> Self:
        """One for this run, which may take settings of its recipe that all must share."""
        return cls()

    @abstractmethod
    def fit(self, train: Examples, features: Features) -> None:
        """Learn from training data."""

    @abstractmethod
    def answer(self, data: Examples) -> Any:
        """What it says of other data."""

    @abstractmethod
    def parameters(self) -> list[NDArray[Any]]:
        """The arrays it would have to save, to say how large it is."""

    @property
    def details(self) -> str:
        """What was chosen while fitting, in words; nothing by default."""
        return ""

    @property
    def num_bytes(self) -> int:
        """Size of its parameters as they lie in memory."""
        return sum(array.nbytes for array in self.parameters())


class BaselineComparison(ABC):
    """How the recurrent model and its baselines are compared: one class per task (`TaskSpec.comparison`).

    Args:
        model: the trained model.
        prepared: the run's own data.
        device: where the model is.
    """

    divisible: ClassVar[bool] = True
    """Whether a method may learn from some of the training rows."""
    by_row: ClassVar[bool] = False
    """Whether answers are one a validation row, in their order, and the figure that decides is a share of rows."""
    lower_is_better: bool
    figure: str
    """The metric that decides."""
    unit: str = "rows"
    """What the validation data is counted in."""
    question: str = "one row"
    """What one answer is, for the latency."""
    model: nn.Module

    def __init__(self, model: nn.Module, prepared: Prepared, device: torch.device) -> None:
        self.model, self.prepared, self.device = model, prepared, device

    @property
    def train(self) -> Examples:
        """What baselines learn from."""
        return self.prepared.train

    @property
    def validation(self) -> Examples:
        """What all answer: by default the run's validation rows, as they are."""
        return self.prepared.validation

    @property
    def num_train(self) -> int:
        """How many rows or tokens of training data there are."""
        return len(self.train)

    @property
    def num_units(self) -> int:
        """How many rows or tokens of validation data there are."""
        return len(self.validation)

    @abstractmethod
    def answers(self, examples: Examples) -> Any:
        """The recurrent model's answers on some of the validation data."""

    @abstractmethod
    def scores(self, answers: Any) -> Metrics:
        """How good answers are: metrics as the run's own evaluation names them, and the `sums` they are made of
        (`metrics.resampling`), those of `figure` at least."""

    def own(self) -> Any:
        """The recurrent model's answers on all of it."""
        return self.answers(self.validation)

    def one(self, number: int) -> Examples:
        """The piece of validation data that one answer is about."""
        return self.validation.take(np.asarray([number % len(self.validation)]))

    def own_one(self, data: Examples) -> None:
        """The recurrent model answers one piece."""
        with torch.inference_mode():
            self.answers(data)

    def some(self, num_rows: int) -> Examples:
        """A part of the training data, drawn with a fixed seed."""
        rows = np.random.default_rng(0).permutation(len(self.train))[:num_rows]
        return self.train.take(np.sort(rows))

    def picked(self, count: int) -> Offsets:
        """`count` of the validation rows, evenly picked; all of them where there are no more."""
        size = len(self.validation)
        return np.unique(np.linspace(0, size - 1, min(count, size)).astype(np.int64))

    def on(self, examples: Examples) -> Self:
        """The same on other validation data."""
        return type(self)(self.model, replace(self.prepared, validation=examples), self.device)

    @property
    def first_half(self) -> Mask | None:
        """Which answers are of the first half of the validation units, by which an epoch may have been chosen
        (`metrics.resampling.halves`); None: answers are of other units."""
        units = self.units
        return None if units is None else halves(units.count)[units.of]

    @property
    def units(self) -> Units | None:
        """The units of the answers, by default one for each of the run's validation rows; None: answers are of
        something else."""
        return Units.rows(len(self.validation))


def taken(answers: Any, rows: Offsets) -> Any:
    """Some of the answers, an array or a list."""
    return answers[rows] if isinstance(answers, np.ndarray) else [answers[row] for row in rows.tolist()]


def joined(parts: Sequence[Any]) -> Any:
    """Answers, arrays or lists, one after the other."""
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else [one for part in parts for one in part]


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """So far."""
        return time.perf_counter() - self._began
