"""Baselines of forecasters: right by hand, on the model's own windows, and within the budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.series import forecasting

from ostinato.baselines import Baselines
from ostinato.baselines import measure as measuring
from ostinato.data.dataset import Prepared
from ostinato.data.forecasting.windows import Windows
from ostinato.recipe import build_recipe
from ostinato.report.baselines import table_of
from ostinato.tasks.baselines import compare_with_baselines
from ostinato.tasks.forecasting.baseline_rows import truth_of
from ostinato.tasks.forecasting.baselines import ForecastComparison, MeanOfWindow, SeasonalNaive
from ostinato.tasks.forecasting.baselines_fitted import HoltWinters, LinearMap, _last_of_each
from ostinato.tasks.forecasting.evaluation import evaluate, stretches
from ostinato.tasks.forecasting.season import season_of
from ostinato.tasks.prepare import prepare
from ostinato.tasks.registry import task_of


@pytest.fixture(autouse=True)
def measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "_LATENCIES", 1)


def _wave(count: int, noise: float = 0.0, period: int = 7) -> NDArray[np.float64]:
    steps = np.arange(count)
    return np.sin(2 * np.pi * steps / period) + 0.01 * steps + np.random.default_rng(0).normal(0, 1, count) * noise


def _prepared(path: Path, columns: dict[str, Any], monitor: str = "loss", **forecast: Any) -> Prepared:
    """Of the columns of one series; empty where a value is NaN."""
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join("" if np.isnan(x) else f"{x:.6f}" for x in row) for row in rows)]
    path.mkdir(exist_ok=True)
    (path / "t.csv").write_text("\n".join(lines) + "\n")
    options = {"lookback": 14, "horizon": 5, "split": [0.6, 0.4], **forecast}
    sections = forecasting({"hidden_size": 4, **options}, train=str(path / "t.csv"))
    training = {"num_threads": 1, "monitor": monitor}
    return prepare(build_recipe({**sections, "training": training}))


def _windows(prepared: Prepared) -> tuple[Windows, Windows]:
    assert isinstance(prepared.train, Windows)
    assert isinstance(prepared.validation, Windows)
    return prepared.train, prepared.validation


def _compare(prepared: Prepared, budget_s: float = 60.0) -> Baselines:
    torch.manual_seed(0)
    model = task_of(prepared.recipe).build(prepared.recipe, prepared.features).eval()
    return compare_with_baselines(
        task_of(prepared.recipe), model, prepared, torch.device("cpu"), {"seconds": 9.0}, budget_s, lambda _: None
    )


def test_every_baseline_answers_every_window_of_every_channel(tmp_path: Path) -> None:
    prepared = _prepared(tmp_path, {"a": _wave(150, 0.1), "b": -3 * _wave(150, 0.1)}, monitor="mase", stride=8)
    found = _compare(prepared)
    names = ["mean", "last value", "seasonal naive", "linear", "ETS (Holt-Winters)"]
    assert [one.name for one in found.baselines] == names
    assert found.figure == "mase"
    assert found.num_units == len(_windows(prepared)[1])
    figures = {one.name: one.metrics["mase"] for one in found.baselines}
    assert max(figures["linear"], figures["ETS (Holt-Winters)"]) < figures["seasonal naive"] < figures["last value"]
    assert all(one.gap is not None for one in found.baselines)
    assert "a season has 7 steps, found by autocorrelation of the training data" in found.baselines[2].details
    assert Baselines.from_dict(found.to_dict()) == found


def test_the_model_s_figures_are_those_of_its_evaluation(tmp_path: Path) -> None:
    prepared = _prepared(tmp_path, {"a": _wave(90, 0.2)}, output="gaussian")
    model = task_of(prepared.recipe).build(prepared.recipe, prepared.features)
    comparison = ForecastComparison(model, prepared, torch.device("cpu"))
    metrics = evaluate(model, comparison.validation, prepared.features, torch.device("cpu"))
    scores = comparison.scores(comparison.own())
    assert comparison.figure == "mae"
    for name in ("mse", "mae", "rmse", "smape", "mase"):
        assert scores[name] == pytest.approx(metrics[name], rel=1e-6)


def test_the_linear_map_continues_what_is_linear(tmp_path: Path) -> None:
    train, validation = _windows(_prepared(tmp_path, {"a": _wave(120), "b": _wave(120, period=5)}))
    baseline = LinearMap()
    baseline.fit_windows(train)
    truth = truth_of(validation, np.arange(len(validation)))[0]
    assert float(np.abs(baseline.answer(validation) - truth).max()) < 0.02
    assert "penalty 1e-06" in baseline.details
    assert baseline.num_bytes == 4 * (14 + 1) * 5


def test_the_linear_map_is_ridge_regression(tmp_path: Path) -> None:
    train, validation = _windows(_prepared(tmp_path, {"a": _wave(100, 0.5)}))
    baseline = LinearMap()
    baseline.fit_windows(train)
    x, last = baseline._inputs(train, np.arange(len(train)))
    y = truth_of(train, np.arange(len(train)))[0][:, :, 0] - last
    penalty = np.diag([baseline._penalty * np.trace(x[:, :-1].T @ x[:, :-1]) / 14] * 14 + [0.0])
    weights = np.linalg.solve(x.T @ x + penalty, x.T @ y)
    inputs, last = baseline._inputs(validation, np.arange(len(validation)))
    np.testing.assert_allclose(baseline.answer(validation)[:, :, 0], inputs @ weights + last, atol=1e-4)


def test_the_penalty_is_chosen_on_the_last_windows_of_each_series(tmp_path: Path) -> None:
    train, _ = _windows(_prepared(tmp_path, {"a": _wave(100)}))
    shuffled = train.take(np.random.default_rng(0).permutation(len(train)))
    held = _last_of_each(shuffled)
    assert held.sum() == len(train) // 10
    assert shuffled.origins[held].min() > shuffled.origins[~held].max()


def test_the_mean_is_of_what_is_there_and_read(tmp_path: Path) -> None:
    values = np.arange(60.0)
    values[20] = np.nan
    prepared = _prepared(tmp_path, {"a": values, "b": values % 3}, lookback=4, missing="mask", scaling="none")
    found = MeanOfWindow().answer(prepared.train)[:, 0, 0]
    origins = _windows(prepared)[0].origins.tolist()
    assert found[origins.index(30)] == np.mean([26, 27, 28, 29])
    assert found[origins.index(22)] == pytest.approx(np.mean([18, 19, 21]))


def test_a_season_is_inferred_only_where_there_is_one(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 1, 300)
    assert season_of(_windows(_prepared(tmp_path / "a", {"a": noise}))[0]).steps == 1
    prepared = _prepared(tmp_path / "b", {"a": noise})
    assert not SeasonalNaive.applies(prepared)
    assert season_of(_windows(_prepared(tmp_path / "c", {"a": 0.5 * noise + 3 * _wave(300, period=12)}))[0]).steps == 12


def test_of_given_seasons_the_better_one_is_taken_and_said(tmp_path: Path) -> None:
    train, _ = _windows(_prepared(tmp_path, {"a": _wave(200, 0.1)}, seasonality=[10, 7]))
    season = season_of(train)
    assert season.steps == 7
    assert str(season) == "a season has 7 steps, from the recipe or the time stamps"


def test_ets_reads_the_past_only_and_survives_what_never_changes(tmp_path: Path) -> None:
    prepared = _prepared(tmp_path, {"a": _wave(120, 0.1), "b": np.full(120, 3.0)})
    train, validation = _windows(prepared)
    baseline = HoltWinters()
    baseline.fit_windows(train)
    one = validation.take(np.asarray([10]))
    before = baseline.answer(one)
    validation.sequences.values[int(one.origins[0]) :] = 99.0
    np.testing.assert_array_equal(baseline.answer(one), before)
    np.testing.assert_allclose(before[0, :, 1], 0.0, atol=1e-6)
    seasonal = SeasonalNaive()
    seasonal.fit_windows(train)
    np.testing.assert_allclose(before[0, :, 0], seasonal.answer(one)[0, :, 0], atol=0.3)
    short = validation.take(np.asarray([0]))
    short.sequences.offsets[0] = short.origins[0] - 4
    assert np.ptp(baseline.answer(short)[0, :, 0]) == 0.0


def test_a_slow_baseline_answers_a_part_and_all_are_scored_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = _prepared(tmp_path, {"a": _wave(200, 0.1)})
    monkeypatch.setattr(measuring, "_seconds_an_answer", lambda *_: 5.0)
    found = _compare(prepared, 62.0)
    last = found.baselines[-1]
    assert last.name == "ETS (Holt-Winters)"
    assert last.part is not None
    assert 10 <= last.part.num_units <= 12
    assert set(last.part.figures) == {"this model", *(one.name for one in found.baselines)}
    assert last.metrics["num_examples"] == last.part.num_units
    assert last.standing(found.own, "mse") - found.own.metrics["mse"] == pytest.approx(
        last.metrics["mse"] - last.part.figures["this model"]
    )
    table = table_of(found)
    assert table["columns"][-1] == f"mean squared error, {last.part.num_units} windows"
    shown = {row["name"]: row["values"] for row in table["rows"]}
    assert shown["ETS (Holt-Winters)"][:-1] == ["–", "–", "–"]
    assert "–" not in shown["linear"]
    assert Baselines.from_dict(found.to_dict()) == found


def test_a_slow_baseline_that_has_no_time_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "_seconds_an_answer", lambda *_: 5.0)
    found = _compare(_prepared(tmp_path, {"a": _wave(200, 0.1)}), 45.0)
    assert found.passed_over == ["ETS (Holt-Winters): one window takes 5 s, too long for 10 within the budget"]
    assert all(one.part is None for one in found.baselines)


def test_a_single_window_says_nothing_of_which_is_better(tmp_path: Path) -> None:
    found = _compare(_prepared(tmp_path, {"a": _wave(80, 0.1)}, split="last"), 0.0)
    assert found.num_units == 1
    assert found.conclusion.endswith("not enough data to say which is better (1 window).")
    assert all("too few to say" in row["gap"] for row in table_of(found)["rows"] if not row["own"])


def test_neighbouring_windows_are_drawn_together(tmp_path: Path) -> None:
    _, validation = _windows(_prepared(tmp_path, {"a": _wave(200)}))
    units = stretches(validation)
    assert sorted(set(units.of.tolist())) == list(range(units.count))
    for unit in range(units.count):
        assert np.ptp(validation.origins[units.of == unit]) < validation.horizon


def test_values_that_are_missing_count_nowhere(tmp_path: Path) -> None:
    values = _wave(200, 0.1)
    values[140:160] = np.nan
    found = _compare(_prepared(tmp_path, {"a": values, "b": values}, missing="mask"), 0.0)
    assert all(np.isfinite(one.metrics["mse"]) for one in (found.own, *found.baselines))
    assert all(one.gap and np.isfinite(one.gap.mean) for one in found.baselines)
