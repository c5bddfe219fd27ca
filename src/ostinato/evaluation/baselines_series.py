"""Simple rivals of a forecaster, on the very same windows: naive, seasonal naive, exponential smoothing."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.data.arrays import Offsets
from ostinato.data.series_windows import Windows
from ostinato.errors import MissingLibraryError
from ostinato.evaluation.metrics import Metrics
from ostinato.evaluation.scores_series import SeriesScores

Floats = NDArray[np.floating[Any]]
_ROWS = 256
_MOST_PAST = 1000


def naive_scores(windows: Windows, season: int) -> SeriesScores:
    """Scores of the forecast that repeats the last `season` values before it; 1: the last value.

    The values are of the whole series, also from before the lookback; where there are fewer than a season, the earliest
    is repeated.
    """
    scores = SeriesScores()
    for first in range(0, len(windows), _ROWS):
        rows = np.arange(first, min(first + _ROWS, len(windows)))
        score_rows(scores, windows, rows, naive_forecast(windows, rows, season))
    return scores


def naive_forecast(windows: Windows, rows: Offsets, season: int) -> Floats:
    """(N, H, C) on the model's scale: the last season before each window's forecast, again and again."""
    values, channels = windows.sequences.values, windows.layout.num_channels
    origins = windows.origins[rows][:, None]
    begins = windows.sequences.offsets[windows.rows[rows]][:, None]
    source = origins - season + np.arange(windows.horizon)[None, :] % season
    found: Floats = values[np.maximum(source, begins), :channels]
    return found


def score_rows(scores: SeriesScores, windows: Windows, rows: Offsets, point: Floats) -> None:
    """Add forecasts (N, H, C), on the model's scale, of some windows to scores."""
    truth, mask = truth_of(windows, rows)
    own = windows.original(point, rows), windows.original(truth, rows)
    scores.add(point, truth, mask, own, windows.facts.naive[windows.rows[rows]])


def truth_of(windows: Windows, rows: Offsets) -> tuple[Floats, NDArray[np.bool_]]:
    """(N, H, C): what came, on the model's scale, and whether it was there."""
    channels = windows.layout.num_channels
    steps = windows.origins[rows][:, None] + np.arange(windows.horizon)[None, :]
    values = windows.sequences.values[steps]
    there = values[..., channels : 2 * channels] > 0.5 if windows.layout.masked else None
    truth = values[..., :channels]
    return truth, np.ones(truth.shape, dtype=np.bool_) if there is None else there


def exponential_smoothing(
    windows: Windows, rows: Offsets, season: int, max_seconds: float = 60.0
) -> tuple[Offsets, Floats]:
    """Holt-Winters with an additive, damped trend and an additive season, fitted anew for each window and channel.

    By statsmodels' `ExponentialSmoothing`, on the last 1,000 values of the series before the window's forecast, or as
    many as there are.

    Args:
        windows: of series.
        rows: which of them; best evenly picked, since time may run out.
        season: steps; below 2 or where a series holds fewer than two seasons: none.
        max_seconds: after which no further window is begun.

    Returns:
        the rows that there was time for, and their forecasts (N, H, C) on the model's scale.

    Raises:
        MissingLibraryError: without statsmodels.
    """
    try:
        from statsmodels.tsa.holtwinters import ExponentialSmoothing
    except ImportError as error:
        raise MissingLibraryError(
            "exponential smoothing needs statsmodels, which is not installed.",
            hint="pip install 'ostinato[baselines]'",
        ) from error
    began = time.monotonic()
    done: list[int] = []
    found: list[Floats] = []
    for row in rows.tolist():
        if time.monotonic() - began > max_seconds:
            break
        begin = int(windows.sequences.offsets[windows.rows[row]])
        origin = int(windows.origins[row])
        past = windows.sequences.values[max(begin, origin - _MOST_PAST) : origin, : windows.layout.num_channels]
        seasonal = season > 1 and len(past) >= 2 * season
        if len(past) < 10:
            continue
        forecast = np.empty((windows.horizon, past.shape[1]))
        for channel in range(past.shape[1]):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it warns of every fit that stops early
                model = ExponentialSmoothing(
                    past[:, channel].astype(np.float64),
                    trend="add",
                    damped_trend=True,
                    seasonal="add" if seasonal else None,
                    seasonal_periods=season if seasonal else None,
                )
                forecast[:, channel] = model.fit().forecast(windows.horizon)
        done.append(row)
        found.append(forecast)
    shape = (0, windows.horizon, windows.layout.num_channels)
    return np.asarray(done, dtype=np.int64), np.stack(found) if found else np.zeros(shape)


def baseline_metrics(windows: Windows, seasons: tuple[int, ...]) -> dict[str, Metrics]:
    """The figures of the naive rivals by name."""
    found = {"last value": naive_scores(windows, 1).metrics()}
    for season in seasons:
        if season > 1:
            found[f"seasonal naive ({season})"] = naive_scores(windows, season).metrics()
    return found
