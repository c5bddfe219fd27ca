"""Evaluating, predicting and reporting of forecasters: rolling windows over a part of the data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ostinato.arrays import Floats, Offsets
from ostinato.data.dataset import Examples, Features
from ostinato.data.forecasting.windows import Windows, as_windows, series_feature
from ostinato.metrics.classification import Metrics
from ostinato.metrics.prediction import Prediction
from ostinato.metrics.resampling import SUMS, Units
from ostinato.nn.modes import evaluating
from ostinato.recipe import TrainingRecipe
from ostinato.recipe.forecast import POINT_OUTPUTS, WindowsRecipe
from ostinato.tasks.forecasting.model import Forecaster
from ostinato.tasks.forecasting.scores import SeriesScores

_ROWS = 256


def levels_of(recipe: WindowsRecipe) -> tuple[float, ...]:
    """The levels of the quantiles a forecaster gives; empty where it gives a number."""
    return () if recipe.output in POINT_OUTPUTS else recipe.quantiles


def evaluate(model: Forecaster, examples: Examples, features: Features, device: torch.device) -> Metrics:
    """Loss and figures of all windows: a rolling-origin back-test, the weights as they are."""
    return backtest(model, as_windows(examples), device)[0]


def backtest(model: Forecaster, windows: Windows, device: torch.device) -> tuple[Metrics, SeriesScores]:
    """Loss and figures of all windows, and the scores they were made of."""
    levels = levels_of(model.recipe)
    is_a_figure = model.recipe.output in ("mse", "mae") and not model.recipe.time_decay  # no second pass for the loss
    scores, losses = SeriesScores(levels), 0.0
    with evaluating(model), torch.inference_mode():
        for first in range(0, len(windows), _ROWS):
            rows = np.arange(first, min(first + _ROWS, len(windows)))
            batch = windows.batch(rows).to(device)
            point, quantiles = forecast_rows(model, windows, rows, device, levels)
            target, mask = model.truth(batch)
            truth = target.cpu().numpy()
            there = np.ones(truth.shape, dtype=np.bool_) if mask is None else mask.cpu().numpy() > 0.5
            own = windows.original(point, rows), windows.original(truth, rows)
            scores.add(point, truth, there, own, windows.facts.naive[windows.rows[rows]], quantiles)
            if not is_a_figure:
                losses += float(model.loss(batch, TrainingRecipe())) * len(rows)
    figures = scores.metrics(stretches(windows))
    if not is_a_figure:
        return {"loss": losses / len(windows), **figures}, scores
    sums = figures[SUMS]
    watched = replace(sums, figures={**sums.figures, "loss": sums.figures[model.recipe.output]})
    return {"loss": figures[model.recipe.output], **figures, SUMS: watched}, scores


def stretches(windows: Windows) -> Units:
    """Windows of a series that begin in the same stretch of one horizon belong together: neighbours forecast nearly the
    same steps."""
    places = np.stack([windows.rows, windows.origins // windows.horizon], axis=1)
    found, which = np.unique(places, axis=0, return_inverse=True)
    rows = Units.rows(len(found))
    return Units(rows.of[which.ravel()], rows.count)


def forecast_rows(
    model: Forecaster, windows: Windows, rows: Offsets, device: torch.device, levels: tuple[float, ...]
) -> tuple[Floats, Floats | None]:
    """Forecasts (N, H, C) of some windows on the model's scale, and quantiles (N, H, C, Q)."""
    found = model.forecast(windows.batch(rows).to(device), levels)
    quantiles = None if found.quantiles is None else found.quantiles.cpu().numpy()
    return found.point.cpu().numpy(), quantiles


def predict(model: Forecaster, examples: Examples, features: Features, device: torch.device) -> list[Prediction]:
    """For each window its future in the series' own units.

    `values`: a number a step, or a tuple of a number a channel; `details`: the series' name, channels, time stamps
    where there are any, and quantiles by level.
    """
    windows, feature = as_windows(examples), series_feature(features)
    levels = levels_of(model.recipe)
    found: list[Prediction] = []
    with evaluating(model):
        for first in range(0, len(windows), _ROWS):
            rows = np.arange(first, min(first + _ROWS, len(windows)))
            point, quantiles = forecast_rows(model, windows, rows, device, levels)
            own = windows.original(point, rows)
            by_level = {
                level: windows.original(quantiles[..., place], rows)
                for place, level in enumerate(levels)
                if quantiles is not None
            }
            for number, row in enumerate(rows.tolist()):
                details: dict[str, Any] = {"series": windows.preview(row), "channels": list(feature.channels)}
                details |= _times(windows, row)
                if by_level:
                    details["quantiles"] = {f"{level:g}": _plain(of[number]) for level, of in by_level.items()}
                found.append(Prediction(values=tuple(_plain(own[number])), details=details))
    return found


def _times(windows: Windows, row: int) -> dict[str, Any]:
    if windows.facts.stamps is None:
        return {}
    origin = int(windows.origins[row])
    return {"times": [windows.facts.shown(step) for step in range(origin, origin + windows.horizon)]}


def _plain(values: Floats) -> list[Any]:
    """(H, C) as lists; one channel: as numbers."""
    values = values[:, 0] if values.shape[1] == 1 else values
    return [float(x) if np.ndim(x) == 0 else [float(y) for y in x] for x in values]
