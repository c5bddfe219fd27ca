"""What a forecaster needs to know of its series to read others as it read those it learnt from."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ostinato.data.arrays import Array, Offsets
from ostinato.data.features.base import Draft, Feature
from ostinato.data.series_table import RawSeries, RawTable, SeriesFacts, StepLayout
from ostinato.data.time import Frequency, calendar_features
from ostinato.errors import DataError, RunError
from ostinato.recipe.forecast import ForecastRecipe

Floats = NDArray[np.float64]
Masks = list[NDArray[np.bool_]]


class ForecastFeature(Feature):
    """Channels scaled to mean 0 and deviation 1 of the training part; covariates, calendar and step lengths beside.

    Args:
        recipe: with columns settled.
        scales: by name of a series: mean, deviation and mean seasonal difference of each channel, (3, C).
        default: (3, C) of all series together, for `scaling: global`.
        beside: (2, P + F) mean and deviation of the covariates.
        frequency: of the steps; none where there are no stamps.
        step: length of the most common step in units of the stamps.
        seasons: steps of the seasons, the first one for MASE.
    """

    form = "vectors"

    def __init__(
        self,
        recipe: ForecastRecipe,
        scales: dict[str, Floats],
        default: Floats,
        beside: Floats,
        frequency: Frequency | None,
        seasons: tuple[int, ...],
    ) -> None:
        self.recipe, self.scales, self.default, self.beside = recipe, scales, default, beside
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
    def fit(cls, recipe: ForecastRecipe, table: RawTable, masks: Masks, ends: list[int]) -> ForecastFeature:
        """Scales of the first `ends[i]` steps of each series."""
        seasons = recipe.seasonality or ((table.frequency.season,) if table.frequency else (1,))
        parts = [(one.values[:end], mask[:end]) for one, mask, end in zip(table.series, masks, ends, strict=True)]
        log = recipe.transform == "log"
        scales = {
            one.name: scale_of(*part, seasons[0], log, one.name) for one, part in zip(table.series, parts, strict=True)
        }
        everything = np.concatenate([values for values, _ in parts]), np.concatenate([mask for _, mask in parts])
        default = scale_of(*everything, seasons[0], log, "all")
        covariates = np.concatenate([one.beside[:end] for one, end in zip(table.series, ends, strict=True)])
        deviation = covariates.std(axis=0)
        beside = np.stack([covariates.mean(axis=0), np.where(deviation > 0, deviation, 1.0)])
        return cls(recipe, scales, default, beside, table.frequency, seasons)

    def scale(self, series: RawSeries) -> Floats:
        """(3, C): mean, deviation and mean seasonal difference; of a series never seen, its own."""
        if self.recipe.scaling == "series" or series.name not in self.scales:
            own = self.scales.get(series.name)
            there, log = np.isfinite(series.values), self.recipe.transform == "log"
            own = scale_of(series.values, there, self.seasons[0], log, series.name) if own is None else own
        else:
            own = self.scales[series.name]
        shift = {"series": own[:2], "global": self.default[:2], "none": np.stack([0 * own[0], 0 * own[0] + 1])}
        return np.concatenate([shift[self.recipe.scaling], own[2:]])

    def encode_series(self, series: RawSeries, mask: NDArray[np.bool_], whole: RawSeries) -> Array:
        """Steps (L, width) of a part of a series; `whole` is what the scale of an unknown series is taken from."""
        mean, deviation, _ = self.scale(whole)
        recipe, layout = self.recipe, self.layout
        beside = (series.beside - self.beside[0]) / self.beside[1]
        num_past = len(recipe.past)
        values = transformed(series.values, recipe.transform == "log", series.name)
        columns: list[Array] = [(values - mean) / deviation]
        if layout.masked:
            columns.append(mask.astype(np.float64))
        columns += [beside[:, :num_past], beside[:, num_past:]]
        if series.stamps is not None:
            if recipe.calendar:
                columns.append(calendar_features(series.stamps, recipe.calendar))
            if recipe.time_delta and self.frequency is not None:
                columns.append(self._steps(series.stamps, self.frequency))
        return np.concatenate(columns, axis=1).astype(np.float32)

    def _steps(self, stamps: Offsets, frequency: Frequency) -> Floats:
        """(L, 1): the length of the step to each stamp in usual steps; 1 for the first."""
        lengths = np.diff(frequency.position(stamps))
        return np.concatenate([[1.0], lengths])[:, None]

    def facts(self, series: list[RawSeries], table: RawTable) -> SeriesFacts:
        """What windows of these series know of them."""
        scales = np.stack([self.scale(one) for one in series])  # (S, 3, C)
        stamped = all(one.stamps is not None for one in series)
        return SeriesFacts(
            names=[one.name for one in series],
            mean=scales[:, 0],
            std=scales[:, 1],
            naive=scales[:, 2],
            stamps=np.concatenate([one.stamps for one in series if one.stamps is not None]) if stamped else None,
            unit=table.unit,
            lines=np.concatenate([one.lines for one in series]),
            path=table.path,
            seasons=self.seasons,
            log=self.recipe.transform == "log",
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "recipe": {"kind": self.kind, **self.recipe.model_dump(mode="json")},
            "scales": {name: scale.tolist() for name, scale in self.scales.items()},
            "default": self.default.tolist(),
            "beside": self.beside.tolist(),
            "frequency": self.frequency.to_dict() if self.frequency else None,
            "seasons": list(self.seasons),
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> ForecastFeature:
        """The inverse of `to_dict`."""
        recipe = ForecastRecipe.model_validate({k: v for k, v in saved["recipe"].items() if k != "kind"})
        frequency = Frequency(**saved["frequency"]) if saved["frequency"] else None
        scales = {name: np.asarray(scale, dtype=np.float64) for name, scale in saved["scales"].items()}
        default, beside = (np.asarray(saved[key], dtype=np.float64) for key in ("default", "beside"))
        return cls(recipe, scales, default, beside.reshape(2, -1), frequency, tuple(saved["seasons"]))


def transformed(values: Floats, log: bool, name: str) -> Floats:
    """Their logarithms, or the values as they are. Raises `DataError` for logarithms of what is not above zero."""
    if not log:
        return values
    if not bool((values > 0).all()):
        raise DataError(
            f"series {name!r} holds {np.nanmin(values):g}; `model.forecast.transform: log` needs values above zero."
        )
    return np.asarray(np.log(values), dtype=np.float64)


def scale_of(values: Floats, mask: NDArray[np.bool_], season: int, log: bool = False, name: str = "") -> Floats:
    """(3, C): mean and deviation (1 for what never changes) of the values there are, and mean |x_t - x_(t - season)|.

    A series that is shorter than a season, or repeats itself exactly, has a seasonal difference of 1: MASE is then an
    error in units of the series. With `log` mean and deviation are of the logarithms.
    """
    there = mask.sum(axis=0)
    seen = np.where(mask, transformed(values, log, name), 0.0)
    count = np.maximum(there, 1)
    mean = seen.sum(axis=0) / count
    deviation = np.sqrt((np.where(mask, seen - mean, 0.0) ** 2).sum(axis=0) / count)
    season = season if len(values) > season else 1
    both = mask[season:] & mask[:-season]
    steps = np.where(both, np.abs(values[season:] - values[:-season]), 0.0)
    naive = steps.sum(axis=0) / np.maximum(both.sum(axis=0), 1)
    return np.stack([mean, np.where(deviation > 0, deviation, 1.0), np.where(naive > 0, naive, 1.0)])
