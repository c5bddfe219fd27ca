"""What comes after the end of series: one window each, whose targets nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ostinato.arrays import Offsets
from ostinato.data.forecasting.clean import fill_missing
from ostinato.data.forecasting.feature import ForecastFeature
from ostinato.data.forecasting.prepare import as_trained, part_windows, read_again, too_short
from ostinato.data.forecasting.table import RawSeries, RawTable
from ostinato.data.forecasting.windows import Windows, least_context
from ostinato.data.readers.open import Say
from ostinato.errors import DataError, RunError
from ostinato.recipe import Recipe


def future_windows(reference: str, feature: ForecastFeature, recipe: Recipe, say: Say = lambda _: None) -> Windows:
    """One window a series of a file: what comes after its end.

    Covariates that are known in advance (`data.future`) are in the file's last rows, where the channels
    are empty.
    """
    with as_trained():
        return windows_after(read_again(reference, feature, recipe, say, to_forecast=True), feature)


def windows_of(rows: Sequence[Any], feature: ForecastFeature) -> Windows:
    """One window a series given by hand: a list of numbers, or of lists of as many numbers as there are channels.

    Raises:
        RunError: for a series of another shape, one that is too short, or a model that needs covariates.
    """
    forecast, width = feature.recipe, feature.layout.num_channels
    if feature.layout.num_past or feature.layout.num_known:
        raise RunError("this model reads time stamps or covariates in addition to its channels: give it a file.")
    series: list[RawSeries] = []
    for number, row in enumerate(rows):
        try:
            values = np.asarray(row, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise RunError(f"series {number + 1} must be a list of numbers. Received: {str(row)[:60]!r}.") from error
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2 or values.shape[1] != width:
            raise RunError(f"series {number + 1} must have {width} numbers a step. Received: shape {values.shape}.")
        size = len(values)
        series.append(RawSeries(str(number + 1), values, np.zeros((size, 0)), None, np.arange(size) + 1))
    table = RawTable("input", series)
    fill_missing(table, forecast)
    return windows_after(table, feature)


def windows_after(table: RawTable, feature: ForecastFeature) -> Windows:
    """One window a series, whose targets are the steps after its end, of which nothing but covariates is known."""
    least, horizon = least_context(feature.recipe), feature.recipe.horizon
    for one in table.series:
        if len(one) < least:
            raise too_short(one, table, feature.recipe, len(one), least)
    longer = replace(table)
    longer.change(lambda one: _extended(one, table, feature))
    parts = [(len(one) - horizon, len(one)) for one in longer.series]
    return part_windows(feature, longer, parts, horizon)


def _extended(one: RawSeries, table: RawTable, feature: ForecastFeature) -> RawSeries:
    horizon, num_future = feature.recipe.horizon, len(feature.recipe.future)
    ahead = table.ahead.get(one.name)
    if num_future and (ahead is None or len(ahead) < horizon):
        raise DataError(
            f"series {one.name!r} of `{table.path}` must end with {horizon} rows that hold "
            f"{', '.join(feature.recipe.future)} of the future, the channels empty. "
            f"Received: {0 if ahead is None else len(ahead)}."
        )
    covariates = np.zeros((horizon, one.covariates.shape[1]))
    if ahead is not None and num_future:
        covariates[:, -num_future:] = ahead[:horizon, -num_future:]
    stamps: Offsets | None = None
    zone: Offsets | None = None
    if one.stamps is not None and feature.frequency is not None:
        last = int(one.axis(feature.frequency)[-1])
        stamps = feature.frequency.after(last, horizon)
        zone = None if one.zone is None else np.repeat(one.zone[-1:], horizon)
        if zone is not None and not feature.frequency.is_of_days:
            known = table.form.zone_at(stamps)
            zone = zone if known is None else known
            stamps = stamps + zone
    values = np.repeat(one.values[-1:], horizon, axis=0)
    unknown, lines = np.zeros(values.shape, dtype=np.bool_), np.zeros(horizon, dtype=np.int64)
    return one.joined(RawSeries(one.name, values, covariates, stamps, lines, unknown, zone))
