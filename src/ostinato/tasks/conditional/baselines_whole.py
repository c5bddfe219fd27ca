"""Models that write one of a few sequences, against a linear classifier that picks a whole one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.baselines.base import Figures
from ostinato.baselines.counting import summary_of
from ostinato.baselines.solvers import ending_early
from ostinato.data.dataset import Examples, Features, Prepared
from ostinato.tasks.conditional.baselines import NgramsOfAll

_MOST_SEQUENCES = 200
_ROWS_A_SEQUENCE = 20
_UNSEEN = 0.001


class WholeSequences(NgramsOfAll):
    r"""Logistic regression of which training target it is, on the numbers given; n-grams for a target it never saw.

    .. math:: p(y \mid x) = (1 - \epsilon) \, p_{linear}(y \mid x) + \epsilon \, p_{n-grams}(y), \quad \epsilon = 0.001
    """

    name = "linear, whole sequences"
    about = "logistic regression of which training target it is"
    modules = ("sklearn.linear_model",)

    @classmethod
    def applies(cls, prepared: Prepared) -> bool:
        """Where training shows at least two and at most 200 different targets, each twenty times on average."""
        keys = _keys(prepared.train)
        return 2 <= len(set(keys)) <= min(_MOST_SEQUENCES, len(keys) // _ROWS_A_SEQUENCE)

    def fit(self, train: Examples, features: Features) -> None:
        """On what is given, standardised."""
        from sklearn.linear_model import LogisticRegression

        super().fit(train, features)
        examples, self._features = train, features
        given = summary_of(examples, features)
        deviation = given.std(axis=0)
        self._scale = given.mean(axis=0), np.where(deviation > 0, deviation, 1.0)
        targets = _keys(examples)
        self._known = {key: number for number, key in enumerate(sorted(set(targets)))}
        numbers = np.asarray([self._known[key] for key in targets])
        model = LogisticRegression(max_iter=100, tol=1e-3)
        with ending_early():
            self._model = model.fit(self._numbers(examples), numbers)

    def _numbers(self, examples: Examples) -> NDArray[Any]:
        mean, deviation = self._scale
        return np.asarray((summary_of(examples, self._features) - mean) / deviation)

    @property
    def details(self) -> str:
        """How many there are."""
        return f"one of {len(self._known):,} sequences"

    def answer(self, data: Examples) -> Figures:
        """Nats of each row."""
        chances = self._model.predict_proba(self._numbers(data)).astype(np.float64)
        places = np.asarray([self._known.get(key, -1) for key in _keys(data)])
        picked = np.where(places >= 0, chances[np.arange(len(data)), places], 0.0)
        known, unseen = np.log((1 - _UNSEEN) * picked + 1e-300), np.log(_UNSEEN) - super().answer(data)
        return np.asarray(-np.logaddexp(known, unseen))

    def parameters(self) -> list[NDArray[Any]]:
        """Weights, scales, sequences and n-grams."""
        weights = [np.asarray(part, dtype=np.float32) for part in (self._model.coef_, self._model.intercept_)]
        sequences = np.frombuffer(b"".join(self._known), dtype=np.uint8)
        return [*super().parameters(), *weights, *self._scale, sequences]


def _keys(examples: Examples) -> list[bytes]:
    targets = examples.target_sequences
    return [targets.row(row).tobytes() for row in range(len(targets))]
