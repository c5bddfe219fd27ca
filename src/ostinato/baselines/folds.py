"""Baselines in cross-validation of the training rows, where validation rows are too few to compare on."""

from __future__ import annotations

import numpy as np
import polars as pl

from ostinato.baselines.base import Baseline, BaselineComparison, joined
from ostinato.baselines.found import Folds
from ostinato.data.split import split_fold

_MOST_FOLDS = 5
_FEWEST_ROWS, _MOST_ROWS = 10, 1000
_FEWEST_VALUES = 2
"""Of a target: what has only one is nothing to learn from."""


def crossvalidated(made: type[Baseline], comparison: BaselineComparison) -> Folds | None:
    """Fit and score a baseline on five folds of the training rows; None of fewer than ten rows or more than a thousand,
    and where a fold would leave a single class to learn from."""
    train, prepared, count = comparison.train, comparison.prepared, len(comparison.train)
    if not comparison.by_row or not _FEWEST_ROWS <= count <= _MOST_ROWS:
        return None
    targets = np.asarray(train.targets)
    strata = pl.Series(targets) if targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer) else None
    folds = [split_fold(count, fold, _MOST_FOLDS, 0, strata=strata) for fold in range(1, _MOST_FOLDS + 1)]
    if any(len(np.unique(targets[learnt], axis=0)) < _FEWEST_VALUES for learnt, _ in folds):
        return None
    answers = []
    for learnt, held_out in folds:
        baseline = made.of(prepared)
        baseline.fit(train.take(learnt), prepared.features)
        answers.append(baseline.answer(train.take(held_out)))
    rows = np.concatenate([held_out for _, held_out in folds])
    scores = comparison.on(train.take(rows)).scores(joined(answers))
    plain = {key: value for key, value in scores.items() if isinstance(value, int | float)}
    return Folds(_MOST_FOLDS, count, plain)
