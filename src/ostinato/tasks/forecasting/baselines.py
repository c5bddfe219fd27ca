"""Forecasters against the mean, the last value and the last season, on the very same windows, scale and figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ostinato.arrays import Floats, Offsets
from ostinato.baselines.base import Baseline, BaselineComparison
from ostinato.data.dataset import Examples, Features, Prepared
from ostinato.data.forecasting.windows import Windows, as_windows
from ostinato.metrics.classification import Metrics
from ostinato.metrics.resampling import Units
from ostinato.tasks.forecasting.baseline_rows import naive_forecast, score_rows
from ostinato.tasks.forecasting.evaluation import forecast_rows, levels_of, stretches
from ostinato.tasks.forecasting.model import Forecaster
from ostinato.tasks.forecasting.recipe import ForecastingRecipe
from ostinato.tasks.forecasting.scores import SeriesScores
from ostinato.tasks.forecasting.season import season_of

_FIGURES = ("mse", "mae", "rmse", "smape", "mase")
_MOST_VALUES = 10_000_000
_CHUNK_VALUES = 2_000_000


class ForecastComparison(BaselineComparison):
    """Answers are forecasts (N, H, C) on the model's scale, of the validation windows in their order."""

    model: Forecaster
    lower_is_better, unit, question = True, "windows", "one window"
    _kept: Windows | None = None

    @property
    def figure(self) -> str:  # type: ignore[override]
        """What the recipe watches; if that is the loss, the squared or, of other outputs, the absolute error."""
        monitor, output = self.prepared.recipe.training.monitor, ForecastingRecipe.of(self.prepared.recipe).output
        if monitor in _FIGURES:
            return monitor
        return "mse" if output == "mse" else "mae"

    @property
    def validation(self) -> Windows:
        """The run's validation windows; evenly picked where their forecasts would hold more than 10 million values."""
        if self._kept is None:
            windows = as_windows(self.prepared.validation)
            most = max(1, _MOST_VALUES // values_of(windows))
            rows = np.arange(len(windows)) if len(windows) <= most else np.linspace(0, len(windows) - 1, most)
            self._kept = windows.take(rows.astype(np.int64))
        return self._kept

    @property
    def units(self) -> Units | None:
        """Stretches of the series; None where not all windows are kept."""
        return stretches(self.validation) if len(self.validation) == len(self.prepared.validation) else None

    def answers(self, examples: Examples) -> Floats:
        """Of the recurrent model; of a distribution the point its own evaluation scores."""
        windows, model = as_windows(examples), self.model.eval()
        levels = levels_of(model.recipe)
        with torch.inference_mode():
            return np.concatenate(
                [forecast_rows(model, windows, rows, self.device, levels)[0] for rows in chunks(windows)]
            )

    def scores(self, answers: Floats) -> Metrics:
        """Figures over all windows."""
        windows = self.validation
        total = SeriesScores()
        for rows in chunks(windows):
            score_rows(total, windows, rows, answers[rows])
        return total.metrics(stretches(windows))


def values_of(windows: Windows) -> int:
    """How many values a forecast of one window holds."""
    return windows.horizon * windows.layout.num_channels


def chunks(windows: Windows) -> list[Offsets]:
    """The numbers of the windows, some at a time, so that no array grows large."""
    width = (windows.horizon + int((windows.origins - windows.starts).max(initial=1))) * windows.layout.num_channels
    return np.array_split(np.arange(len(windows)), -(-len(windows) * width // _CHUNK_VALUES) or 1)


class ForecastBaseline(Baseline):
    """What all baselines of a forecaster share: they read the values of each series before a forecast, and neither
    covariates nor the calendar."""

    def fit(self, train: Examples, features: Features) -> None:
        """Learn from training windows."""
        self.fit_windows(as_windows(train))

    def answer(self, data: Examples) -> Floats:
        """(N, H, C) on the model's scale."""
        return self.answer_windows(as_windows(data))

    def fit_windows(self, train: Windows) -> None:
        """Nothing to learn, by default."""

    def answer_windows(self, windows: Windows) -> Floats:
        """(N, H, C) on the model's scale."""
        raise NotImplementedError

    def parameters(self) -> list[NDArray[Any]]:
        """None, by default."""
        return []


class MeanOfWindow(ForecastBaseline):
    """The mean of the steps the model reads, at each step of the horizon."""

    name, about, trivial = "mean", "the mean of the steps that the model reads, again and again", True

    def answer_windows(self, windows: Windows) -> Floats:
        """Missing values are left out."""
        channels, lookback = windows.layout.num_channels, int((windows.origins - windows.starts).max())
        found = []
        for rows in chunks(windows):
            steps = windows.origins[rows][:, None] + np.arange(-lookback, 0)
            read = steps >= windows.starts[rows][:, None]
            values = windows.sequences.values[np.maximum(steps, 0)]
            there = read[..., None] * (values[..., channels : 2 * channels] if windows.layout.masked else 1.0)
            found.append((values[..., :channels] * there).sum(axis=1) / np.maximum(there.sum(axis=1), 1.0))
        means = np.concatenate(found).astype(np.float32)
        return np.repeat(means[:, None], windows.horizon, axis=1)


class LastValue(ForecastBaseline):
    """The last value, at each step of the horizon."""

    name, about, trivial = "last value", "the last value again and again", True

    def answer_windows(self, windows: Windows) -> Floats:
        """A season of one step."""
        return naive_forecast(windows, np.arange(len(windows)), 1)


class SeasonalNaive(ForecastBaseline):
    """The last season, again and again."""

    name, about, trivial = "seasonal naive", "the last season again and again", True

    @classmethod
    def applies(cls, prepared: Prepared) -> bool:
        """Where there is a season."""
        return season_of(as_windows(prepared.train)).steps > 1

    def fit_windows(self, train: Windows) -> None:
        """Which season."""
        self._season = season_of(train)

    @property
    def details(self) -> str:
        """The season."""
        return str(self._season)

    def answer_windows(self, windows: Windows) -> Floats:
        """Of the whole series before the forecast, also where the season is longer than the lookback."""
        return naive_forecast(windows, np.arange(len(windows)), self._season.steps)

    def parameters(self) -> list[NDArray[Any]]:
        """One number."""
        return [np.asarray([self._season.steps])]
