"""Data in memory (tables of pandas, polars, Arrow or Hugging Face, arrays, lists) as a table, and as a file of it.

A table in memory is written as Parquet and read like any file: one path, one result. What is written is a function of
the table alone, so that a checksum says whether two are equal.
"""

from __future__ import annotations

import os
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ostinato.data.readers.parquet import IN_MEMORY, UNNAMED
from ostinato.errors import DataError

_MOST_DIMENSIONS = 3
_SHOWN = 60
_USUAL = "sequence"
_USUAL_OF_TEXTS = "text"
_TIME = "time"
_KINDS = {int: "number", float: "number"}


def is_table(data: Any) -> bool:
    """Whether something is a table of another library: of pandas, polars, Arrow or Hugging Face `datasets`."""
    return not isinstance(data, type) and (
        isinstance(data, pl.DataFrame | pl.LazyFrame)
        or _is_pandas(data, "DataFrame")
        or hasattr(data, "to_polars")
        or (hasattr(data, "__arrow_c_stream__") and hasattr(data, "column_names"))
    )


def as_table(data: Any, column: str | None = None) -> pl.DataFrame:
    """Data in memory as a table, which is what its rows look like in a file.

    Args:
        data: a table of pandas, polars, Arrow or Hugging Face `datasets`; a mapping of columns; a list of mappings, of
            texts, of arrays (L,) or (L, C), or of tables of numbers (a row a step); an array (N, L) or (N, L, C); a
            panel of sktime or aeon (`nested_univ`, `pd-multiindex`, `df-list`).
        column: what the column is called where the data have no names; by default `text` of texts, else `sequence`.

    Raises:
        DataError: for what is no such thing, or holds values of several kinds in a column.

    Example:
        >>> as_table({"text": ["a", "b"], "label": [0, 1]}).columns
        ['text', 'label']
        >>> as_table(np.zeros((2, 5, 3))).dtypes
        [List(List(Float64))]
    """
    if isinstance(data, pl.LazyFrame):
        data = data.collect()
    if isinstance(data, pl.DataFrame):
        return _of_frame(data)
    if _is_pandas(data, "Series") and _is_time(data.index):
        return _of_pandas(data.to_frame(str(data.name or column or _usual(data))), column)
    if isinstance(data, pl.Series) or _is_pandas(data, "Series"):
        return _of_columns({str(data.name or column or _usual(data)): data})
    if _is_pandas(data, "DataFrame"):
        return _of_pandas(data, column)
    if isinstance(data, Mapping):
        return _of_mapping(data)
    if hasattr(data, "to_polars"):
        return _of_dataset(data)
    if hasattr(data, "__arrow_c_stream__"):
        return _of_frame(pl.DataFrame(data))
    if isinstance(data, str | bytes) or not hasattr(data, "__len__"):
        raise DataError(f"a table, an array or a list of rows was expected. Received: {_kind(data)}.")
    if not isinstance(data, Sequence) and hasattr(data, "__array__"):
        found = _array(data)
        return _of_columns({column or _usual(found): found})
    rows = list(data)
    if rows and all(isinstance(row, Mapping) for row in rows):
        names = dict.fromkeys(str(name) for row in rows for name in row)
        return _of_columns({name: [row.get(name) for row in rows] for name in names})
    return _of_columns({column or _usual(rows): rows})


def _of_frame(table: pl.DataFrame) -> pl.DataFrame:
    return _of_columns({name: table[name] for name in table.columns})


def _of_mapping(data: Mapping[Any, Any]) -> pl.DataFrame:
    whole = [str(name) for name, one in data.items() if is_table(one)]
    if whole:
        parts = {f"'data.{'test' if 'test' in name else 'validation'}': data[{name!r}]" for name in whole[1:3]}
        settings = f", settings={{{', '.join(sorted(parts))}}}" if parts else ""
        raise DataError(
            f"one table was expected. Received: several, {', '.join(map(str, data))}.",
            hint=f"ostinato.train(data[{whole[0]!r}]{settings})",
        )
    scalar = next((name for name, one in data.items() if isinstance(one, str) or not hasattr(one, "__len__")), None)
    if scalar is not None:
        raise DataError(f"column {scalar!r} must be a list or an array. Received: {_kind(data[scalar])}.")
    return _of_columns({str(name): _array(one) if hasattr(one, "__array__") else one for name, one in data.items()})


def _of_dataset(data: Any) -> pl.DataFrame:
    """A data set of Hugging Face; classes by their names."""
    table: pl.DataFrame = data.to_polars()
    features = getattr(data, "features", None) or {}
    names = {name: one.names for name, one in features.items() if getattr(one, "names", None)}
    return _of_frame(
        table.with_columns(
            pl.col(name).replace_strict(dict(enumerate(one)), default=None, return_dtype=pl.String)
            for name, one in names.items()
        )
    )


def _of_pandas(data: Any, column: str | None) -> pl.DataFrame:
    """A table, with its index where that has a name or says times; a panel of numbers, of rows (instance, step), has a
    sequence a row."""
    if data.index.nlevels > 1:
        numbers = data.select_dtypes(["number", "bool"]).columns
        if data.index.nlevels != 2 or len(numbers) != len(data.columns):
            others = ", ".join(str(name) for name in data.columns if name not in numbers) or "numbers alone"
            raise DataError(
                "a panel was expected, of an index of two levels (instance, step) and columns of numbers. "
                f"Received: {data.index.nlevels} levels, and {others}.",
                hint="df.reset_index()",
            )
        return _of_columns({column or _USUAL: [part for _, part in data.groupby(level=0, sort=False)]})
    names = [str(name) for name in data.columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"columns must have names of their own. Received: several columns {twice!r}.")
    index = str(data.index.name or _TIME)
    if (data.index.name is not None or _is_time(data.index)) and index not in names:
        times = data.index.to_timestamp() if _is_pandas(data.index, "PeriodIndex") else data.index
        data, names = data.set_axis(range(len(names)), axis=1), [index, *names]
        data.insert(0, index, times)
    return _of_columns({name: data.iloc[:, place] for place, name in enumerate(names)})


def _is_time(index: Any) -> bool:
    return _is_pandas(index, "DatetimeIndex") or _is_pandas(index, "PeriodIndex")


def _array(data: Any) -> Any:
    """An array of one value a row, or of sequences (N, L) or (N, L, C)."""
    found = np.asarray(data)
    if not 1 <= found.ndim <= _MOST_DIMENSIONS:
        raise DataError(
            f"an array (N,), (N, L) or (N, L, C) was expected: rows, steps, channels. Received: {found.shape}."
        )
    return found


def _of_columns(columns: Mapping[str, Any]) -> pl.DataFrame:
    lengths = {name: len(values) for name, values in columns.items()}
    if len({*lengths.values()}) > 1:
        said = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise DataError(f"columns of one length were expected. Received: {said}.")
    return pl.DataFrame([as_column(name, values) for name, values in columns.items()])


def as_column(name: str, values: Any) -> pl.Series:
    """A column; nothing where there is no value.

    Args:
        name: its name.
        values: a series or an array of another library, or a list of cells.

    Raises:
        DataError: for values of several kinds.

    Example:
        >>> as_column("x", [[1, 2], [0.5]]).to_list()
        [[1.0, 2.0], [0.5]]
    """
    if _is_pandas(values, "Series") and isinstance(values.dtype, np.dtype) and values.dtype.kind in "iufbM":
        values = values.to_numpy()
    if isinstance(values, np.ndarray) and values.dtype.kind in "iufbM" and values.ndim == 1:
        values = pl.Series(name, values)
    if isinstance(values, pl.Series):
        return (values.fill_nan(None) if values.dtype.is_float() else values).alias(name)
    cells = [_plain(cell) for cell in values]
    try:
        return pl.Series(name, cells, dtype=_type_of(name, cells, lambda place: place))
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        if isinstance(error, DataError):
            raise
        said = str(error).splitlines()[0][:200]
        raise DataError(f"column {name!r} can't be read as values of one kind: {said}.") from error


def _type_of(name: str, cells: list[Any], row_of: Callable[[int], int]) -> pl.DataType:
    """The type of values, and so of what lists and mappings hold: floats where not all numbers are whole.

    Args:
        name: the column.
        cells: values, None for none.
        row_of: the row that a value is in.

    Raises:
        DataError: for values of several kinds.
    """
    types = {*map(type, cells)} - {type(None)}
    kinds = {one: _KINDS.get(one, one.__name__) for one in types}
    if len({*kinds.values()}) > 1:
        first = {kinds[type(cell)]: place for place, cell in reversed([*enumerate(cells)]) if cell is not None}
        said = ", ".join(f"row {row_of(place) + 1} {cells[place]!r:.{_SHOWN}}" for place in sorted(first.values()))
        raise DataError(f"column {name!r} must hold values of one kind. Received: {said}.")
    if list in types:
        ends = list(accumulate(len(cell or ()) for cell in cells))
        inner = [one for cell in cells for one in cell or ()]
        return pl.List(_type_of(name, inner, lambda place: row_of(bisect_right(ends, place))))
    if dict in types:
        keys = dict.fromkeys(key for cell in cells for key in cell or ())
        return pl.Struct({key: _type_of(name, [(cell or {}).get(key) for cell in cells], row_of) for key in keys})
    if float in types:
        return pl.Float64()
    found = pl.Series(cells).dtype
    if found == pl.Object:
        raise TypeError(f"{_kind(cells[0])} is no value of a table")
    return found


def _plain(cell: Any) -> Any:
    """A cell of numpy, torch, pandas or polars as Python's own; None for what stands where there is nothing."""
    if isinstance(cell, pl.Series):
        return cell.to_list()
    if _is_pandas(cell, "DataFrame"):
        cell = cell.to_numpy()
    if hasattr(cell, "tolist"):
        cell = cell.tolist()
    if isinstance(cell, list | tuple):
        return [_plain(one) if hasattr(one, "tolist") or isinstance(one, list | tuple) else one for one in cell]
    missing = isinstance(cell, float) and cell != cell
    return None if missing or type(cell).__name__ in ("NAType", "NaTType") else cell


def _usual(rows: Any) -> str:
    return _USUAL_OF_TEXTS if len(rows) and isinstance(next(iter(rows)), str) else _USUAL


def _is_pandas(data: Any, name: str) -> bool:
    """Without importing pandas."""
    return any(base.__name__ == name and base.__module__.split(".")[0] == "pandas" for base in type(data).__mro__)


def _kind(data: Any) -> str:
    return f"{type(data).__name__} {data!r:.{_SHOWN}}"


def is_in_memory(data: Any) -> bool:
    """Whether data are no reference (a path, a name, a share of the rows, nothing), but the data themselves."""
    return data is not None and not isinstance(data, str | os.PathLike | int | float)


def written(table: pl.DataFrame, folder: Path, name: str) -> Path:
    """A table in memory as a file that readers know as one. Raises `DataError` for one without a row."""
    if not len(table):
        raise DataError("a table with at least one row was expected. Received: none.")
    path = folder / f"{name}{IN_MEMORY}"
    table.write_parquet(path)
    return path


def shown(reference: str) -> str:
    """A reference as messages say it."""
    return UNNAMED if reference.endswith(IN_MEMORY) else reference


@contextmanager
def as_file(data: Any, column: str | None = None) -> Iterator[str]:
    """Data in memory as the path of a file, which is there until the end; a path or a name as it is.

    Args:
        data: see `as_table`; or a path, or a name of the catalogue.
        column: the name of the input, for data without names.

    Raises:
        DataError: for what is neither.
    """
    if not is_in_memory(data):
        if not isinstance(data, str | os.PathLike):
            raise DataError(f"a file, a table or a name of the catalogue was expected. Received: {_kind(data)}.")
        yield str(data)
        return
    with tempfile.TemporaryDirectory(prefix="ostinato-") as folder:
        yield str(written(as_table(data, column), Path(folder), "table"))
