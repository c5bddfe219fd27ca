"""X as tables whose rows hold a sequence each."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from ostinato.data.in_memory import as_table, is_table
from ostinato.errors import DataError

INPUT = "sequence"
"""What the column of sequences is called where X has no names."""


def read_rows(estimator: BaseEstimator, X: Any, *, reset: bool, fewest: int = 1) -> pl.DataFrame:
    """X as a table of sequences and what is read beside them.

    Numbers in two dimensions (an array, a table of numbers) are checked as every estimator's are, and each row is a
    sequence of its columns. All else is what `data.in_memory.as_table` reads, without the index of pandas.

    Args:
        estimator: remembers the features, or is asked for them.
        X: what `fit` or `predict` was given.
        reset: whether it is fitted.
        fewest: rows that there must be.

    Raises:
        ValueError: for what can't be used.
    """
    if _is_plain(X):
        values = validate_data(estimator, X, reset=reset, dtype=np.float64, ensure_min_samples=fewest)
        return pl.DataFrame({INPUT: pl.Series(values.tolist(), dtype=pl.List(pl.Float64))})
    if is_table(X) and not isinstance(X, pl.LazyFrame):
        validate_data(estimator, X, reset=reset, skip_check_array=True)
    if hasattr(X, "reset_index") and X.index.nlevels == 1:
        X = X.reset_index(drop=True)
    table = as_table(X, INPUT)
    if len(table) < fewest:
        raise DataError(f"at least {fewest} rows were expected. Received: {len(table)}.")
    return table


def chosen(table: pl.DataFrame, input: str | None, extra: tuple[str, ...]) -> str:
    """The column of sequences: as named by a user, or the only one of what `joined` makes of X.

    Raises:
        DataError: where it could be several, or a name is of none.
    """
    for name in (input, *extra):
        if name is not None and name not in table.columns:
            raise DataError(f"`{name}` must be a column. Received: {', '.join(table.columns)}.")
    if input is None:
        others = [name for name in joined(table, extra).columns if name not in extra]
        if len(others) != 1:
            likely = next(
                (name for name in table.columns if name not in extra and not table[name].dtype.is_numeric()),
                table.columns[0],
            )
            raise DataError(
                f"which column holds the sequences must be said. Received: {', '.join(table.columns)}.",
                hint=f"input={likely!r}; further columns that are to be read: extra",
            )
        input = others[0]
    return input


def _is_plain(X: Any) -> bool:
    """Whether X is what estimators usually take: numbers in two dimensions, or what is to be refused as they do."""
    if is_table(X):
        numeric = X.dtypes if isinstance(X, pl.DataFrame) else getattr(X, "dtypes", ())
        levels = getattr(getattr(X, "index", None), "nlevels", 1)
        return len(numeric) > 0 and levels == 1 and all(map(_is_number, numeric))
    if isinstance(X, list | tuple | pl.Series) or not (hasattr(X, "__array__") or hasattr(X, "toarray")):
        return False
    if hasattr(X, "toarray"):
        return True
    array = np.asarray(X)
    return array.ndim in (0, 2) or (array.ndim == 1 and array.dtype.kind not in "OUST")


def _is_number(dtype: Any) -> bool:
    return bool(dtype.is_numeric()) if hasattr(dtype, "is_numeric") else getattr(dtype, "kind", "O") in "iufb"


def joined(table: pl.DataFrame, extra: tuple[str, ...]) -> pl.DataFrame:
    """Several columns of lists of numbers as channels of one sequence, but for those in `extra`.

    Raises:
        DataError: for lists of several lengths in a row.
    """
    lists = [name for name in table.columns if name not in extra and _is_list_of_numbers(table[name].dtype)]
    if len(lists) < 2:
        return table
    rows = zip(*(table[name].to_list() for name in lists), strict=True)
    lengths = [table[name].list.len() for name in lists]
    if any((one != lengths[0]).any() for one in lengths):
        raise DataError(f"channels of one length a row were expected. Received: {', '.join(lists)} of several lengths.")
    frames = [np.column_stack(row).tolist() for row in rows]
    return table.drop(lists).with_columns(pl.Series(INPUT, frames))


def _is_list_of_numbers(dtype: pl.DataType) -> bool:
    inner = getattr(dtype, "inner", None)
    return dtype == pl.List and inner is not None and bool(inner.is_numeric())
