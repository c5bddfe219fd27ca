"""How many steps a season of some series has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ostinato.arrays import Offsets
from ostinato.baselines.base import Figures
from ostinato.data.forecasting.windows import Windows
from ostinato.tasks.forecasting.baseline_rows import naive_forecast, score_rows
from ostinato.tasks.forecasting.scores import SeriesScores

_MOST_SERIES = 50
_MOST_LAG = 1000
_MOST_STEPS = 100_000
_MOST_WINDOWS = 500
_LEAST_CORRELATION = 0.2
_MOST_AHEAD = 24
_DAYS, _OF_DAYS = 7, (24, 48, 96)
"""Of a week; steps of a day whose weeks fit into a window."""


@dataclass(frozen=True)
class Season:
    """steps: of a season, 1: there is none; inferred: whether it was found in the training data."""

    steps: int
    inferred: bool

    def __str__(self) -> str:
        where = (
            "found by autocorrelation of the training data" if self.inferred else "from the recipe or the time stamps"
        )
        return f"a season has {self.steps:,} steps, {where}"


def season_of(train: Windows) -> Season:
    """Of those the recipe or the length of a step names, the one that forecasts training windows best (mean absolute
    error of the seasonal naive forecast); where they name none, the lag of the highest peak of autocorrelation."""
    named = [season for season in train.facts.seasons if season > 1]
    if not named:
        return Season(_peak(_autocorrelation(train)), inferred=True)
    errors = {season: _error(train, season) for season in named} if len(named) > 1 else dict.fromkeys(named, 0.0)
    return Season(min(named, key=lambda season: errors[season]), inferred=False)


def seasons_of(train: Windows) -> tuple[int, ...]:
    """All that there may be: those the recipe or the length of a step names, a week of days that have a season, and
    the lag of the highest peak of autocorrelation."""
    named = {season for season in train.facts.seasons if season > 1}
    found = named | {_peak(_autocorrelation(train))} | {_DAYS * one for one in named if one in _OF_DAYS}
    return tuple(sorted(found - {1}))


def beats_last_value(train: Windows, steps: int) -> bool:
    """Whether, over some steps of the horizon, what came in the training series is better known from the value of the
    last season than from the last value, each with a constant added."""
    ahead = np.unique(np.linspace(1, train.horizon, _MOST_AHEAD).astype(np.int64))
    seasonal = -(-ahead // steps) * steps  # lags: of the season before
    found = [_moved(train, lags) for lags in (seasonal, ahead)]
    there = np.isfinite(found[0])
    return bool(steps > 1 and there.any() and found[0][there].mean() < found[1][there].mean())


def _moved(train: Windows, lags: Offsets) -> Figures:
    """(K,): at each lag how much the change over it varies, its mean (a trend) left out; not a number where all series
    are shorter."""
    series = list(_some_series(train))

    def spread(lag: int) -> float:
        changes = [one[lag:] - one[:-lag] for one in series if len(one) > lag]
        return float(np.mean([np.abs(one - one.mean(axis=0)).mean() for one in changes])) if changes else np.nan

    return np.asarray([spread(lag) for lag in lags.tolist()])


def _some_series(train: Windows) -> Iterator[Figures]:
    """The channels of some series, (L, C) each; the end of long ones."""
    picked = np.unique(np.linspace(0, len(train.sequences) - 1, _MOST_SERIES).astype(np.int64))
    for row in picked.tolist():
        yield train.sequences.row(row)[-_MOST_STEPS:, : train.layout.num_channels].astype(np.float64)


def _error(train: Windows, season: int) -> float:
    rows = np.unique(np.linspace(0, len(train) - 1, _MOST_WINDOWS).astype(np.int64))
    scores = SeriesScores()
    score_rows(scores, train, rows, naive_forecast(train, rows, season))
    return float(scores.metrics()["mae"])


def _autocorrelation(train: Windows) -> Figures:
    """(K,): at lags 0 to K - 1, the mean over some series (the end of long ones) and all channels, straight lines taken
    out; at most 1,000 lags, and a third of the shortest series."""
    series = list(_some_series(train))
    lags = min(_MOST_LAG, min(map(len, series)) // 3 + 1)
    found = np.zeros(lags)
    for values in series:
        steps = np.arange(len(values)) - (len(values) - 1) / 2
        slope = steps @ values / max(float(steps @ steps), 1.0)
        rest = values - values.mean(axis=0) - steps[:, None] * slope
        power = np.abs(np.fft.rfft(rest, 2 * len(values), axis=0)) ** 2
        products = np.fft.irfft(power, axis=0)[:lags]
        found += np.mean(products / np.maximum(products[0], 1e-12), axis=1)
    return found / len(series)


def _peak(correlations: Figures) -> int:
    """The lag >= 2 of the highest local maximum that is no noise; 1: there is none."""
    inner = correlations[1:-1]
    peaks = np.flatnonzero((inner > correlations[:-2]) & (inner >= correlations[2:]) & (inner > _LEAST_CORRELATION)) + 1
    peaks = peaks[peaks >= 2]
    return int(peaks[correlations[peaks].argmax()]) if len(peaks) else 1
