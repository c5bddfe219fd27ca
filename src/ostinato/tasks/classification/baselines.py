"""Baselines of classifiers, and how they are compared with one: classes, labels or numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.arrays import Array
from ostinato.baselines.base import Baseline, BaselineComparison
from ostinato.data.dataset import Examples, Features
from ostinato.data.targets import TargetFeature
from ostinato.metrics import classification as metrics
from ostinato.tasks.classification.evaluation import predict_examples
from ostinato.tasks.classification.model import Classifier

Floats = NDArray[np.float64]
_FIGURES = {"class": ("accuracy", "f1"), "labels": ("micro_f1",), "number": ("rmse", "mae")}
"""What is compared by the kind of the target; of several the one that the recipe watches, or the first."""
_UNCERTAIN = ("log_loss", "auc", "average_precision", "calibration_error")


class ClassificationComparison(BaselineComparison):
    """Answers are probabilities (N, K) of classes or labels, or numbers (N,), in the order of the validation rows."""

    model: Classifier
    by_row = True

    @property
    def target(self) -> TargetFeature:
        """What is predicted."""
        return self.prepared.features.row_target

    @property
    def lower_is_better(self) -> bool:  # type: ignore[override]
        """Of errors."""
        return not self.target.names

    @property
    def figure(self) -> str:  # type: ignore[override]
        """Accuracy or, where the recipe watches it, F1; micro F1 of labels; of numbers the root mean squared error."""
        figures, monitor = _FIGURES[self.target.kind], self.prepared.recipe.training.monitor
        return monitor if monitor in figures else figures[0]

    def answers(self, examples: Examples) -> Floats:
        """Of the recurrent model."""
        outputs = predict_examples(self.model, examples, self.device)
        return self.model.head.answers(outputs).numpy().astype(np.float64)

    def scores(self, answers: Floats) -> metrics.Metrics:
        """Metrics on all rows."""
        found = self.model.head.metrics(answers, np.asarray(self.validation.targets))
        # of a method that gives no probabilities
        certain = self.target.kind == "class" and bool(np.isin(answers, (0.0, 1.0)).all())
        return {key: None if certain and key in _UNCERTAIN else value for key, value in found.items()}


class ClassBaseline(Baseline):
    """What all baselines of a classifier share: they know what the targets are."""

    target: TargetFeature

    def fit(self, train: Examples, features: Features) -> None:
        """Learn from training rows."""
        self.target, self.features = features.row_target, features
        self.fit_rows(train, np.asarray(train.targets))

    def answer(self, data: Examples) -> Floats:
        """Probabilities (N, K), or numbers (N,)."""
        return self.answer_rows(data)

    def fit_rows(self, train: Examples, targets: Array) -> None:
        """Learn from rows and what they are: integers (N,), 0 or 1 (N, labels), standardised numbers (N,)."""
        raise NotImplementedError

    def answer_rows(self, examples: Examples) -> Floats:
        """Probabilities (N, K), or numbers (N,)."""
        raise NotImplementedError


class MostFrequent(ClassBaseline):
    """The share of each class or label in the training rows, or the mean: the same answer for every row."""

    name, about, trivial = (
        "most frequent",
        "the same answer for every row: shares of the training rows, or their mean",
        True,
    )

    def fit_rows(self, train: Examples, targets: Array) -> None:
        """Count."""
        self._answer = self.target.usual_answer(targets)

    def answer_rows(self, examples: Examples) -> Floats:
        """The same for all."""
        return np.tile(self._answer, (len(examples), 1) if self.target.names else len(examples))

    def parameters(self) -> list[NDArray[Any]]:
        """One number a class."""
        return [self._answer]
