"""Naive forecasts of windows, and the figures of any forecast of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ostinato.arrays import Floats, Offsets
from ostinato.data.forecasting.windows import Windows
from ostinato.tasks.forecasting.scores import SeriesScores

_ROWS = 256


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
