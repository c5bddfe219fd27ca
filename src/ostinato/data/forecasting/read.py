"""A file as time series: numbers and time stamps read, rows put in order of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ostinato.data.forecasting.table import RawSeries, RawTable, shelved
from ostinato.data.forecasting.timestamps import shown
from ostinato.data.io.blocks import Block
from ostinato.data.readers.base import Source
from ostinato.data.rejects import counted
from ostinato.data.tables.long import LongTable, not_later
from ostinato.data.tables.numbers import MISSING, Reject, usable, wide_rows
from ostinato.errors import DataError
from ostinato.recipe.forecast import ForecastRecipe

_LISTED = 10
_KEYS = ("values", "covariates", "stamps", "lines")


def read_table(source: Source, forecast: ForecastRecipe) -> RawTable:
    """The series of a file, each in order of time, gaps and missing values as they were found.

    Args:
        source: of the file.
        forecast: with its columns settled (`settle_columns`).

    Raises:
        DataError: for cells that are no numbers or time stamps, rows out of order, time stamps that occur twice.
    """
    if forecast.layout == "rows":
        return _read_rows(source, forecast)
    return _read_steps(source, forecast)


def _read_rows(source: Source, forecast: ForecastRecipe) -> RawTable:
    """A series a row; cells that are empty at the end of a row are not there."""
    names = forecast.channels or tuple(name for name in source.columns() if name != forecast.series)
    blocks = source.blocks([str(forecast.series), *names])
    series = shelved(one for block in blocks for one in _of_rows(block, names, forecast, source))
    source.bad_rows.settle()
    return RawTable(str(source.path), series)


def _of_rows(block: Block, names: Sequence[str], forecast: ForecastRecipe, source: Source) -> Iterator[RawSeries]:
    numbers, lengths, good = wide_rows(block, names, _reject_by(source), MISSING)
    good = good & usable(block, [(good & (lengths == 0), "it holds no number", None)], _reject_by(source))
    called = block.frame[str(forecast.series)].to_list()
    for row in np.flatnonzero(good).tolist():
        values = numbers[row, : lengths[row], None]
        lines = np.full(len(values), block.lines[row])
        yield RawSeries(str(called[row]), values, np.zeros((len(values), 0)), None, lines)


def _reject_by(source: Source) -> Reject:
    return lambda block, row, reason: source.bad_rows.add(*block.location(row), reason)


def _read_steps(source: Source, forecast: ForecastRecipe) -> RawTable:
    """A row a step."""
    numbers = {"values": forecast.channels, "covariates": (*forecast.past, *forecast.future)}
    columns = [name for name in (forecast.series, forecast.time, *numbers["values"], *numbers["covariates"]) if name]
    rows = LongTable(numbers, _reject_by(source), forecast.series, forecast.time, missing=MISSING)
    for block in source.blocks(columns):
        rows.add(block, {"lines": block.lines})
        if forecast.time and rows.unit is None:
            raise DataError(
                f"column `{forecast.time}` of `{source.path}` holds no time stamps. "
                f"Received: {block.frame[forecast.time][0]!r}.",
                hint="write them as 2016-07-01 13:00:00, or as integers",
            )
    if source.bad_rows.rows:  # without its rows a series would have a gap, so they can't be skipped
        shown_rows = "\n".join(f"  {row}" for row in source.bad_rows.in_order()[:_LISTED])
        raise DataError(
            f"{counted(len(source.bad_rows.rows), 'row')} of `{source.path}` can't be used:\n{shown_rows}",
            hint="an empty cell, NA or NaN is a missing value (`data.missing`)",
        )
    names, offsets, stored = rows.finish()
    if not names:
        raise DataError(f"`{source.path}` holds no row.")
    names = names if forecast.series else [source.path.name.split(".")[0]]
    series = [
        RawSeries(name, *(stored[key][first:last] if key in stored else None for key in _KEYS))  # type: ignore[arg-type]
        for name, first, last in zip(names, offsets[:-1], offsets[1:], strict=True)
    ]
    table = RawTable(str(source.path), series, rows.unit or "step")
    table.change(lambda one: _in_order(one, table, forecast))
    return table


def _in_order(series: RawSeries, table: RawTable, forecast: ForecastRecipe) -> RawSeries:
    """By time; raises `DataError` for rows out of order (unless `sort`) and for stamps that occur twice."""
    stamps = series.stamps
    if stamps is None or not len(late := not_later(stamps)):
        return series
    if forecast.sort:
        order = np.argsort(stamps, kind="stable")
        series, stamps = series.take(order), stamps[order]
        late = not_later(stamps)
    earlier = stamps[late] < stamps[late - 1]
    of = f" of series {series.name!r}" if forecast.series else ""
    for rows, what, hint in (
        (late[earlier], "earlier than the row before", "--set data.sort=true puts rows in order of time"),
        (
            late[~earlier],
            "the same as the row before",
            "several series in it? --set data.series=COLUMN",
        ),
    ):
        if len(rows):
            listed = "\n".join(
                f"  {table.path}:{series.lines[i]}: {shown(int(stamps[i]), table.unit)}" for i in rows[:_LISTED]
            )
            count = f"{len(rows):,} time stamp{'s' if len(rows) > 1 else ''}"
            raise DataError(f"{count}{of} {'are' if len(rows) > 1 else 'is'} {what}:\n{listed}", hint=hint)
    return series
