"""Nearest-neighbour baselines of classifiers of series and other vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.arrays import Array
from ostinato.baselines.counting import resampled
from ostinato.data.dataset import Examples, Prepared
from ostinato.data.targets import NumberTarget
from ostinato.tasks.classification.baselines import ClassBaseline, Floats

_LONGEST = 256
_BAND = 0.1
_CELL_S = 4e-9
"""Of one cell of one alignment, seconds; only for the guess of what warping will take."""
_CHUNK = 1 << 22


class NearestNeighbour(ClassBaseline):
    """1-nearest neighbour by Euclidean distance; rows of unequal length are stretched to the median one."""

    name = "1-nearest neighbour, Euclidean"
    about = "the class of the training row that is nearest, step by step"

    @classmethod
    def applies(cls, prepared: Prepared) -> bool:
        """Where the input is a sequence of vectors and the target a class or a number."""
        feature = prepared.features.input
        return feature.ragged and feature.form == "vectors" and prepared.features.row_target.kind != "labels"

    @classmethod
    def seconds(cls, prepared: Prepared) -> float:
        """By the number of pairs of rows and their steps."""
        train, validation = prepared.train, prepared.validation
        steps = min(_LONGEST, float(np.median(train.sequences.lengths)))
        size = int(np.prod(train.sequences.values.shape[1:]))
        return len(train) * len(validation) * steps * size * 1e-9

    def fit_rows(self, train: Examples, targets: Array) -> None:
        """Keep the rows."""
        self._steps = max(1, min(_LONGEST, int(np.median(train.sequences.lengths))))
        self._rows, self._targets = resampled(train.sequences, self._steps), targets

    @property
    def details(self) -> str:
        """How long rows are taken to be."""
        return f"{self._steps} steps"

    def answer_rows(self, examples: Examples) -> Floats:
        """1 for the class of the nearest row; or its number."""
        nearest = self._nearest(resampled(examples.sequences, self._steps))
        found = self._targets[nearest]
        if isinstance(self.target, NumberTarget):
            return self.target.original(found)
        return np.asarray(np.eye(len(self.target.classes))[found])

    def _nearest(self, rows: Array) -> NDArray[np.int64]:
        train = self._rows.reshape(len(self._rows), -1).astype(np.float64)
        others = rows.reshape(len(rows), -1).astype(np.float64)
        squares = (train**2).sum(1)
        parts = np.array_split(others, max(1, len(others) * len(train) // _CHUNK))
        return np.concatenate([(squares - 2 * part @ train.T).argmin(axis=1) for part in parts])

    def parameters(self) -> list[NDArray[Any]]:
        """All training rows."""
        return [self._rows, self._targets]


class NearestWarped(NearestNeighbour):
    """1-nearest neighbour by dynamic time warping within a band of a tenth of the steps.

    Source: Sakoe & Chiba 1978, with squared differences and steps (1, 0), (0, 1), (1, 1); the usual first baseline on
    the UCR archive (Bagnall et al. 2017).
    """

    name = "1-nearest neighbour, warped (DTW)"
    about = "as above, but rows may be stretched against each other by a tenth of their length"

    @classmethod
    def seconds(cls, prepared: Prepared) -> float:
        """By the number of cells of all alignments."""
        train, validation = prepared.train, prepared.validation
        steps = min(_LONGEST, float(np.median(train.sequences.lengths)))
        size = int(np.prod(train.sequences.values.shape[1:]))
        cells = steps * (2 * max(1, _BAND * steps) + 1)
        return len(train) * len(validation) * cells * (1 + size) * _CELL_S

    def _nearest(self, rows: Array) -> NDArray[np.int64]:
        return np.asarray([int(self._distances(row).argmin()) for row in rows], dtype=np.int64)

    def _distances(self, row: Array) -> Floats:
        """(N,): from one row (L, C) to every training row."""
        steps, width = self._steps, max(1, int(_BAND * self._steps))
        before = np.full((steps + 1, len(self._rows)), np.inf)
        before[0] = 0.0
        for i in range(steps):
            now = np.full_like(before, np.inf)
            first, last = max(0, i - width), min(steps, i + width + 1)
            costs = ((self._rows[:, first:last] - row[i]) ** 2).sum(axis=2).T  # (band, N)
            for j in range(first, last):
                now[j + 1] = costs[j - first] + np.minimum(np.minimum(before[j], before[j + 1]), now[j])
            before = now
        return np.asarray(before[steps])
