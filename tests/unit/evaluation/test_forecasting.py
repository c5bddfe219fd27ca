"""Scores and baselines of forecasts; a forecaster's whole life on a small table: train, report, evaluate, predict."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.series import forecasting
from typer.testing import CliRunner

import ostinato
from ostinato.cli.app import app
from ostinato.data.forecasting.windows import Windows
from ostinato.errors import RunError
from ostinato.recipe import build_recipe
from ostinato.tasks.forecasting.baseline_rows import naive_forecast, naive_scores
from ostinato.tasks.forecasting.report import forecast_results
from ostinato.tasks.forecasting.scores import SeriesScores
from ostinato.tasks.prepare import prepare
from ostinato.training.progress import Observer

SEASON = np.array([0.0, 3.0, 5.0, 2.0])


def _table(path: Path, count: int = 80) -> Path:
    lines = ["date,a,b"]
    for i in range(count):
        day = np.datetime64("2020-01-01") + i
        lines.append(f"{day},{SEASON[i % 4] + 0.01 * i:.4f},{10 - SEASON[(i + 1) % 4]}")
    path.write_text("\n".join(lines) + "\n")
    return path


def _mapping(path: Path, **forecast: Any) -> dict[str, Any]:
    options = {"lookback": 8, "horizon": 4, "split": [48, 16, 16], "seasonality": [4], **forecast}
    if options.get("strategy") == "segment":
        options["segment"] = 4
    return {
        **forecasting({"cell": "gru", "hidden_size": 8, **options}, train=str(path)),
        "training": {"epochs": 3, "batch_size": 8, "learning_rate": 0.02, "num_threads": 1},
    }


def test_scores_by_hand() -> None:
    scores = SeriesScores((0.1, 0.9))
    truth = np.array([[[1.0], [2.0]], [[4.0], [0.0]]])
    point = np.array([[[2.0], [2.0]], [[1.0], [7.0]]])
    mask = np.array([[[True], [True]], [[True], [False]]])
    quantiles = np.stack([point - 1, point + 1], -1)
    scores.add(point, truth, mask, (10 * point, 10 * truth), np.array([[5.0], [10.0]]), quantiles)
    found = scores.metrics()
    assert found["mse"] == pytest.approx((1 + 0 + 9) / 3)
    assert found["mae"] == pytest.approx(4 / 3)
    assert found["rmse"] == pytest.approx((1000 / 3) ** 0.5)
    assert found["smape"] == pytest.approx(((200 / 3 + 0) / 2 + 200 * 3 / 5) / 2)
    assert found["mase"] == pytest.approx((5 / 5 + 30 / 10) / 2)
    assert found["coverage"] == pytest.approx(2 / 3)
    assert found["width"] == pytest.approx(2.0)
    pinball = [(0.1 * 0 + 0.9 * 0) + 0.1 * 2, 0.1 + 0.1, 0.1 * 4 + 0.9 * 2]  # both levels of each truth that is there
    assert found["crps"] == pytest.approx(2 * sum(pinball) / 2 / 3)
    np.testing.assert_allclose(scores.by_step()[1], [2.0, 0.0])
    np.testing.assert_allclose(scores.by_window(), [0.5, 3.0])


def test_naive_forecasts_repeat_the_last_season(tmp_path: Path) -> None:
    prepared = prepare(build_recipe(_mapping(_table(tmp_path / "t.csv"))))
    windows = prepared.validation
    assert isinstance(windows, Windows)
    rows = np.array([0, 3])
    found = windows.original(naive_forecast(windows, rows, 4), rows)
    np.testing.assert_allclose(found[1, :, 1], 10 - SEASON[(np.arange(51, 55) + 1) % 4], atol=1e-5)
    assert naive_scores(windows, 4).metrics()["mse"] < 0.01 * naive_scores(windows, 1).metrics()["mse"]
    assert naive_scores(windows, 4).metrics()["mase"] == pytest.approx(1.0, abs=0.6)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ostinato.Run:
    folder = tmp_path_factory.mktemp("forecast")
    mapping = _mapping(
        _table(folder / "t.csv"), strategy="segment", channel_independent=True, output="quantiles", calendar=["weekday"]
    )
    return ostinato.train(recipe=build_recipe(mapping), out=folder / "run", observer=Observer())


def test_a_run_learns_and_reports(run: ostinato.Run) -> None:
    validation = run.summary["validation"]
    naive = naive_scores(_validation(run), 1).metrics()
    assert validation["mae"] < naive["mae"]
    assert validation["interval"] == pytest.approx(0.8)
    page = (run.folder / "report.html").read_text()
    for text in (
        "seasonal naive (4)",
        "Error by step of the horizon",
        "Is recurrence worth it here?",
        "pinball loss",
        "<code>a</code>",
    ):
        assert text in page, text


def test_what_comes_after_the_end_is_drawn_by_date_and_why_not_is_said(run: ostinato.Run) -> None:
    prepared = prepare(run.recipe)
    ahead = forecast_results(run.model, prepared, run.device)["ahead"]
    assert [(one["channel"], one["when"]) for one in ahead["plots"]] == [("a", "2020-03-21"), ("b", "2020-03-21")]
    page = (run.folder / "report.html").read_text()
    assert "Past the end of the data" in page
    assert "from 2020-03-21" in page
    assert re.search(r">\d\d Mar</text>.*>2020</text>", ahead["plots"][0]["plot"]), "dates on the axis"
    assert ">a</text>" in ahead["plots"][0]["plot"], "the channel on the axis"
    gone = run.recipe.model_copy(update={"data": run.recipe.data.model_copy(update={"train": "gone.csv"})})
    without = forecast_results(run.model, replace(prepared, recipe=gone), run.device)["ahead"]
    assert without["plots"] == []
    assert "gone.csv" in without["why_not"]


def _validation(run: ostinato.Run) -> Windows:
    windows = prepare(run.recipe).validation
    assert isinstance(windows, Windows)
    return windows


def test_evaluating_the_third_part_and_another_file(run: ostinato.Run, tmp_path: Path) -> None:
    held_back = run.evaluate()
    assert held_back["num_examples"] == 13
    whole = run.evaluate(_table(tmp_path / "u.csv", 20))
    assert whole["num_examples"] == 20 - 8 - 4 + 1
    again = ostinato.load(run.folder)
    assert again.evaluate() == held_back


def test_no_third_part_no_test(run: ostinato.Run, tmp_path: Path) -> None:
    mapping = _mapping(_table(tmp_path / "t.csv"), split="last", windows_per_epoch=8)
    mapping["training"]["epochs"] = 1
    other = ostinato.train(recipe=build_recipe(mapping), out=tmp_path / "run", observer=Observer())
    with pytest.raises(RunError, match=r"no data to evaluate on: .* has no third part"):
        other.evaluate()


def test_the_future_of_a_file_as_csv_and_json(run: ostinato.Run, tmp_path: Path) -> None:
    path = _table(tmp_path / "u.csv", 40)
    found = CliRunner().invoke(app, ["predict", str(run.folder), "--file", str(path)])
    assert found.exit_code == 0, found.output
    rows = list(csv.DictReader(io.StringIO(found.stdout)))
    assert list(rows[0]) == [
        "series",
        "time",
        "a",
        "a 0.1",
        "a 0.25",
        "a 0.75",
        "a 0.9",
        "b",
        *(f"b {q}" for q in (0.1, 0.25, 0.75, 0.9)),
    ]
    assert [row["time"] for row in rows] == ["2020-02-10", "2020-02-11", "2020-02-12", "2020-02-13"]
    assert float(rows[0]["a 0.1"]) <= float(rows[0]["a"]) <= float(rows[0]["a 0.9"])
    asjson = CliRunner().invoke(app, ["predict", str(run.folder), "--file", str(path), "--json"])
    one = json.loads(asjson.stdout)
    assert one["place"].endswith("u.csv:41")
    assert one["values"][0][0] == pytest.approx(float(rows[0]["a"]), rel=1e-6)


def test_a_resumed_run_ends_as_if_it_had_never_stopped(run: ostinato.Run, tmp_path: Path) -> None:
    mapping = run.recipe.model_dump(mode="json")
    mapping["training"] |= {"epochs": 1, "schedule": "constant"}
    ostinato.train(recipe=build_recipe(mapping), out=tmp_path / "a", observer=Observer())
    resumed = ostinato.resume(tmp_path / "a", {"training.epochs": 3}, observer=Observer())
    for (name, one), (_, other) in zip(resumed.model.named_parameters(), run.model.named_parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0, msg=name)
