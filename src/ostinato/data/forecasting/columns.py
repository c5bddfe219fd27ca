"""Which columns of a table are time, series and channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from ostinato.data.forecasting.roles import Roles, find_roles, is_numeric
from ostinato.data.inference.sample import DataSample
from ostinato.data.times.columns import dated_names
from ostinato.errors import RecipeError
from ostinato.recipe.base import named_by
from ostinato.recipe.forecast import ForecastRecipe
from ostinato.wording import setting

_BLOCKS = 8
"""Blocks to look at where rows of further series may be below those of the first one."""


def resolve_columns(forecast: ForecastRecipe, sample: DataSample, notes: list[str]) -> ForecastRecipe:
    """`forecast` with its layout and columns found where it left them open; `notes` gets what was found.

    Raises:
        RecipeError: if no column is left to forecast, or there is no time column where one is needed.
        DataError: if a column is missing.
    """
    columns, named = sample.columns(), forecast.columns()
    sample.source.require(*named)
    if forecast.layout == "rows":
        return _resolve_rows(forecast, sample, notes)
    free = [name for name in columns if name not in (*forecast.channels, *forecast.past, *forecast.future)]
    roles = _roles(sample, free, forecast)
    found: dict[str, Any] = {"layout": "table", "time": _spelt(roles.time), "series": _spelt(roles.series)}
    if roles.time_reason:
        notes.append(f"time: {', '.join(roles.time)} ({roles.time_reason})")
    elif not roles.time and (forecast.calendar or forecast.time_delta):
        key = "calendar" if forecast.calendar else "time_delta"
        raise RecipeError(
            f"`data.{key}` needs a time column, and `{sample.source.name}` has none. Columns: {', '.join(columns)}.",
            hint=f"leave it out, or name the column: {setting('data.time', columns[0])}",
        )
    elif not roles.time:
        notes.append("time: no column of time stamps: rows are taken as evenly spaced, in file order")
    if roles.series_reason:
        notes.append(f"series: {', '.join(roles.series)} ({roles.series_reason})")
    if not forecast.channels:
        head = sample.rows(*columns)
        numeric = tuple(name for name in roles.free if is_numeric(head[name]))
        if not numeric:
            raise RecipeError(
                f"no column of `{sample.source.name}` holds numbers to forecast. Columns: {', '.join(columns)}.",
                hint=f"name one, to see which rows hold none: {setting('data.channels', [columns[-1]])}",
            )
        found["channels"] = numeric
        notes.append(f"channels: {', '.join(numeric[:8])}{', …' if len(numeric) > 8 else ''} (they hold numbers)")
        if roles.passed_over:
            notes.append(
                f"not forecast: {', '.join(roles.passed_over)} (row numbers, or the time stamp again, or parts of it)"
            )
        if empty := [name for name in roles.free if _is_empty(head[name])]:
            notes.append(f"not forecast: {', '.join(empty[:8])} (empty)")
    return forecast.model_copy(update=found)


def _resolve_rows(forecast: ForecastRecipe, sample: DataSample, notes: list[str]) -> ForecastRecipe:
    """A series a row: its values are in the columns that are named as times, where there are such, or in all others;
    its name in those that distinguish rows."""
    columns, found = sample.columns(), dict[str, Any]()
    dated = dated_names(columns)
    if dated and not forecast.channels:
        found["channels"] = tuple(dated)
        notes.append(f"values: {dated[0]} to {dated[-1]} (columns that are named as times)")
    if not forecast.series:
        rest = [name for name in columns if name not in dated]
        head = sample.rows(*rest) if dated and rest else pl.DataFrame()
        texts = [name for name in head.columns if not head[name].null_count() and not is_numeric(head[name])]
        found["series"] = next((name for name in texts if head[name].n_unique() == len(head)), columns[0])
    return forecast.model_copy(update=found)


def what_is_forecast(sample: DataSample, input: str | None, target: str | None) -> tuple[str, tuple[str, ...]] | None:
    """Why it is one, in words, and the channels of a table of numbers in time; None where it is no such table.

    `input` is forecast if it holds numbers. Else `target` is, or all but the time and the names of series, where all of
    these hold numbers. Where both are named, `input` must be the time, and `target` is forecast. Numbers that are all
    that a table holds are in order, too.
    """
    columns, named = sample.columns(), target if input and target else input or target
    if len(columns) == 1 and not named and is_numeric(sample.rows(*columns)[columns[0]]):
        return f"{columns[0]}, the only column, holds numbers", (columns[0],)
    if not {input, target} <= {None, *columns}:
        return None
    head = sample.rows(*([input, target] if input and target and input != target else columns))
    times = [input] if input and target else [name for name in columns if name != named]
    roles = find_roles(head, times)
    if not roles.time:
        return None
    free = tuple(name for name in roles.free if not _is_empty(head[name]))
    looked_at = (named,) if input and named else (*free, *([named] if named else []))
    if not looked_at or not all(is_numeric(head[name]) for name in looked_at):
        return None
    channels, verb = (named,) if named else free, "holds" if len(roles.time) == 1 else "hold"
    listed = ", ".join(channels[:8]) + ", …" * (len(channels) > 8)
    return f"{', '.join(roles.time)} {verb} time stamps, {listed} numbers", channels


def _roles(sample: DataSample, free: Sequence[str], forecast: ForecastRecipe) -> Roles:
    """The roles of columns; further blocks are read where the first one is of one series only, as it seems."""
    time, series = named_by(forecast.time), named_by(forecast.series)
    names = list(dict.fromkeys([*free, *time, *series]))
    head = sample.rows(*names)
    roles = find_roles(head, free, time, series)
    if roles.series or not any(_is_constant(head[name]) for name in roles.free):
        return roles
    more = find_roles(sample.rows(*names, num_blocks=_BLOCKS), free, roles.time, series)
    return replace(more, time_reason=roles.time_reason)


def _is_empty(cells: pl.Series) -> bool:
    return bool(cells.is_null().all() or (cells.dtype == pl.String and (cells.str.strip_chars() == "").all()))


def _is_constant(cells: pl.Series) -> bool:
    return cells.dtype == pl.String and len(cells) > 1 and cells.n_unique() == 1


def _spelt(columns: tuple[str, ...]) -> str | tuple[str, ...] | None:
    return columns if len(columns) > 1 else columns[0] if columns else None
