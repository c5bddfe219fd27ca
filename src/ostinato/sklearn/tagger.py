"""A class for each step of each sequence."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ostinato.errors import DataError
from ostinato.sklearn.base import SequenceEstimator, free_name
from ostinato.sklearn.rows_to_one import names_of


class SequenceTagger(SequenceEstimator):
    """A class for each step: tags of words, states of a signal. Parameters: see `SequenceEstimator`.

    Attributes:
        classes_: the classes, sorted.
        run_: the `Run`.

    Example:
        >>> X, y = [["the", "dog"], ["a", "dog", "runs"]] * 10, [["D", "N"], ["D", "N", "V"]] * 10
        >>> [len(tags) for tags in SequenceTagger(hidden_size=4, epochs=1).fit(X, y).predict([["the", "dog", "runs"]])]
        [3]
    """

    task = "tagging"

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on sequences and the classes of their steps.

        Args:
            X: sequences: lists of words, arrays (L,) or (L, C), texts of as many words.
            y: of each row as many classes as it has steps.
            sample_weight: (N,): how often a row counts.

        Raises:
            ValueError: for data that can't be used.
            RecipeError: for parameters that describe no possible training.
        """
        table = self._read(X, reset=True, fewest=2)
        rows = _rows(y, len(table))
        self.classes_ = np.unique(np.concatenate(rows))
        self._names = names_of(self.classes_)
        tags = [[self._names[place] for place in np.searchsorted(self.classes_, row).tolist()] for row in rows]
        target = free_name("tags", table)
        input, extra = self._columns
        table, settings = self._weighted(table.with_columns(pl.Series(target, tags)), sample_weight)
        settings["features.target.kind"] = "tags"
        return self._train(table, settings, input=input, target=target, extra=extra)

    def predict(self, X: Any) -> list[NDArray[Any]]:
        """The classes of each row's steps, an array (L,) each.

        Raises:
            NotFittedError: before `fit`.
        """
        found = self._predictions(X)
        places = {name: place for place, name in enumerate(self._names)}
        return [self.classes_[[places[tag] for tag in one.tags or ()]] for one in found]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of steps that are right.

        Args:
            X: as of `fit`.
            y: as of `fit`.
            sample_weight: (N,): what a row's steps count.
        """
        found = self.predict(X)
        rows = _rows(y, len(found))
        weights = np.ones(len(rows)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        right = np.asarray([(one == row).sum() for one, row in zip(found, rows, strict=True)])
        return float((weights * right).sum() / (weights * [len(row) for row in rows]).sum())


def _rows(y: Any, num_rows: int) -> list[NDArray[Any]]:
    """Classes of steps, row by row."""
    if y is None:
        raise ValueError("This SequenceTagger estimator requires y to be passed, but the target y is None.")
    rows = [np.asarray(row) for row in y]
    if any(row.ndim != 1 for row in rows):
        raise DataError(f"y must hold a list of classes for each row. Received: {rows[0]!r:.60}.")
    if len(rows) != num_rows:
        raise DataError(f"X and y must have as many rows. Received: {num_rows} and {len(rows)}.")
    return rows
