"""Parts of training rows by which configurations are compared, so that validation rows stay unseen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from ostinato.data.dataset import Examples, Prepared
from ostinato.data.prepare import cut_text
from ostinato.data.split import split_fold
from ostinato.data.targets import NamesTarget
from ostinato.errors import DataError

_FOLDS, _FEW_FOLDS, _FEW = 5, 3, 500
"""Parts of the training rows, of which the first is held out; of fewer than so many rows each in turn."""
SHARE = 1 - 1 / _FOLDS
"""Of what is in order of time or reading, what is learnt from."""


def folds_of_rows(prepared: Prepared) -> Iterator[tuple[Examples, Examples]]:
    """A fifth of the rows held out or, of fewer than 500, each third in turn; of classes alike, of groups whole ones.

    Raises:
        DataError: for a single row, or group.
    """
    rows, target, groups = prepared.train, prepared.features.target, prepared.groups
    few = len(rows) < _FEW
    distinct = len(rows) if groups is None else groups.n_unique()
    count = min(_FEW_FOLDS if few else _FOLDS, distinct)
    if count < 2:
        raise too_little(f"there is one training {'row' if groups is None else 'group'}")
    classes = isinstance(target, NamesTarget) and np.asarray(rows.targets).ndim == 1
    strata = pl.Series(np.asarray(rows.targets)) if classes else None
    for number in range(1, count + 1 if few else 2):
        learnt, held_out = split_fold(len(rows), number, count, prepared.recipe.data.split_seed, groups, strata)
        yield rows.take(learnt), rows.take(held_out)


def fold_of_text(prepared: Prepared) -> Iterator[tuple[Examples, Examples]]:
    """The last fifth of a text held out. Raises `DataError` where there is too little of it."""
    size = len(prepared.train.sequences.values)
    parts = cut_text(prepared.train.sequences, prepared.train.places, int(SHARE * size))
    if any(len(part.sequences.values) < 2 for part in parts):
        raise too_little(f"the training text has {size} tokens")
    yield parts


def too_little(reason: str) -> DataError:
    """That no part of the training rows can be held out."""
    return DataError(
        f"`training.search` holds out a part of the training data, and {reason}.",
        hint="without: --set training.search=none",
    )
