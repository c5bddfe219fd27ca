"""The rows of series put in order of time, one of each time stamp."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ostinato.arrays import Offsets
from ostinato.data.forecasting.table import Floats, RawSeries, RawTable
from ostinato.data.rejects import counted
from ostinato.data.tables.long import not_later
from ostinato.data.times.repeated import place_that_repeats
from ostinato.errors import DataError
from ostinato.recipe.forecast import ForecastRecipe
from ostinato.wording import setting

_LISTED = 10


def in_order(table: RawTable, forecast: ForecastRecipe, ids: Callable[[], Sequence[str]]) -> None:
    """Put the rows of each series in order of time (`data.sort`), and take one of each time stamp.

    Args:
        table: its notes get what was done.
        forecast: with `sort` and `on_duplicate`.
        ids: which columns may name several series, for a hint; looked for only where time stamps occur twice.

    Raises:
        DataError: for rows out of order with `sort: false`, and for time stamps that occur twice with `on_duplicate:
            stop`.
    """
    before = sum(map(len, table.series))
    sorted_rows: list[int] = []
    table.change(lambda one: _in_order(one, table, forecast, ids, sorted_rows))
    if forecast.sort is None and sorted_rows:
        table.notes.append(
            f"{counted(sum(sorted_rows), 'row')} earlier than the row before: all are sorted by time (data.sort)"
        )
    if dropped := before - sum(map(len, table.series)):
        table.notes.append(
            f"{counted(dropped, 'row')} with a repeated time stamp: "
            f"{'the first is taken' if forecast.on_duplicate == 'first' else f'their {forecast.on_duplicate} is taken'}"
        )


def _in_order(
    series: RawSeries,
    table: RawTable,
    forecast: ForecastRecipe,
    ids: Callable[[], Sequence[str]],
    sorted_rows: list[int],
) -> RawSeries:
    if series.stamps is None or not len(late := not_later(axis := series.axis())):
        return series
    earlier = late[axis[late] < axis[late - 1]]
    order = np.argsort(axis, kind="stable")
    twice = np.flatnonzero(np.diff(axis[order]) == 0) + 1
    if len(twice) and forecast.on_duplicate == "stop":
        what = "the same as the row before" if not len(earlier) else "the same as that of another row"
        sort = " --set data.sort=true" if len(earlier) and forecast.sort is False else ""
        rows = np.sort(order[twice])
        raise _wrong(series, table, forecast, rows, what, _hint(series, table, rows, ids(), sort))
    if len(earlier) and forecast.sort is False:
        what = "earlier than the row before"
        raise _wrong(series, table, forecast, earlier, what, "to sort the rows by time: --set data.sort=true")
    if len(earlier):
        series = series.take(order)
        sorted_rows.append(len(earlier))
    return _merged(series, twice, forecast.on_duplicate) if len(twice) else series


def _hint(series: RawSeries, table: RawTable, twice: Offsets, ids: Sequence[str], sort: str) -> str:
    if ids:
        named = setting("data.series", ids[0] if len(ids) == 1 else ids)
        return f"the rows of each {', '.join(ids)} as a series of its own: {named}"
    plain = series.stamps is not None and series.zone is None and table.form.unit == "us"
    place = place_that_repeats(series.stamps[twice]) if plain and series.stamps is not None else None
    how = place and setting("data.time_format", f"{table.form.format}[{place}]")
    told = f"if this is an hour that clocks repeat, as in {place}: {how}; " if place else ""
    return (
        f"{told}the mean of such rows: --set data.on_duplicate=mean{sort}; a column that "
        "says which series a row belongs to is `data.series`"
    )


def _wrong(
    series: RawSeries, table: RawTable, forecast: ForecastRecipe, rows: Offsets, what: str, hint: str
) -> DataError:
    listed = "\n".join(f"  {table.path}:{series.lines[i]}: {table.shown(series, int(i))}" for i in rows[:_LISTED])
    of = f" of series {series.name!r}" if forecast.series else ""
    count = f"{len(rows):,} time stamp{'s' if len(rows) > 1 else ''}"
    return DataError(f"{count}{of} {'are' if len(rows) > 1 else 'is'} {what}:\n{listed}", hint=hint)


def _merged(series: RawSeries, twice: Offsets, how: str) -> RawSeries:
    """One row of each time stamp; `twice`: the rows that have that of the row before. Covariates: mean or first."""
    first = np.setdiff1d(np.arange(len(series)), twice)
    kept = series.take(first)
    if how == "first":
        return kept
    covariates = _reduced(series.covariates, first, "mean")
    return replace(kept, values=_reduced(series.values, first, how), covariates=covariates)


def _reduced(values: Floats, first: Offsets, how: str) -> Floats:
    """The mean or sum of rows from each of `first` to the next, of what is there; NaN where nothing is."""
    there = ~np.isnan(values)
    sums = np.add.reduceat(np.where(there, values, 0.0), first, axis=0)
    counts = np.add.reduceat(there.astype(np.int64), first, axis=0)
    found = sums / np.maximum(counts, 1) if how == "mean" else sums
    return np.asarray(np.where(counts > 0, found, np.nan), dtype=np.float64)
