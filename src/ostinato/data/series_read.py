"""A file as time series: numbers and time stamps read, rows put in order of time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from ostinato.data.arrays import Offsets
from ostinato.data.rejects import counted
from ostinato.data.series_columns import numbers_of
from ostinato.data.series_table import RawSeries, RawTable
from ostinato.data.sources import Source
from ostinato.data.time import parse_times, shown
from ostinato.errors import DataError
from ostinato.recipe.forecast import ForecastRecipe

_LISTED = 10


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
    columns = source.columns()
    names = forecast.channels or tuple(name for name in columns if name != forecast.series)
    series: list[RawSeries] = []
    for block in source.blocks([str(forecast.series), *names]):
        cells = block.frame.select(names)
        flat = pl.Series("x", np.concatenate([cells[name].cast(pl.String).to_numpy() for name in names]), pl.String)
        numbers, wrong = numbers_of(flat)
        table, bad = numbers.reshape(len(names), -1).T, wrong.reshape(len(names), -1).T
        for row, name in enumerate(block.frame[str(forecast.series)].to_list()):
            file, line = block.location(row)
            if bad[row].any():
                column = names[int(bad[row].argmax())]
                source.bad_rows.add(file, line, f"`{column}` is no number: {cells[column][row]!r}")
                continue
            filled = np.flatnonzero(~np.isnan(table[row]))
            if not len(filled):
                source.bad_rows.add(file, line, "it holds no number")
                continue
            values = table[row, : filled[-1] + 1, None]
            size = len(values)
            series.append(
                RawSeries(
                    str(name), values, np.zeros((size, 0)), None, np.full(size, line), np.ones(size, dtype=np.bool_)
                )
            )
    source.bad_rows.settle()
    return RawTable(str(source.path), series)


def _read_steps(source: Source, forecast: ForecastRecipe) -> RawTable:
    """A row a step."""
    numeric = [*forecast.channels, *forecast.past, *forecast.future]
    columns = [*([forecast.series] if forecast.series else []), *([forecast.time] if forecast.time else []), *numeric]
    parts: dict[str, list[Any]] = {"numbers": [], "names": [], "times": [], "lines": []}
    for block in source.blocks(columns):
        found = np.empty((len(block.lines), len(numeric)))
        for place, name in enumerate(numeric):
            found[:, place], wrong = numbers_of(block.frame[name])
            for row in np.flatnonzero(wrong).tolist():
                file, line = block.location(row)
                source.bad_rows.add(file, line, f"`{name}` is no number: {block.frame[name][row]!r}")
        parts["numbers"].append(found)
        parts["lines"].append(block.lines)
        parts["names"].append(block.frame[forecast.series] if forecast.series else None)
        parts["times"].append(block.frame[forecast.time] if forecast.time else None)
    if not parts["lines"]:
        raise DataError(f"`{source.path}` holds no row.")
    if source.bad_rows.rows:  # without its rows a series would have a gap, so they can't be skipped
        shown_rows = "\n".join(f"  {row}" for row in source.bad_rows.in_order()[:_LISTED])
        raise DataError(
            f"{counted(len(source.bad_rows.rows), 'row')} of `{source.path}` can't be used:\n{shown_rows}",
            hint="an empty cell, NA or NaN is a missing value (`model.forecast.missing`)",
        )
    numbers, lines = np.concatenate(parts["numbers"]), np.concatenate(parts["lines"])
    stamps, unit = _stamps(parts["times"], lines, str(source.path), forecast)
    width = len(forecast.channels)
    whole = RawSeries(
        source.path.name.split(".")[0],
        numbers[:, :width],
        numbers[:, width:],
        stamps,
        lines,
        np.ones(len(lines), np.bool_),
    )
    table = RawTable(str(source.path), _by_name(whole, parts["names"], forecast), unit)
    table.series = [_in_order(one, table, forecast) for one in table.series]
    return table


def _by_name(whole: RawSeries, names: list[Any], forecast: ForecastRecipe) -> list[RawSeries]:
    """One series a name, in order of first appearance."""
    if not forecast.series:
        return [whole]
    frame = pl.DataFrame({"name": pl.concat(names), "row": np.arange(len(whole))})
    if frame["name"].null_count():
        line = int(whole.lines[frame.filter(pl.col("name").is_null())["row"][0]])
        raise DataError(f"`{forecast.series}` is empty in line {line}: which series is it?")
    groups = frame.group_by("name", maintain_order=True).agg("row")
    return [replace(whole.take(np.asarray(rows, dtype=np.int64)), name=str(name)) for name, rows in groups.iter_rows()]


def _stamps(cells: list[Any], lines: Offsets, path: str, forecast: ForecastRecipe) -> tuple[Offsets | None, str]:
    if not forecast.time:
        return None, "step"
    column = pl.concat(cells)
    parsed = parse_times(column)
    if parsed is None:
        raise DataError(
            f"column `{forecast.time}` of `{path}` holds no time stamps. Received: {column[0]!r}.",
            hint="write them as 2016-07-01 13:00:00, or as integers",
        )
    wrong = np.flatnonzero(parsed[0].is_null().to_numpy())
    if len(wrong):
        rows = "\n".join(f"  {path}:{lines[i]}: {column[int(i)]!r}" for i in wrong[:_LISTED])
        raise DataError(f"{len(wrong):,} time stamps of `{forecast.time}` can't be read:\n{rows}")
    return parsed[0].to_numpy().astype(np.int64), parsed[1]


def _in_order(series: RawSeries, table: RawTable, forecast: ForecastRecipe) -> RawSeries:
    """By time; raises `DataError` for rows out of order (unless `sort`) and for stamps that occur twice."""
    if series.stamps is None:
        return series
    if forecast.sort:
        series = series.take(np.argsort(series.stamps, kind="stable"))
    steps = np.diff(series.stamps) if series.stamps is not None else np.zeros(0)
    of = f" of series {series.name!r}" if forecast.series else ""
    for wrong, what, hint in (
        (steps < 0, "earlier than the row before", "--set model.forecast.sort=true puts rows in order of time"),
        (steps == 0, "the same as the row before", "several series in one table? --set model.forecast.series=COLUMN"),
    ):
        rows = np.flatnonzero(wrong) + 1
        if len(rows):
            listed = "\n".join(
                f"  {table.path}:{series.lines[i]}: {shown(int(series.stamps[i]), table.unit)}"  # type: ignore[index]
                for i in rows[:_LISTED]
            )
            count = f"{len(rows):,} time stamp{'s' if len(rows) > 1 else ''}"
            raise DataError(f"{count}{of} {'are' if len(rows) > 1 else 'is'} {what}:\n{listed}", hint=hint)
    return series
