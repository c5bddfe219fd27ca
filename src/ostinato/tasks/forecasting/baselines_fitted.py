"""Baselines of forecasters that are fitted: one linear map for all windows, and Holt-Winters for each."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ostinato.arrays import Floats, Offsets
from ostinato.baselines.base import Figures
from ostinato.data.dataset import Prepared
from ostinato.data.forecasting.windows import Windows
from ostinato.tasks.forecasting.baseline_rows import naive_forecast, truth_of
from ostinato.tasks.forecasting.baselines import ForecastBaseline, chunks
from ostinato.tasks.forecasting.season import season_of

_PENALTIES = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_HELD_OUT = 0.1
_PAST = 500
_PAST_SEASONS = 4
_LEAST_PAST = 10


@dataclass
class _Moments:
    """Sums of products of inputs x = (window, 1) and outputs y: xx (L + 1, L + 1), xy (L + 1, H), yy."""

    xx: Figures
    xy: Figures
    yy: float = 0.0

    def add(self, inputs: Figures, outputs: Figures) -> None:
        """Rows (M, L + 1) and (M, H)."""
        self.xx += inputs.T @ inputs
        self.xy += inputs.T @ outputs
        self.yy += float((outputs**2).sum())

    def plus(self, other: _Moments) -> _Moments:
        """Of both."""
        return _Moments(self.xx + other.xx, self.xy + other.xy, self.yy + other.yy)

    def solve(self, penalty: float) -> Figures:
        """(L + 1, H) of least squared error plus penalty times the mean square of x times |W|², the last row free."""
        size = len(self.xx) - 1
        scale = max(float(np.trace(self.xx[:size, :size])) / max(size, 1), 1e-12)
        ridge = np.append(np.full(size, penalty * scale), 1e-9 * scale)
        return np.asarray(np.linalg.solve(self.xx + np.diag(ridge), self.xy), dtype=np.float64)

    def error(self, weights: Figures) -> float:
        """Sum of squared errors."""
        return self.yy - 2 * float((weights * self.xy).sum()) + float((weights * (self.xx @ weights)).sum())


class LinearMap(ForecastBaseline):
    r"""Ridge regression from the lookback to the horizon, the same for every channel and series.

    .. math:: \hat y = x_L + W (x - x_L) + b

    x is the window of one channel, (L,), and x_L its last value. Source: Zeng et al. 2023, "Are transformers effective
    for time series forecasting?", NLinear. Deviations: squared error with a penalty in closed form, in place of
    gradient descent; the penalty is chosen on the last tenth of each series' training windows. A window that begins
    before its series repeats the first value; what is missing holds the last value before it.
    """

    name, about = "linear", "ridge regression from the lookback to the horizon, the last value taken out (NLinear)"

    def fit_windows(self, train: Windows) -> None:
        """Sums of products, in one pass; then the penalty; then the weights by all windows."""
        self._lookback = int((train.origins - train.starts).max())
        size = self._lookback + 1
        early, late = (_Moments(np.zeros((size, size)), np.zeros((size, train.horizon))) for _ in range(2))
        held = _last_of_each(train)
        for rows in chunks(train):
            for part, moments in ((rows[~held[rows]], early), (rows[held[rows]], late)):
                inputs, last = self._inputs(train, part)
                outputs = np.moveaxis(truth_of(train, part)[0], 2, 1).reshape(-1, train.horizon)
                moments.add(inputs, outputs - last)
        errors = {penalty: late.error(early.solve(penalty)) for penalty in _PENALTIES}
        self._penalty = min(errors, key=lambda penalty: errors[penalty])
        self._weights = early.plus(late).solve(self._penalty).astype(np.float32)

    def _inputs(self, windows: Windows, rows: Offsets) -> tuple[Figures, Figures]:
        """(M C, L + 1): the window of each channel without its last value, and 1; and that value, (M C, 1)."""
        begins = windows.sequences.offsets[windows.rows[rows]][:, None]
        steps = windows.origins[rows][:, None] + np.arange(-self._lookback, 0)
        values = windows.sequences.values[np.maximum(steps, begins), : windows.layout.num_channels]
        past = np.moveaxis(values, 2, 1).reshape(-1, self._lookback).astype(np.float64)
        last = past[:, -1:]
        return np.concatenate([past - last, np.ones_like(last)], axis=1), last

    @property
    def details(self) -> str:
        """The penalty."""
        return f"penalty {self._penalty:g}, chosen on the last tenth of training windows"

    def answer_windows(self, windows: Windows) -> Floats:
        """One product."""
        found = np.empty((len(windows), windows.layout.num_channels, windows.horizon), dtype=np.float32)
        for rows in chunks(windows):
            inputs, last = self._inputs(windows, rows)
            found[rows] = (inputs @ self._weights + last).reshape(len(rows), -1, windows.horizon)
        return np.moveaxis(found, 1, 2)

    def parameters(self) -> list[NDArray[Any]]:
        """Weights."""
        return [self._weights]


def _last_of_each(windows: Windows) -> NDArray[np.bool_]:
    """(N,), whether a window is among the last tenth of its series' (of fewer than ten, none is)."""
    order = np.lexsort((windows.origins, windows.rows))
    _, firsts, counts = np.unique(windows.rows[order], return_index=True, return_counts=True)
    places = np.arange(len(order)) - np.repeat(firsts, counts)
    found = np.zeros(len(order), dtype=np.bool_)
    found[order] = places >= np.repeat(counts - (counts * _HELD_OUT).astype(np.int64), counts)
    return found


class HoltWinters(ForecastBaseline):
    """Exponential smoothing (ETS) with additive errors, a damped trend and an additive season, refitted for each
    window and channel by statsmodels' `ExponentialSmoothing`.

    It reads the last 500 values of the series before the forecast, or four seasons where that is more. Of fewer than
    ten values, and where no fit is found, it is the last value; of fewer than two seasons it is without a season.
    """

    name, about, slow = (
        "ETS (Holt-Winters)",
        "exponential smoothing with a damped trend, refitted for each window",
        True,
    )
    modules = ("statsmodels.tsa.holtwinters",)

    @classmethod
    def applies(cls, prepared: Prepared) -> bool:
        """Where steps are of one length."""
        return not prepared.recipe.data.time_delta

    def fit_windows(self, train: Windows) -> None:
        """Which season."""
        self._season = season_of(train)

    @property
    def details(self) -> str:
        """The season."""
        return str(self._season) if self._season.steps > 1 else "without a season"

    def answer_windows(self, windows: Windows) -> Floats:
        """Window by window, channel by channel."""
        found = naive_forecast(windows, np.arange(len(windows)), 1).copy()
        for number, past in enumerate(self._pasts(windows)):
            for channel in range(past.shape[1]):
                forecast = self._forecast(past[:, channel], windows.horizon)
                if forecast is not None and np.isfinite(forecast).all():
                    found[number, :, channel] = forecast
        return found

    def _pasts(self, windows: Windows) -> list[Figures]:
        most = max(_PAST, _PAST_SEASONS * self._season.steps)
        begins = np.maximum(windows.sequences.offsets[windows.rows], windows.origins - most)
        values = windows.sequences.values[:, : windows.layout.num_channels]
        pairs = zip(begins.tolist(), windows.origins.tolist(), strict=True)
        return [values[begin:origin].astype(np.float64) for begin, origin in pairs]

    def _forecast(self, past: Figures, horizon: int) -> Figures | None:
        from statsmodels.tsa.holtwinters import ExponentialSmoothing

        if len(past) < _LEAST_PAST:
            return None
        seasonal = 1 < self._season.steps <= len(past) // 2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of every fit that stops early
            model = ExponentialSmoothing(
                past,
                trend="add",
                damped_trend=True,
                seasonal="add" if seasonal else None,
                seasonal_periods=self._season.steps if seasonal else None,
            )
            return cast("Figures", model.fit().forecast(horizon))
