"""Baselines of taggers that answer with numbers or notes at each step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.baselines.base import Baseline
from ostinato.baselines.window import around
from ostinato.data.dataset import Examples, Features, Prepared
from ostinato.data.sequences import Sequences

Answers = list[NDArray[Any]]


def _kind(prepared: Prepared) -> str:
    """Of the target, where each step has numbers or notes."""
    kind = str(getattr(prepared.features.target, "kind", ""))
    return kind if kind in ("series", "notes") else ""


class _Steps(Baseline):
    """Numbers (sum L, C) of all steps, cut into rows; notes are those above one half."""

    def fit(self, train: Examples, features: Features) -> None:
        """Learn from the numbers of all steps."""
        self._notes = getattr(features.target, "kind", "") == "notes"
        self._learn(train.sequences, train.target_sequences.values.astype(np.float32))

    def answer(self, data: Examples) -> Answers:
        """A row of numbers, or of zeros and ones, for each step."""
        sequences = data.sequences
        found = self._numbers(sequences)
        return np.split((found > 0.5).astype(np.uint8) if self._notes else found, sequences.offsets[1:-1])

    def _learn(self, sequences: Sequences, values: NDArray[np.float32]) -> None:
        raise NotImplementedError

    def _numbers(self, sequences: Sequences) -> NDArray[Any]:
        raise NotImplementedError


class MeanOfSteps(_Steps):
    """The mean of training data at every step; of notes, those that sound more often than not."""

    name, about, trivial = "mean", "the same at every step", True

    @classmethod
    def applies(cls, prepared: Prepared) -> bool:
        """Where each step has numbers or notes."""
        return bool(_kind(prepared))

    def _learn(self, sequences: Sequences, values: NDArray[np.float32]) -> None:
        self._mean = values.mean(axis=0)

    def _numbers(self, sequences: Sequences) -> NDArray[Any]:
        return np.broadcast_to(self._mean, (len(sequences.values), len(self._mean)))

    def parameters(self) -> list[NDArray[Any]]:
        """C numbers."""
        return [self._mean]


class WindowRidge(_Steps):
    """Ridge regression on the tokens (or numbers, or notes) within two steps of each step."""

    name = "ridge regression on a window"
    about = "what is within two steps of each step"
    modules = ("sklearn.linear_model",)

    @classmethod
    def applies(cls, prepared: Prepared) -> bool:
        """Where each step has numbers, and is a token or a few numbers; of notes, which are many, only the latter."""
        forms = {"series": ("ids", "words", "vectors"), "notes": ("vectors",)}
        return prepared.features.input.form in forms.get(_kind(prepared), ())

    def _learn(self, sequences: Sequences, values: NDArray[np.float32]) -> None:
        from sklearn.linear_model import Ridge

        self._model = Ridge(alpha=1.0).fit(around(sequences), values)

    def _numbers(self, sequences: Sequences) -> NDArray[Any]:
        return np.asarray(self._model.predict(around(sequences))).reshape(len(sequences.values), -1)

    def parameters(self) -> list[NDArray[Any]]:
        """Weights."""
        return [np.asarray(self._model.coef_, np.float32), np.asarray(self._model.intercept_, np.float32)]
