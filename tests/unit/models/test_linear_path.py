"""The linear path of a forecaster: simple forecasts as maps, the fit by a rolling origin, its share of a forecast."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ostinato
from ostinato.data.forecasting.table import StepLayout
from ostinato.errors import RecipeError, RunError
from ostinato.metrics.decisions import likeliest_share
from ostinato.recipe import build_recipe
from ostinato.tasks.forecasting.linear import LinearPath
from ostinato.tasks.forecasting.linear_fit import fit_linear
from ostinato.tasks.forecasting.linear_maps import simple_maps
from ostinato.tasks.forecasting.model import Forecaster
from ostinato.tasks.forecasting.recipe import ForecastingRecipe
from ostinato.training.progress import Observer
from ostinato.types import Ragged

SEASON = np.asarray([0.0, 3.0, 5.0, 2.0])


def _forecast(weight: Any, window: Any) -> Any:
    path = LinearPath(len(weight) - 1, weight.shape[1], 1)
    path.set(weight[None], 4)
    return path(Ragged.from_rows(torch.tensor(window)[:, None], [0], [len(window)]))[0, :, 0].numpy()


def test_simple_forecasts_are_maps() -> None:
    window = np.random.default_rng(0).normal(size=9)
    found = [_forecast(one, window) for one in simple_maps(9, 6, (4,))]
    wanted = {
        "last": window[[-1] * 6],
        "season": window[[5, 6, 7, 8, 5, 6]],
        "moved": window[[5, 6, 7, 8, 5, 6]] + window[8] - window[4],
        "two seasons": (window[[5, 6, 7, 8, 5, 6]] + window[[1, 2, 3, 4, 1, 2]]) / 2,
    }
    for name, forecast in wanted.items():
        assert any(np.allclose(forecast, one, atol=1e-5) for one in found), name
    level = window[0]
    for value in window[1:]:
        level = 0.3 * value + 0.7 * level
    assert any(np.allclose(level, one, atol=1e-5) for one in found)  # simple exponential smoothing
    for one in simple_maps(9, 6, (4,)):  # a window that is higher is forecast as much higher
        np.testing.assert_allclose(_forecast(one, window + 10), _forecast(one, window) + 10, atol=1e-4)


def test_a_season_and_a_trend_are_forecast_and_a_walk_is_left_alone() -> None:
    steps = np.arange(200)
    series = (SEASON[steps % 4] + 0.1 * steps)[:, None]
    found = fit_linear([series], [2, 5, 9], 6, (4,))
    assert found.lookback > 2
    assert found.error < 1e-4 < found.naive
    np.testing.assert_allclose(
        _forecast(found.weight[0], series[:100, 0][-found.lookback :]), series[100:106, 0], atol=1e-2
    )
    walk = np.random.default_rng(0).normal(size=(400, 1)).cumsum(axis=0)
    assert not fit_linear([walk], [2, 5, 9], 6, (4,)).weight.any()


def test_channels_have_maps_of_their_own_and_many_share_one() -> None:
    draw = np.random.default_rng(0)
    steps = np.arange(300)
    waves = np.stack([np.sin(steps / 3), np.sin(steps / 8)], axis=1) + 0.01 * draw.normal(size=(300, 2))
    own = fit_linear([waves], [12], 4, ())
    assert own.weight.shape == (2, 13, 4)
    assert own.error < fit_linear([waves[:, [0]], waves[:, [1]]], [12], 4, ()).error
    many = fit_linear([draw.normal(size=(60, 20))], [5], 3, ())
    assert many.weight.shape == (1, 6, 3)


@pytest.mark.parametrize("series", [np.ones((30, 1)), np.arange(3.0)[:, None]])
def test_series_that_say_nothing_or_little(series: Any) -> None:
    found = fit_linear([series], [2], 1, ())
    assert np.isfinite(found.weight).all()


def test_a_short_window_goes_on_backwards_with_its_first_season() -> None:
    weight = np.zeros((9, 2))
    weight[0] = 1.0  # of the first of eight steps, less the last
    assert _forecast(weight, [1.0, 2.0, 3.0, 4.0, 5.0]).tolist() == [2.0, 2.0]  # 2 3 4 1 | 2 3 4 5 → 2
    assert _forecast(weight, [7.0, 8.0]).tolist() == [7.0, 7.0]  # no season is there: its first value


def test_the_share_of_the_difference() -> None:
    torch.manual_seed(0)
    recipe = ForecastingRecipe(cell="gru", hidden_size=4, lookback=6, horizon=3, blend="auto")
    model = Forecaster(recipe, StepLayout(2, False, 0, 0)).eval()
    past = Ragged.from_padded(torch.randn(5, 6, 2))
    assert model.linear is not None
    model.linear.set(np.random.default_rng(0).normal(size=(2, 7, 3)), 1)
    linear = model.linear(past).unsqueeze(-1)
    half = model(past)
    model.linear_share = 1.0
    torch.testing.assert_close(model(past), linear)
    model.linear_share = 0.0
    torch.testing.assert_close((model(past) + linear) / 2, half)
    model.linear_share = 1.0
    assert not torch.allclose(model.train()(past), linear)  # the network is trained whatever its share
    plain = Forecaster(ForecastingRecipe(lookback=6, horizon=3), StepLayout(2, False, 0, 0))
    with pytest.raises(RunError, match="no linear path"):
        plain.paths(None)  # type: ignore[arg-type]


def test_few_forecasts_leave_the_share_near_a_half() -> None:
    costs = np.log(np.linspace(2.0, 1.0, 21)) / 2  # of one forecast; the linear path alone is best
    assert 0.5 < likeliest_share(2 * costs) < 0.9
    assert likeliest_share(200 * costs) == 1.0
    assert likeliest_share(200 * costs[::-1]) == 0.0


@pytest.mark.parametrize(
    ("option", "value"), [("output", "gaussian"), ("residual", [3]), ("strategy", "autoregressive")]
)
def test_what_it_does_not_go_with(option: str, value: Any) -> None:
    model = {"task": "forecasting", "blend": "auto", option: value}
    with pytest.raises(RecipeError, match=r"`model.blend` only applies with"):
        build_recipe({"data": {"train": "x.csv"}, "model": model})


def test_a_run_keeps_its_path_and_its_share(tmp_path: Path) -> None:
    steps = np.arange(80)
    values = SEASON[steps % 4] + 0.1 * steps + np.random.default_rng(0).normal(size=80)
    table = tmp_path / "t.csv"
    table.write_text(
        "time,value\n" + "".join(f"{step},{value:.4f}\n" for step, value in zip(steps, values, strict=True))
    )
    settings = {"training.steps": 4, "training.baselines_seconds": 0, "training.num_threads": 1, "data.time": "time"}
    settings |= {"model.task": "forecasting", "model.hidden_size": 4, "data.seasonality": [4]}
    run = ostinato.train(table, settings=settings, out=tmp_path / "run", observer=Observer())
    share = json.loads((tmp_path / "run" / "decisions.json").read_text())["linear_share"]
    run.model.linear_share = 1.0
    alone = run.evaluate(table)["mse"]
    assert run.model.linear.weight.any()
    assert int(run.model.linear.season) == 4
    again = ostinato.load(tmp_path / "run")
    assert again.model.linear_share == share < 1
    assert again.evaluate(table)["mse"] != alone
    assert any("linear" in one["says"] for one in run.summary["findings"])
