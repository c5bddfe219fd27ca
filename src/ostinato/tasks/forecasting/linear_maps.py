"""Simple forecasts as linear maps of a window: run on the unit vectors, any forecast that adds and scales is one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ostinato.baselines.base import Figures

_LEVEL, _TREND, _SEASON = (0.1, 0.3, 0.6, 0.9), ((0.0, 1.0), (0.1, 0.95), (0.1, 1.0)), (0.1, 0.4)
"""Shares by which a new value moves level, trend (and what is left of it a step later) and season."""


def simple_maps(lookback: int, horizon: int, seasons: tuple[int, ...]) -> Iterator[Figures]:
    """(lookback + 1, horizon) each, as `LinearPath.weight`: the last value; the last season, moved to the last value's
    level or not, or a mean of some; exponential smoothing with and without a season (Holt-Winters)."""
    ahead = np.arange(horizon)
    yield _as_weight(np.eye(lookback)[:, [-1] * horizon])
    for season in seasons:
        if not 1 < season < lookback:
            continue
        for count in range(1, min(4, lookback // season) + 1):
            unit = np.eye(lookback)
            places = [lookback - season * back + ahead % season for back in range(1, count + 1)]
            before = [place - 1 - ahead % season for place in places]
            naive = np.mean([unit[:, place] for place in places], axis=0)
            yield _as_weight(naive)
            if min(one.min() for one in before) >= 0:
                yield _as_weight(naive + unit[:, [-1] * horizon] - np.mean([unit[:, one] for one in before], axis=0))
    for season in (1, *(one for one in seasons if one > 1 and 2 * one <= lookback)):
        for level in _LEVEL:
            for trend, damped in _TREND:
                for share in _SEASON if season > 1 else (0.0,):
                    yield _as_weight(_smoothing(lookback, horizon, season, level, trend * level, damped, share))


def _smoothing(
    lookback: int, horizon: int, season: int, alpha: float, beta: float, phi: float, gamma: float
) -> Figures:
    """(lookback, horizon): exponential smoothing of a window with additive, damped trend and additive season, begun
    with the mean of the first season (Hyndman & Athanasopoulos, "Forecasting: principles and practice", 8.3)."""
    unit = np.eye(lookback)
    level, trend = unit[:, :season].mean(axis=1), np.zeros(lookback)
    cycle = [unit[:, step] - level for step in range(season)]
    for step in range(season, lookback):
        known, value = cycle[step % season], unit[:, step]
        before = level
        level = alpha * (value - known) + (1 - alpha) * (level + phi * trend)
        cycle[step % season] = gamma * (value - before - phi * trend) + (1 - gamma) * known
        trend = beta * (level - before) + (1 - beta) * phi * trend
    kept = np.cumsum(phi ** np.arange(1, horizon + 1))
    return np.stack([level + kept[h] * trend + cycle[(lookback + h) % season] for h in range(horizon)], axis=1)


def _as_weight(of_steps: Figures) -> Figures:
    """Of the steps less the last value, of the last value less itself, and of 1."""
    last = of_steps.sum(axis=0, keepdims=True) - 1.0
    return np.concatenate([of_steps[:-1], last, np.zeros_like(last)])
