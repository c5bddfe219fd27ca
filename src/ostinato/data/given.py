"""Rows given by hand: cells, mappings by column, tables of other libraries; and what can't be a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from ostinato.data.features import Draft, Feature
from ostinato.data.in_memory import as_column, as_table, is_table
from ostinato.data.readers.parquet import plain_texts
from ostinato.errors import RowError

_SHOWN = 60


def rows_given(rows: Any, columns: Sequence[str]) -> list[Any]:
    """Rows as a list: of a table (of pandas, polars, Arrow, Hugging Face) the columns that are read; one alone is a
    list of one.

    Args:
        rows: a text, a mapping by column, any number of either, or a table.
        columns: that are read; none: a table can't be.

    Raises:
        RowError: for what is no such thing, or a table without one of the columns.

    Example:
        >>> rows_given(pl.DataFrame({"text": ["a", "b"], "label": [0, 1]}), ["text"])
        ['a', 'b']
    """
    if isinstance(rows, str | bytes | Mapping):
        return [rows]
    if is_table(rows):
        return _of_table(as_table(rows), columns)
    try:
        return list(rows)
    except TypeError as error:
        raise RowError(f"rows must be a list of cells. Received: {rows!r:.{_SHOWN}}.") from error


def _of_table(table: pl.DataFrame, columns: Sequence[str]) -> list[Any]:
    names = table.columns
    if not columns:
        raise RowError(
            "this model reads series, not rows of a table. Received: a table.",
            hint="give each series as a list of numbers, or save the table and predict its file: "
            "run.predict_file('series.csv')",
        )
    missing = [name for name in columns if name not in names]
    if missing:
        raise RowError(
            f"the table has no column `{missing[0]}`, which this model reads. Its columns: {', '.join(names)}.",
            hint=f"rename one of them, or give its cells alone: run.predict(table[{names[0]!r}])" if names else None,
        )
    cells = [_cells(table[name]) for name in columns]
    if len(columns) == 1:
        return cells[0]
    return [dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True)]


def _cells(column: pl.Series) -> list[Any]:
    if column.dtype == pl.Binary:
        raise RowError(f"column `{column.name}` must hold texts, numbers or lists of them. Received: bytes.")
    return (column if column.dtype.is_nested() else plain_texts(column)).to_list()


def drafted(rows: Sequence[Any], column: str, feature: Feature, columns: Sequence[str]) -> Draft:
    """One column of rows given by hand, encoded.

    Raises:
        RowError: for a row that lacks the column, and the first cell that can't be used.
    """
    cells = [_plain(_cell(row, column, columns)) for row in rows]
    for number, cell in enumerate(cells):
        if _is_missing(cell):
            raise RowError(f"row {number + 1} has no value for `{column}`. Received: {cell!r}.")
        if not isinstance(cell, feature.cell_type):
            raise RowError(
                f"row {number + 1}, {cell!r:.{_SHOWN}}, can't be used: `{column}` is read as {feature.kind} and must "
                f"be a string. Received: {type(cell).__name__}.",
            )
    try:
        draft = feature.draft(as_column(column, cells))
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise RowError(
            f"rows can't be read as {feature.kind}, as `{column}` is. Received: {cells[0]!r:.{_SHOWN}}."
        ) from error
    empty = np.flatnonzero(draft.lengths == 0).tolist()
    problems = {**dict.fromkeys(empty, feature.empty), **draft.problems}
    if problems:
        first = min(problems)
        raise RowError(f"row {first + 1}, {str(cells[first])[:_SHOWN]!r}, can't be used: {problems[first]}.")
    return draft


def _cell(row: Any, column: str, columns: Sequence[str]) -> Any:
    if isinstance(row, Mapping):
        if column in row:
            return row[column]
        raise RowError(f"a row has no value for `{column}`. Received: {', '.join(map(str, row)) or 'nothing'}.")
    if len(columns) > 1:
        raise RowError(
            f"this model reads several columns: {', '.join(columns)}.", hint="give each row as a mapping by column"
        )
    return row


def _plain(cell: Any) -> Any:
    """A cell of numpy's or a table's as Python's own."""
    if isinstance(cell, np.ndarray | np.generic):
        return cell.tolist()
    return cell.to_list() if isinstance(cell, pl.Series) else cell


def _is_missing(cell: Any) -> bool:
    """None, NaN, and what pandas holds where there is nothing."""
    return cell is None or (isinstance(cell, float) and cell != cell) or type(cell).__name__ in ("NAType", "NaTType")
