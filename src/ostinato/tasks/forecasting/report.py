"""The report's results of a forecaster: errors next to naive baselines, error by step, forecasts against what came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ostinato.arrays import Floats, Offsets
from ostinato.data.dataset import Prepared
from ostinato.data.forecasting.feature import ForecastFeature
from ostinato.data.forecasting.future import future_windows
from ostinato.data.forecasting.windows import Windows, as_windows, series_feature
from ostinato.errors import DataError, RunError
from ostinato.metrics.classification import Metrics
from ostinato.metrics.resampling import with_intervals
from ostinato.nn.modes import evaluating
from ostinato.report.data import Section
from ostinato.report.page import limits
from ostinato.tasks.forecasting import baseline_rows as baselines
from ostinato.tasks.forecasting.evaluation import backtest, forecast_rows, levels_of
from ostinato.tasks.forecasting.model import Forecaster
from ostinato.tasks.forecasting.scores import SeriesScores

_AHEAD = 6
"""Panels of what comes after the end."""
_PAST = 3
"""Horizons of the past that are drawn before a forecast."""
_ROWS = (
    ("mse", "mean squared error", "on the scale of the model: deviations of the training part"),
    ("mae", "mean absolute error", "on the same scale"),
    ("rmse", "root mean squared error", "in the units of the series"),
    ("smape", "sMAPE", "per cent of the mean of truth and forecast"),
    ("mase", "MASE", "relative to the one-step seasonal naive error in the training part"),
)


def forecast_results(model: Forecaster, prepared: Prepared, device: torch.device) -> Section:
    """All windows of the validation part, scored; some of them drawn."""
    windows = as_windows(prepared.validation)
    feature = series_feature(prepared.features)
    found, scores = backtest(model, windows, device)
    metrics = with_intervals(found)
    naive = {"last value": baselines.naive_scores(windows, 1)}
    naive |= {f"seasonal naive ({s})": baselines.naive_scores(windows, s) for s in windows.facts.seasons if s > 1}
    by_name = {name: one.metrics() for name, one in naive.items()}
    best = min(by_name, key=lambda name: float(by_name[name]["mase"]))
    recipe = model.recipe
    several = len(windows.facts.names) > 1
    what = f"{len(windows.facts.names):,} series" if several else ", ".join(f"`{c}`" for c in feature.channels[:8])
    return {
        "template": "forecast.html.jinja",
        "sentence": f"Forecasts the next {recipe.horizon:,} steps of {what} from the last {recipe.lookback:,}, "
        f"{'all of one length' if feature.frequency is None else f'a step being {feature.frequency}'}.",
        "tiles": _tiles(metrics, by_name[best], best),
        "metrics": metrics,
        "columns": ["this model", *by_name],
        "table": [
            {"name": name, "meaning": meaning, "values": [metrics[key], *(one[key] for one in by_name.values())]}
            for key, name, meaning in _ROWS
        ],
        "intervals": metrics if "crps" in metrics else None,
        "horizon": _horizon(scores, naive, recipe.horizon),
        "ahead": _ahead(model, prepared, feature, device),
        "examples": _examples(model, windows, feature, scores, device),
        "num_series": len(windows.facts.names),
        "stride": recipe.stride,
    }


def _tiles(metrics: Metrics, baseline: Metrics, name: str) -> list[tuple[str, str, str, str]]:
    tiles = [
        (f"validation {key.upper()}", f"{metrics[key]:.3f}", f"{baseline[key]:.3f} {name}", limits(metrics, key))
        for key in ("mse", "mae")
    ]
    tiles.append(("MASE", f"{metrics['mase']:.3f}", f"{baseline['mase']:.3f} {name}", limits(metrics, "mase")))
    smape = f"{metrics['smape']:.1f} %", f"{baseline['smape']:.1f} % {name}"
    tiles.append(("sMAPE", *smape, limits(metrics, "smape", digits=1)))
    if "coverage" in metrics:
        share, nominal = f"{metrics['coverage']:.1%}", f"of {metrics['interval']:.0%}"
        tiles.append(("in the interval", share, nominal, limits(metrics, "coverage", "percent")))
    return tiles


def _horizon(scores: SeriesScores, naive: dict[str, SeriesScores], horizon: int) -> Any:
    from ostinato.tasks.forecasting import plots as plots_forecast

    lines = [("this model", scores.by_step()[1]), *((name, one.by_step()[1]) for name, one in naive.items())]
    return plots_forecast.error_by_step(lines, "error, standard deviations")


def _examples(
    model: Forecaster, windows: Windows, feature: ForecastFeature, scores: SeriesScores, device: torch.device
) -> list[Section]:
    """Windows of usual error and the worst ones (of different series or apart in time), drawn: of their channels the
    one with the largest error."""
    errors = scores.by_window()
    order = np.argsort(errors, kind="stable")
    usual = [int(order[int(share * (len(order) - 1))]) for share in (0.25, 0.5, 0.75)]
    picked = [(row, "usual") for row in dict.fromkeys(usual)]
    worst: list[int] = []
    for row in order[::-1].tolist():
        if len(worst) < 3 and row not in usual and all(_apart(windows, row, other) for other in worst):
            worst.append(row)
    picked += [(row, "worst") for row in worst]
    rows = np.asarray([row for row, _ in picked], dtype=np.int64)
    forecasts = _Forecasts.of(model, windows, rows, device)
    truth, mask = baselines.truth_of(windows, rows)
    channels = (np.abs(forecasts.point - truth) * mask).sum(1).argmax(1).tolist()
    return [
        {
            **_drawn(forecasts, feature, place, channel, np.where(mask[place], truth[place], np.nan)),
            "picked_as": picked_as,
            "error": float(errors[row]),
        }
        for place, ((row, picked_as), channel) in enumerate(zip(picked, channels, strict=True))
    ]


def window_drawn(model: Forecaster, prepared: Prepared, device: torch.device, window: int, channel: int) -> object:
    """One channel of one window of the validation part; both numbers may be counted from the end.

    Raises:
        RunError: for a window or a channel that is not there.
    """
    windows, feature = as_windows(prepared.validation), series_feature(prepared.features)
    for name, number, count in (("window", window, len(windows)), ("channel", channel, len(feature.channels))):
        if not -count <= number < count:
            raise RunError(f"`{name}` must be from {-count} to {count - 1}. Received: {number}.")
    rows = np.asarray([window % len(windows)], dtype=np.int64)
    truth, mask = baselines.truth_of(windows, rows)
    forecasts, known = _Forecasts.of(model, windows, rows, device), np.where(mask[0], truth[0], np.nan)
    return _drawn(forecasts, feature, 0, channel % len(feature.channels), known)["plot"]


def _apart(windows: Windows, row: int, other: int) -> bool:
    far = abs(int(windows.origins[row] - windows.origins[other])) >= windows.horizon
    return bool(windows.rows[row] != windows.rows[other]) or far


def _ahead(model: Forecaster, prepared: Prepared, feature: ForecastFeature, device: torch.device) -> Section:
    """What comes after the end of the data, of some series and channels; or why that can't be said."""
    data = prepared.recipe.data
    last = data.validation if isinstance(data.validation, str) else data.train
    try:
        windows = future_windows(str(last), feature, prepared.recipe)
    except DataError as error:
        return {"why_not": error.message, "plots": [], "num_left_out": 0}
    pairs = [(row, channel) for row in range(len(windows)) for channel in range(len(feature.channels))]
    picked = [pairs[i] for i in np.unique(np.linspace(0, len(pairs) - 1, _AHEAD).astype(int)).tolist()]
    forecasts = _Forecasts.of(model, windows, np.asarray([row for row, _ in picked], dtype=np.int64), device)
    unknown = np.full((windows.horizon, len(feature.channels)), np.nan)
    drawn = [_drawn(forecasts, feature, place, channel, unknown) for place, (_, channel) in enumerate(picked)]
    return {"why_not": "", "plots": drawn, "num_left_out": len(pairs) - len(picked)}


@dataclass(frozen=True)
class _Forecasts:
    """Of some windows, `rows` of them: point (N, H, C) and quantiles (N, H, C, Q) on the model's scale."""

    windows: Windows
    rows: Offsets
    point: Floats
    quantiles: Floats | None
    levels: tuple[float, ...]

    @classmethod
    def of(cls, model: Forecaster, windows: Windows, rows: Offsets, device: torch.device) -> _Forecasts:
        levels = levels_of(model.recipe)
        with evaluating(model), torch.inference_mode():
            return cls(windows, rows, *forecast_rows(model, windows, rows, device, levels), levels)


def _drawn(forecasts: _Forecasts, feature: ForecastFeature, place: int, channel: int, truth: Floats) -> Section:
    """One channel of one of the windows. truth: (H, C) on the model's scale, NaN where there is none."""
    from ostinato.tasks.forecasting import plots as plots_forecast

    windows, row = forecasts.windows, forecasts.rows[place : place + 1]
    facts, season = windows.facts, windows.facts.seasons[0]
    origin, begin = int(windows.origins[row[0]]), int(windows.sequences.offsets[windows.rows[row[0]]])
    first = max(begin, origin - _PAST * windows.horizon)
    past = windows.sequences.values[None, first:origin, : len(feature.channels)]

    def own(values: Floats) -> Floats:
        shown_values: Floats = windows.original(values, row)[0, ..., channel]
        return shown_values

    interval, levels = forecasts.quantiles, forecasts.levels
    ends = None if interval is None else interval[place : place + 1][..., [0, -1]]
    drawn = plots_forecast.Shown(
        past=own(past),
        truth=own(truth[None]),
        point=own(forecasts.point[place : place + 1]),
        interval=None if ends is None else own(np.moveaxis(ends, 3, 1)).T,
        baseline=own(baselines.naive_forecast(windows, row, season)) if season > 1 else None,
        when=facts.times(first, origin + windows.horizon),
        unit=feature.channels[channel],
    )
    name = f"forecast{int(row[0])}" if np.isfinite(truth).any() else f"ahead{int(row[0])}-{channel}"
    return {
        "plot": plots_forecast.forecast(
            name, drawn, f"{100 * levels[0]:g} to {100 * levels[-1]:g} %" if levels else ""
        ),
        "series": windows.preview(int(row[0])) if len(facts.names) > 1 else "",
        "channel": feature.channels[channel] if len(feature.channels) > 1 else "",
        "when": facts.shown(origin if facts.stamps is not None else origin - begin),
        "location": windows.location(int(row[0])),
    }
