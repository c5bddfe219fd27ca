"""What a forecaster needs to know of its series to read others as it read those it learnt from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ostinato.arrays import Array
from ostinato.data.features.base import Draft, Feature
from ostinato.data.forecasting.table import RawSeries, RawTable, SeriesFacts, StepLayout
from ostinato.data.io.spool import spooled
from ostinato.data.moments import Moments
from ostinato.data.times.step import Frequency, calendar_features
from ostinato.errors import DataError, RunError
from ostinato.recipe.forecast import ForecastRecipe

Floats = NDArray[np.float64]


class ForecastFeature(Feature):
    """Channels scaled to mean 0 and deviation 1 of the training part; with covariates, calendar and step lengths.

    Args:
        recipe: with its columns resolved.
        scales: by name of a series: mean, deviation and mean seasonal difference of each channel, (3, C).
        default: (3, C) of all series together, for `scaling: global`.
        covariates: (2, P + F) mean and deviation of the covariates.
        frequency: of the steps; none where there are no stamps.
        step: length of the most common step in units of the stamps.
        seasons: steps of the seasons, the first one for MASE.
    """

    form = "vectors"
    recipe_type = ForecastRecipe

    def __init__(
        self,
        recipe: ForecastRecipe,
        scales: dict[str, Floats],
        default: Floats,
        covariates: Floats,
        frequency: Frequency | None,
        seasons: tuple[int, ...],
    ) -> None:
        self.recipe, self.scales, self.default, self.covariates = recipe, scales, default, covariates
        self.frequency, self.seasons = frequency, seasons

    @property
    def kind(self) -> str:
        """`forecast`."""
        return "forecast"

    @property
    def layout(self) -> StepLayout:
        """What the numbers of a step are."""
        recipe = self.recipe
        known = len(recipe.future) + 2 * len(recipe.calendar) + recipe.time_delta
        masked = "mask" in (recipe.missing, recipe.on_gap)
        return StepLayout(self.default.shape[1], masked, len(recipe.past), known)

    @property
    def value_shape(self) -> tuple[int, ...]:
        """(numbers of a step,)."""
        return (self.layout.width,)

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of what is forecast."""
        return ("value",) if self.recipe.layout == "rows" else self.recipe.channels

    def draft(self, cells: pl.Series) -> Draft:
        """Series are not cells. Raises `RunError`."""
        raise RunError("a forecaster reads whole files of series, not single cells.")

    @classmethod
    def fit(cls, recipe: ForecastRecipe, table: RawTable, ends: list[int]) -> ForecastFeature:
        """Scales of the first `ends[i]` steps of each series."""
        seasons = recipe.seasonality or ((table.frequency.season,) if table.frequency else (1,))
        parts = [one.take(slice(0, end)) for one, end in zip(table.series, ends, strict=True)]
        log = recipe.transform == "log"
        found = [Scale.of(part, seasons[0], log) for part in parts]
        scales = {part.name: one.table() for part, one in zip(parts, found, strict=True)}
        moments = reduce(Moments.joined, (Moments.of(part.covariates) for part in parts))
        covariates = np.stack([moments.mean, np.where(moments.std > 0, moments.std, 1.0)])
        return cls(recipe, scales, reduce(Scale.joined, found).table(), covariates, table.frequency, seasons)

    def scale(self, series: RawSeries) -> Floats:
        """(3, C): mean, deviation and mean seasonal difference; of a series never seen, its own."""
        if self.recipe.scaling == "series" or series.name not in self.scales:
            own = self.scales.get(series.name)
            own = scale_of(series, self.seasons[0], self.recipe.transform == "log") if own is None else own
        else:
            own = self.scales[series.name]
        shift = {"series": own[:2], "global": self.default[:2], "none": np.stack([0 * own[0], 0 * own[0] + 1])}
        return np.concatenate([shift[self.recipe.scaling], own[2:]])

    def encode_series(self, series: RawSeries, whole: RawSeries) -> Iterator[Array]:
        """Steps (L, width) of a part of a series, a stretch at a time; the scale of an unknown series is `whole`'s."""
        mean, deviation, _ = self.scale(whole)
        lengths = self._step_lengths(series) if self.recipe.time_delta else None
        num_past, log = len(self.recipe.past), self.recipe.transform == "log"
        for run in series.runs():
            some = series.take(run)
            covariates = (some.covariates - self.covariates[0]) / self.covariates[1]
            columns: list[Array] = [(transformed(some.values, log, some.name) - mean) / deviation]
            if self.layout.masked:
                columns.append(some.mask.astype(np.float64))
            columns += [covariates[:, :num_past], covariates[:, num_past:]]
            if some.stamps is not None and self.recipe.calendar:
                columns.append(calendar_features(some.stamps, self.recipe.calendar))
            if lengths is not None:
                columns.append(lengths[run, None])
            yield np.concatenate(columns, axis=1).astype(np.float32)

    def _step_lengths(self, series: RawSeries) -> Floats | None:
        """(L,): the length of the step to each stamp in usual steps; 1 for the first."""
        if series.stamps is None or self.frequency is None:
            return None
        return np.concatenate([[1.0], np.diff(self.frequency.position(series.axis(self.frequency)))])

    def facts(self, series: list[RawSeries], table: RawTable) -> SeriesFacts:
        """What windows of these series know of them."""
        scales = np.stack([self.scale(one) for one in series])  # (S, 3, C)
        stamped = all(one.stamps is not None for one in series)
        return SeriesFacts(
            names=[one.name for one in series],
            mean=scales[:, 0],
            std=scales[:, 1],
            naive=scales[:, 2],
            stamps=spooled(one.stamps for one in series if one.stamps is not None) if stamped else None,
            form=table.form,
            lines=spooled(one.lines for one in series),
            path=table.path,
            seasons=self.seasons,
            log=self.recipe.transform == "log",
            zone=spooled(one.zone for one in series if one.zone is not None)
            if stamped and all(one.zone is not None for one in series)
            else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "recipe": {"kind": self.kind, **self.recipe.model_dump(mode="json")},
            "scales": {name: scale.tolist() for name, scale in self.scales.items()},
            "default": self.default.tolist(),
            "beside": self.covariates.tolist(),
            "frequency": self.frequency.to_dict() if self.frequency else None,
            "seasons": list(self.seasons),
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> ForecastFeature:
        """The inverse of `to_dict`."""
        recipe = ForecastRecipe.model_validate({k: v for k, v in saved["recipe"].items() if k != "kind"})
        frequency = Frequency(**saved["frequency"]) if saved["frequency"] else None
        scales = {name: np.asarray(scale, dtype=np.float64) for name, scale in saved["scales"].items()}
        default, covariates = (np.asarray(saved[key], dtype=np.float64) for key in ("default", "beside"))
        return cls(recipe, scales, default, covariates.reshape(2, -1), frequency, tuple(saved["seasons"]))


def transformed(values: Floats, log: bool, name: str) -> Floats:
    """Their logarithms, or the values as they are. Raises `DataError` for logarithms of what is not above zero."""
    if not log:
        return values
    if not bool((values > 0).all()):
        raise DataError(f"series {name!r} holds {np.nanmin(values):g}; `model.transform: log` needs values above zero.")
    return np.asarray(np.log(values), dtype=np.float64)


@dataclass(frozen=True)
class Scale:
    """What C channels of one series or several are scaled by.

    moments: of the values there are (of their logarithms with `log`); steps: (C,) the sum of |x_t - x_(t - season)|
    over the pairs there are, in the series' own units; pairs: (C,) how many these are.
    """

    moments: Moments
    steps: Floats
    pairs: NDArray[np.int64]

    @classmethod
    def of(cls, series: RawSeries, season: int, log: bool) -> Scale:
        """Of one series, a stretch at a time. In one that is no longer than `season` steps are taken one by one."""
        season = season if len(series) > season else 1
        width = series.values.shape[1]
        total = cls(Moments.of(np.zeros((0, width))), np.zeros(width), np.zeros(width, dtype=np.int64))
        for run in series.runs():
            some = series.take(run)
            moments = Moments.of(transformed(some.values, log, series.name), some.mask)
            both = series.take(slice(max(run.start - season, 0), run.stop))
            pairs = both.mask[season:] & both.mask[:-season]
            steps = np.where(pairs, np.abs(both.values[season:] - both.values[:-season]), 0.0)
            total = total.joined(cls(moments, steps.sum(axis=0), pairs.sum(axis=0)))
        return total

    def joined(self, other: Scale) -> Scale:
        """Of both together."""
        return Scale(self.moments.joined(other.moments), self.steps + other.steps, self.pairs + other.pairs)

    def table(self) -> Floats:
        """(3, C): mean, deviation (1 for what never changes), and mean |x_t - x_(t - season)|.

        A series that is shorter than a season, or repeats itself exactly, has a seasonal difference of 1: MASE is then
        an error in units of the series.
        """
        std, naive = self.moments.std, self.steps / np.maximum(self.pairs, 1)
        return np.stack([self.moments.mean, np.where(std > 0, std, 1.0), np.where(naive > 0, naive, 1.0)])


def scale_of(series: RawSeries, season: int, log: bool = False) -> Floats:
    """(3, C): as `Scale.table` of one series."""
    return Scale.of(series, season, log).table()
