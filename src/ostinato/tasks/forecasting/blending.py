"""The linear path of a forecaster: solved before training; its share of forecasts decided after it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from ostinato.arrays import Array, Floats
from ostinato.data.dataset import Prepared
from ostinato.data.forecasting.windows import Windows, as_windows
from ostinato.metrics.decisions import SHARES, likeliest_share
from ostinato.nn.modes import evaluating
from ostinato.storage.files import read_json
from ostinato.tasks.findings import Finding, Trained
from ostinato.tasks.forecasting.evaluation import stretches
from ostinato.tasks.forecasting.linear_fit import fit_linear
from ostinato.tasks.forecasting.model import Forecaster
from ostinato.tasks.forecasting.season import seasons_of
from ostinato.tasks.spec import Section

_MOST_WINDOWS, _ROWS = 2000, 256


def fit_path(model: Forecaster, train: Windows) -> bool:
    """Solve for the linear path by training windows; whether there is one."""
    if model.linear is None:
        return False
    seasons = seasons_of(train)
    found = fit_linear(channels_of(train), [model.recipe.lookback], train.horizon, seasons)
    model.linear.set(found.weight, max(seasons, default=1))
    return True


def channels_of(windows: Windows) -> list[Array]:
    """The channels of each series, (L, C)."""
    width = windows.layout.num_channels
    return [windows.sequences.row(row)[:, :width] for row in range(len(windows.sequences))]


def decide(model: Forecaster, prepared: Prepared, device: torch.device) -> Section | None:
    """The share of the linear path, decided on validation windows; None without one."""
    if model.linear is None:
        return None
    windows = as_windows(prepared.validation)
    losses = _losses(model, windows, device)
    costs = stretches(windows).count / 2 * np.log(np.maximum(losses, 1e-12))  # forecasts that don't overlap
    model.linear_share = likeliest_share(costs) if model.recipe.blend == "auto" else 0.0
    return {"linear_share": model.linear_share, "recurrent_loss": losses[0], "linear_loss": losses[-1]}


def _losses(model: Forecaster, windows: Windows, device: torch.device) -> Floats:
    """The mean loss of some windows by each share, from none to all of it linear."""
    rows = np.unique(np.linspace(0, len(windows) - 1, _MOST_WINDOWS).astype(np.int64))
    total, count = np.zeros(len(SHARES)), 0.0
    with evaluating(model), torch.inference_mode():
        for first in range(0, len(rows), _ROWS):
            batch = windows.batch(rows[first : first + _ROWS]).to(device)
            target, mask = model.truth(batch)
            there = torch.ones_like(target) if mask is None else mask
            paths = model.paths(batch)
            for number, share in enumerate(SHARES.tolist()):
                total[number] += float(
                    (model.head.nll((1 - share) * paths[0] + share * paths[1], target) * there).sum()
                )
            count += float(there.sum())
    return total / max(count, 1.0)


def said(trained: Trained) -> Iterator[Finding]:
    """How much of a forecast is linear, where a linear path was decided about."""
    decided = read_json(Path(trained.run) / "decisions.json", missing_ok=True)
    if "linear_share" not in decided:
        return
    share = decided["linear_share"]
    both, linear = (f"{decided[key]:.4g}" for key in ("recurrent_loss", "linear_loss"))
    yield Finding(
        "blend",
        f"a linear map forecasts, and the network adds {1 - share:.0%} of the difference it sees: loss on validation "
        f"windows {linear} without it, {both} with all of it",
        f"the network alone: {trained.again({'model.blend': 'none'})}",
        serious=False,
    )
