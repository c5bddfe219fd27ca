"""What an ordinal regression has to beat."""

from __future__ import annotations

import numpy as np

from ostinato.baselines.base import Baseline, BaselineComparison
from ostinato.data.dataset import Examples, Features
from ostinato.metrics.classification import Metrics
from ostinato_example.model import scores, shares


class GradeComparison(BaselineComparison):
    """Answers are grades, (N,) integers."""

    lower_is_better, figure = True, "mae"

    def answers(self, examples: Examples) -> np.ndarray:
        """Of the recurrent model."""
        return shares(self.model, examples, self.device)[0].argmax(1)

    def scores(self, answers: np.ndarray) -> Metrics:
        """Accuracy and error."""
        return scores(answers, np.asarray(self.validation.targets))


class MedianGrade(Baseline):
    """The middle grade of the training rows."""

    name, about, trivial = "median grade", "the same answer for every row", True

    def fit(self, train: Examples, features: Features) -> None:
        """Look it up."""
        self._grade = int(np.median(np.asarray(train.targets)))

    def answer(self, data: Examples) -> np.ndarray:
        """The same for all."""
        return np.full(len(data), self._grade)

    def parameters(self) -> list[np.ndarray]:
        """One number."""
        return [np.asarray([self._grade])]
