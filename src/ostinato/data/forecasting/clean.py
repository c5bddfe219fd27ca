"""Gaps in time and missing values: stopped at, filled, or marked, as the recipe says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ostinato.arrays import Offsets
from ostinato.data.forecasting.table import Floats, RawSeries, RawTable
from ostinato.data.rejects import counted
from ostinato.data.times.forms import Form
from ostinato.data.times.repeated import place_that_skips
from ostinato.data.times.step import Frequency, find_frequency
from ostinato.errors import DataError
from ostinato.recipe.forecast import ForecastRecipe
from ostinato.wording import setting

_LISTED = 10
_FEW = 0.05
"""Share of steps, or of rows, that is filled where a recipe leaves that open."""
_LOOKED_AT = 1 << 20
"""Steps from which the frequency is detected."""


def make_regular(table: RawTable, forecast: ForecastRecipe, known: Frequency | None = None) -> None:
    """Find the frequency of a table's series and treat gaps as `on_gap` says; `table.notes` gets what was done.

    Args:
        table: it is changed.
        forecast: with `on_gap` and `time_delta`.
        known: the frequency of a run, which every file it reads has.

    Raises:
        DataError: for gaps with `on_gap: stop`, for many with `auto`, and for stamps that don't fall on steps.
    """
    stamped = [one for one in table.series if one.stamps is not None and len(one) > 1]
    if not stamped:
        return
    table.frequency = known or _frequency(max(stamped, key=len), table.form.unit)
    if known is None and table.frequency.unit == "workday":
        table.notes.append("time: no row is of a weekend: a step is a working day, from Friday to Monday, too")
    if (table.frequency.unit == "step") != (table.form.unit == "step"):
        raise DataError(
            f"the time stamps of `{table.path}` are {_kind(table.form.unit)}, and those of the training data "
            f"{_kind(table.frequency.unit)}.",
            hint="give it a file like the one it was trained on",
        )
    if forecast.time_delta:
        return
    before = sum(map(len, table.series))
    table.change(lambda one: _regular(one, table, forecast))
    num_filled = sum(map(len, table.series)) - before
    if num_filled:
        table.notes.append(
            f"{num_filled:,} steps of {table.frequency} were missing and have been added "
            f"({'fill' if forecast.on_gap == 'auto' else forecast.on_gap})"
        )


def _frequency(series: RawSeries, unit: str) -> Frequency:
    found = find_frequency(series.axis()[:_LOOKED_AT], unit)
    return find_frequency(series.axis(found)[:_LOOKED_AT], unit) if found.is_of_days else found


def _kind(unit: str) -> str:
    return "plain numbers" if unit == "step" else "dates and times"


def _regular(series: RawSeries, table: RawTable, forecast: ForecastRecipe) -> RawSeries:
    frequency = table.frequency
    if frequency is None or series.stamps is None or len(series) < 2 or _is_regular(series, frequency):
        return series
    places = frequency.position(series.axis(frequency))
    steps = np.rint(places).astype(np.int64)
    off = np.flatnonzero(np.abs(places - steps) > 1e-6)
    if len(off):
        raise DataError(
            f"time stamps of `{table.path}` do not fall on steps of {frequency}; the first that does not: line "
            f"{series.lines[off[0]]}, {table.shown(series, int(off[0]))} ({len(off):,} in all).",
            hint="for steps of any length: --set data.time_delta=true",
        )
    gaps = np.flatnonzero(np.diff(steps) > 1)
    if not len(gaps):
        return series
    invented = int(steps[-1]) + 1 - len(steps)
    most = {"stop": 0.0, "auto": _FEW}.get(forecast.on_gap, 1.0)
    if invented > most * len(steps):
        raise _gaps(series, table, steps, gaps, forecast)
    return _spread(series, steps, frequency, table.form)


def _gaps(series: RawSeries, table: RawTable, steps: Offsets, gaps: Offsets, forecast: ForecastRecipe) -> DataError:
    """What to say of steps that are not there. More than there are rows are never made up, so no hint leads there."""
    listed = "\n".join(
        f"  {table.path}:{series.lines[i + 1]}: {steps[i + 1] - steps[i] - 1:,} missing after "
        f"{table.shown(series, int(i))}"
        for i in gaps[:_LISTED]
    )
    found = f"{len(gaps):,} gap{'s' if len(gaps) > 1 else ''} in time, where every step is {table.frequency}"
    invented = int(steps[-1]) + 1 - len(steps)
    if invented <= len(steps):
        return DataError(
            f"{found}:\n{listed}",
            hint=f"{_skipped(series, table, steps)}linear interpolation: --set data.on_gap=fill; no loss where they "
            "are: --set data.on_gap=mask; "
            "steps of any length: --set data.time_delta=true",
        )
    cause = (
        ""
        if forecast.on_gap in ("auto", "stop")
        else f"; `data.on_gap: {forecast.on_gap}` never adds more steps than there are rows"
    )
    return DataError(
        f"{found}; {invented:,} steps are missing for {counted(len(steps), 'row')}{cause}. Either the time stamps "
        f"have another format than {table.form.format} (`data.time_format`), or steps have no fixed length:\n{listed}",
        hint="for steps of any length: --set data.time_delta=true",
    )


def _skipped(series: RawSeries, table: RawTable, steps: Offsets) -> str:
    """Where all that is missing are hours that the clock of a place skips: how to say that it is this clock."""
    missing = np.setdiff1d(np.arange(int(steps[-1])), steps)
    if series.stamps is None or table.frequency is None or series.zone is not None or table.form.unit == "step":
        return ""
    stamps = int(series.stamps[0]) + missing * table.frequency.count
    place = None if table.frequency.is_of_days else place_that_skips(stamps)
    how = place and setting("data.time_format", f"{table.form.format}[{place}]")
    return f"if these are hours that clocks skip, as in {place}: {how}; " if place else ""


def _is_regular(series: RawSeries, frequency: Frequency) -> bool:
    """Whether every step has the usual length. Read a stretch at a time; months differ, and are compared exactly."""
    if series.stamps is None or not frequency.is_even:
        return False
    overlapping = (series.take(slice(max(run.start - 1, 0), run.stop)) for run in series.runs())
    return all(bool((np.diff(some.axis(frequency)) == frequency.count).all()) for some in overlapping)


def _spread(series: RawSeries, steps: Offsets, frequency: Frequency, form: Form) -> RawSeries:
    size = int(steps[-1]) + 1
    values = np.full((size, series.values.shape[1]), np.nan)
    covariates = np.full((size, series.covariates.shape[1]), np.nan)
    lines = np.zeros(size, dtype=np.int64)
    values[steps], covariates[steps], lines[steps] = series.values, series.covariates, series.lines
    first = int(series.axis(frequency)[0])
    stamps = np.concatenate([[first], frequency.after(first, size - 1)])
    zone = None
    if series.zone is not None:  # in a gap the clock is that of the row before it
        zone = series.zone[np.searchsorted(steps, np.arange(size), side="right") - 1]
        if not frequency.is_of_days:
            known = form.zone_at(stamps)
            zone = zone if known is None else known
            stamps = stamps + zone
    return RawSeries(series.name, values, covariates, stamps, lines, zone=zone)


def fill_missing(table: RawTable, forecast: ForecastRecipe) -> None:
    """Treat values that are not there as the recipe says; `known` of each series says afterwards which were there.

    What is interpolated counts as there; what is masked holds the last value before it. Covariates are interpolated.

    Raises:
        DataError: with `missing: stop` for a value that is missing or not finite, with `auto` for many; for a series
            without any value.
    """
    counts: list[int] = []
    table.change(lambda one: one if _is_complete(one) else _filled(one, table.path, forecast, counts))
    incomplete = sum(counts)
    if incomplete and forecast.missing == "auto":
        table.notes.append(
            f"{counted(incomplete, 'row')} with values that are missing or not finite: these are interpolated "
            "(data.missing)"
        )


def _is_complete(series: RawSeries) -> bool:
    """Whether there is a number everywhere."""
    return all(
        all(bool(np.isfinite(values[run]).all()) for values in (series.values, series.covariates))
        and bool(series.lines[run].all())
        for run in series.runs()
    )


def _filled(one: RawSeries, path: str, forecast: ForecastRecipe, counts: list[int]) -> RawSeries:
    """The series with a number everywhere; `counts` gets how many rows had none somewhere."""
    finite, there = np.isfinite(one.values), one.lines > 0
    wrong = np.flatnonzero(~(finite.all(axis=1) & np.isfinite(one.covariates).all(axis=1)) & there)
    counts.append(len(wrong))
    if len(wrong) > {"stop": 0.0, "auto": _FEW}.get(forecast.missing, 1.0) * int(there.sum()):
        listed = "\n".join(f"  {path}:{one.lines[i]}: {_what(one, int(i), forecast)}" for i in wrong[:_LISTED])
        raise DataError(
            f"{counted(len(wrong), 'row')} of `{path}` with values that are missing or not finite:\n{listed}",
            hint="no loss where they are: --set data.missing=mask; "
            "linear interpolation: --set data.missing=interpolate",
        )
    if not finite.any(axis=0).all():
        empty = [name for name, column in zip(forecast.channels, finite.T, strict=False) if not column.any()]
        others = [name for name in forecast.channels if name not in empty]
        raise DataError(
            f"series {one.name!r} of `{path}` has not a single value{' in ' * bool(empty)}{', '.join(empty)}.",
            hint=f"leave it out: {setting('data.channels', others)}" if others else None,
        )
    kept = finite if forecast.missing == "mask" else finite | there[:, None]
    kept = kept if forecast.on_gap == "mask" else kept | ~there[:, None]
    values = _interpolated(one.values)
    values[~kept] = _held(one.values)[~kept]
    return replace(one, values=values, covariates=_interpolated(one.covariates), known=kept)


def _what(series: RawSeries, row: int, forecast: ForecastRecipe) -> str:
    names = [*(forecast.channels or ("value",)), *forecast.past, *forecast.future]
    numbers = np.concatenate([series.values[row], series.covariates[row]])
    place = int(np.flatnonzero(~np.isfinite(numbers))[0])
    number = numbers[place]
    return f"`{names[min(place, len(names) - 1)]}` is {'missing' if np.isnan(number) else f'{number}'}"


def _interpolated(values: Floats) -> Floats:
    """Each column on straight lines between what is there, level before the first and after the last."""
    found = values.copy()
    steps = np.arange(len(values))
    for column in range(values.shape[1]):
        good = np.isfinite(values[:, column])
        if not good.all() and good.any():
            found[:, column] = np.interp(steps, steps[good], values[good, column])
        elif not good.any():
            found[:, column] = 0.0
    return found


def _held(values: Floats) -> Floats:
    """The last value before each that is not there; before the first, the first."""
    found = values.copy()
    for column in range(values.shape[1]):
        good = np.flatnonzero(np.isfinite(values[:, column]))
        last = np.searchsorted(good, np.arange(len(values)), side="right") - 1
        found[:, column] = values[good[np.maximum(last, 0)], column]
    return found
