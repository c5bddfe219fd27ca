"""Which columns of a table are time, series and channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ostinato.data.inference.sample import DataSample
from ostinato.data.tables.numbers import MISSING, numbers_of
from ostinato.data.tables.times import parse_times
from ostinato.errors import RecipeError
from ostinato.recipe.forecast import ForecastRecipe

_FEW = 0.1
"""Share of a column's cells that may be mistakes."""
_TIME_NAMES = ("date", "time", "datetime", "timestamp", "ds", "month", "day", "year")
_SERIES_NAMES = ("unique_id", "series_id", "item_id", "series")


def settle_columns(forecast: ForecastRecipe, sample: DataSample, notes: list[str]) -> ForecastRecipe:
    """`forecast` with its layout and columns found where it left them open; `notes` gets what was found.

    Raises:
        RecipeError: if no column is left to forecast, or there is no time column where one is needed.
        DataError: if a column is missing.
    """
    columns = sample.columns()
    sample.source.require(*_named(forecast))
    if forecast.layout == "rows":
        return forecast if forecast.series else forecast.model_copy(update={"series": columns[0]})
    head = sample.rows(*columns)
    found: dict[str, Any] = {"layout": "table"}
    free = [name for name in columns if name not in _named(forecast)]
    if forecast.time is None:
        time = next((name for name in free if _is_time(name, head[name])), None)
        if time is not None:
            found["time"] = time
            free.remove(time)
            notes.append(f"time: {time} (its cells are time stamps)")
        elif forecast.calendar or forecast.time_delta:
            key = "calendar" if forecast.calendar else "time_delta"
            raise RecipeError(
                f"`data.{key}` needs a time column, and `{sample.path}` has none. Columns: {', '.join(columns)}.",
                hint="name it: --set data.time=COLUMN",
            )
        else:
            notes.append("time: no column of time stamps: rows are taken as equal steps in their order")
    if forecast.series is None:
        series = next((name for name in free if name.lower() in _SERIES_NAMES), None)
        if series is not None:
            found["series"] = series
            free.remove(series)
            notes.append(f"series: {series} (its name says so)")
    if not forecast.channels:
        numeric = tuple(name for name in free if _is_numeric(head[name]))
        if not numeric:
            raise RecipeError(
                f"no column of `{sample.path}` holds numbers to forecast. Columns: {', '.join(columns)}.",
                hint="name them: --set data.channels=[COLUMN]",
            )
        found["channels"] = numeric
        notes.append(f"channels: {', '.join(numeric[:8])}{', …' if len(numeric) > 8 else ''} (they hold numbers)")
    return forecast.model_copy(update=found)


def what_is_forecast(sample: DataSample, input: str | None, target: str | None) -> tuple[str, tuple[str, ...]] | None:
    """The time column and the channels of a table of numbers in time; None where it is no such table.

    `input` is forecast if it holds numbers. Else `target` is, or all but the time and the names of series, where all of
    these hold numbers. Where both are named, `input` must be the time, and `target` is forecast.
    """
    columns, named = sample.columns(), target if input and target else input or target
    if not {input, target} <= {None, *columns}:
        return None
    head = sample.rows(*([input, target] if input and target and input != target else columns))
    times = [input] if input and target else [name for name in columns if name != named]
    time = next((name for name in times if _is_time(name, head[name])), None)
    if time is None:
        return None
    free = tuple(name for name in columns if name != time and name.lower() not in _SERIES_NAMES)
    looked_at = (named,) if input and named else free
    if not looked_at or not all(_is_numeric(head[name]) for name in looked_at):
        return None
    return time, (named,) if named else free


def _named(forecast: ForecastRecipe) -> list[str]:
    names = (forecast.time, forecast.series, *forecast.channels, *forecast.past, *forecast.future)
    return [name for name in names if name]


def _is_time(name: str, cells: pl.Series) -> bool:
    if cells.dtype != pl.String:
        return False
    parsed = parse_times(cells.drop_nulls().head(200))
    return parsed is not None and (parsed[1] == "us" or name.lower() in _TIME_NAMES) and not parsed[0].null_count()


def _is_numeric(cells: pl.Series) -> bool:
    """Whether nearly all cells are numbers or missing; what is neither is named as a bad row when it is read."""
    if cells.dtype != pl.String or not len(cells):
        return False
    numbers, wrong = numbers_of(cells, MISSING)
    return bool(wrong.mean() <= _FEW) and bool(np.isfinite(numbers).any())
