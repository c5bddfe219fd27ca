"""Forecasting: which columns of a table are series (`data`), and how windows are cut and forecast (`model`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from ostinato.recipe.base import Columns, Component, Needs, NonNegative, PositiveInt, named_by

if TYPE_CHECKING:
    from ostinato.recipe.models import Recipe

Level = Annotated[float, Field(gt=0.0, lt=1.0)]
Calendar = Literal["minute", "hour", "weekday", "day", "month", "yearday"]
POINT_OUTPUTS = ("mse", "mae", "huber")


class TimeSeriesRecipe(Component):
    """A table as time series: what a forecast reads, and how it is split in time. Part of `data`."""

    layout: Literal["auto", "table", "rows"] = Field(
        "auto",
        description="table: one row per time step; rows: one row per series, its values side by side; auto: table",
    )
    time: Columns = Field(None, description="column of time stamps; none: found by name or content, if there is one")
    time_format: str | None = Field(
        None,
        description="of the time stamps: %d/%m/%Y %H:%M, as strptime has it (%q quarter, [..] may be absent), epoch_s, "
        "epoch_ms, epoch_us, epoch_ns, excel, or step (plain numbers); none: inferred over the whole column",
    )
    series: Columns = Field(
        None, description="column, or [columns], that say which series a row belongs to; rows: its name"
    )
    channels: tuple[str, ...] = Field((), description="columns to forecast; none: all that hold numbers")
    past: tuple[str, ...] = Field((), description="columns that help, known up to the present only")
    future: tuple[str, ...] = Field((), description="columns that help, known in advance (prices, holidays)")
    calendar: tuple[Calendar, ...] = Field(
        (), description="of the time stamps, as points on a circle; known in advance"
    )
    sort: bool | None = Field(
        None, description="rows may be in any order; none: rows out of order are sorted, and said; false: an error"
    )
    on_duplicate: Literal["stop", "first", "mean", "sum"] = Field(
        "stop",
        description="rows of one time in one series or session (an hour that clocks repeat): which value is taken",
    )
    on_gap: Literal["auto", "stop", "fill", "mask"] = Field(
        "auto",
        description="missing steps; fill: linear interpolation; mask: marked, not scored; auto: up to a twentieth are "
        "filled, and said, more are an error",
    )
    missing: Literal["auto", "stop", "mask", "interpolate"] = Field(
        "auto",
        description="empty, NaN or infinite values; mask: marked, not scored; interpolate: linearly; auto: up to a "
        "twentieth of the rows are interpolated, and said, more are an error",
    )
    time_delta: bool = Field(False, description="steps may be of any length, which the model reads")
    split: Literal["last"] | Annotated[tuple[float, ...], Field(min_length=2, max_length=3)] | None = Field(
        None,
        description="[8640, 2880, 2880]: steps for training, validation, test in order of time, or shares of all; "
        "last: the last `horizon` of each series validate; none: the share `data.validation`",
    )
    test_continues: bool = Field(False, description="`data.test` goes on where the series of `data.train` end")
    seasonality: tuple[PositiveInt, ...] = Field(
        (), description="steps of a season, for the naive forecasts and MASE (the first); none: by the frequency"
    )

    def columns(self) -> list[str]:
        """All columns that are named."""
        of_rows = [*named_by(self.time), *named_by(self.series)]
        return [*of_rows, *self.channels, *self.past, *self.future]

    @model_validator(mode="after")
    def _check_series(self) -> TimeSeriesRecipe:
        named = self.columns()
        doubled = sorted({name for name in named if named.count(name) > 1})
        if doubled:
            raise ValueError(f"names the column {doubled[0]} twice.")
        if self.layout == "rows" and (self.time or self.past or self.future or self.calendar or self.time_delta):
            raise ValueError(
                "`data.layout: rows` has no column for time stamps or covariates. Received: "
                f"{self.time or self.past or self.future or self.calendar or 'time_delta'}."
            )
        if isinstance(self.split, tuple) and any(part <= 0 for part in self.split):
            raise ValueError(f"`data.split` must be positive. Received: {list(self.split)}.")
        if self.time_delta and self.on_gap not in ("auto", "stop"):
            raise ValueError(
                f"`data.time_delta` takes steps of any length: no gap is filled. Received: on_gap: {self.on_gap}."
            )
        return self


class WindowsRecipe(Component):
    """The windows that forecasts are made from, and how the future is put together. Part of `model`."""

    needs: ClassVar[Needs] = {
        "segment": ("`strategy: segment`", lambda forecast: forecast.strategy == "segment"),
        "quantiles": ("`output`: quantiles, or a distribution", lambda forecast: forecast.output not in POINT_OUTPUTS),
        "num_samples": (
            "`strategy: autoregressive` and an `output` that is a distribution",
            lambda forecast: forecast.strategy == "autoregressive" and forecast.output not in POINT_OUTPUTS,
        ),
        "time_decay": (f"`output`: {', '.join(POINT_OUTPUTS)}", lambda forecast: forecast.output in POINT_OUTPUTS),
    }
    lookback: PositiveInt = Field(96, description="steps that a forecast is made from")
    horizon: PositiveInt = Field(24, description="steps that are forecast")
    windows_per_epoch: PositiveInt | None = Field(None, description="that many, redrawn each epoch; none: all")
    stride: PositiveInt = Field(1, description="steps from one window to the next where forecasts are scored")
    scaling: Literal["series", "global", "none"] = Field(
        "series", description="mean 0, deviation 1 in the training part: of each series, or of each column"
    )
    transform: Literal["none", "log"] = Field(
        "none", description="log: of values above zero, before they are scaled: errors count by their ratio"
    )
    strategy: Literal["direct", "autoregressive", "segment"] = Field(
        "direct", description="all steps at once; each from the one before; segments of steps, each at once (SegRNN)"
    )
    segment: PositiveInt = Field(24, description="segment: steps of one; divides lookback and horizon")
    channel_independent: bool = Field(False, description="each channel is a series of its own to the network")
    instance_norm: Literal["none", "last", "revin", "scale"] = Field(
        "last",
        description="of each window, undone in its forecast; last: minus the last value; revin: mean 0, deviation 1, "
        "then a learnt scale and shift; scale: divided by 1 + mean |x|",
    )
    residual: tuple[PositiveInt, ...] = Field(
        (), description="steps of seasons: the network forecasts the difference from a mixture of the last ones"
    )
    output: Literal["mse", "mae", "huber", "quantiles", "gaussian", "student_t", "negative_binomial"] = Field(
        "mse", description="a number, by its loss; or quantiles, or a distribution"
    )
    quantiles: tuple[Level, ...] = Field((0.1, 0.25, 0.5, 0.75, 0.9), min_length=1, description="levels, rising")
    num_samples: PositiveInt = Field(100, description="autoregressive distributions: paths drawn for quantiles")
    time_decay: NonNegative = Field(
        0.0, description="mae, mse, huber: step h of the horizon weighs h^-a in the loss; 0: all the same"
    )

    @model_validator(mode="after")
    def _check_windows(self) -> WindowsRecipe:
        if self.strategy == "segment":
            for name, value in (("lookback", self.lookback), ("horizon", self.horizon)):
                if value % self.segment:
                    raise ValueError(
                        f"`model.{name}` must be a multiple of segment ({self.segment}). Received: {value}."
                    )
        if list(self.quantiles) != sorted(set(self.quantiles)) or 0.5 not in self.quantiles:
            raise ValueError(f"`model.quantiles` must rise, with 0.5 among them. Received: {list(self.quantiles)}.")
        changed = self.scaling != "none" or self.transform != "none" or bool(self.residual)
        as_they_are = not changed and self.instance_norm in ("none", "scale")
        if self.output == "negative_binomial" and not as_they_are:
            raise ValueError(
                "`model.output: negative_binomial` is of counts as they are: it needs scaling: none, "
                f"transform: none, no residual, and instance_norm: none or scale. "
                f"Received: {self.scaling}, {self.transform}, {list(self.residual)}, {self.instance_norm}."
            )
        if any(season > self.lookback for season in self.residual):
            raise ValueError(
                f"`model.residual` must be at most lookback ({self.lookback}). Received: {list(self.residual)}."
            )
        if self.residual and self.strategy == "autoregressive":
            raise ValueError(
                f"`model.residual` does not go with strategy: autoregressive. Received: {list(self.residual)}."
            )
        return self


class ForecastRecipe(TimeSeriesRecipe, WindowsRecipe):
    """Both in one, as a run's features hold them."""

    @classmethod
    def of(cls, recipe: Recipe) -> ForecastRecipe:
        """What a recipe that forecasts says in `data` and in `model`."""
        parts = (recipe.data, TimeSeriesRecipe), (recipe.model, WindowsRecipe)
        return cls(**{key: getattr(part, key) for part, kind in parts for key in kind.model_fields})
