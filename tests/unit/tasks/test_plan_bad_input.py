"""A plan where there is little to plan for: no budget, no data that fit, no memory, and nobody who waits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import Cli

from ostinato.cli.console import saying_how_to_resume
from ostinato.errors import DataError, RecipeError
from ostinato.recipe import described
from ostinato.storage.log import RunLog
from ostinato.tasks import memory
from ostinato.tasks.prepare import prepare

BRIEF = ("--set", "training.steps=3", "--set", "training.num_threads=1", "--set", "training.baselines_seconds=0")


def _table(path: Path, rows: list[tuple[Any, str]]) -> Path:
    path.write_text("x,y\n" + "".join(f'"{x}",{y}\n' for x, y in rows))
    return path


def _days(path: Path, header: str, cells: str) -> Path:
    days = np.datetime64("2024-01-01") + np.arange(120)
    path.write_text(f"{header}\n" + "".join(f"{day},{cells.replace('i', str(i % 7))}\n" for i, day in enumerate(days)))
    return path


@pytest.mark.parametrize("option", ["--minutes", "--epochs", "training.steps", "training.max_minutes"])
def test_a_budget_of_nothing_is_refused(cli: Cli, tmp_path: Path, option: str) -> None:
    data = _table(tmp_path / "t.csv", [([1, 2, 3], "ab"[k % 2]) for k in range(20)])
    given = [option, "0"] if option.startswith("--") else ["--set", f"{option}=0"]
    shown = cli("train", data, "--input", "x", "--target", "y", "--out", tmp_path / "run", *given)
    assert shown.code == 1
    wanted = "a positive integer" if "epochs" in option or "steps" in option else "a positive number"
    assert f"must be {wanted}. Received: 0" in shown.err
    assert not (tmp_path / "run").exists()


def test_one_row_a_class_is_said(tmp_path: Path) -> None:
    data = _table(tmp_path / "t.csv", [(f"text {k}", f"c{k}") for k in range(20)])
    with pytest.raises(DataError, match="column `y` holds another class in each of its 20 rows: none can be held out"):
        prepare(described(str(data), input="x", target="y"))


def test_rows_that_are_all_the_same_are_learnt(cli: Cli, tmp_path: Path) -> None:
    data = _table(tmp_path / "t.csv", [([1.0, 1.0, 1.0], "ab"[k % 2]) for k in range(40)])
    shown = cli("train", data, "--input", "x", "--target", "y", "--out", tmp_path / "run", *BRIEF)
    assert shown.code == 0, shown.err
    assert "it gives the same answer for every row" in shown.err


def test_a_series_that_never_changes_is_forecast(cli: Cli, tmp_path: Path) -> None:
    shown = cli("train", _days(tmp_path / "t.csv", "date,a", "5.0"), "--out", tmp_path / "run", *BRIEF)
    assert shown.code == 0, shown.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert np.isfinite([summary["validation"][name] for name in ("loss", "mse", "rmse")]).all()


def test_a_channel_that_is_empty_is_left_out_and_named(tmp_path: Path) -> None:
    data, said = _days(tmp_path / "t.csv", "date,a,b", "i,"), list[str]()
    recipe: Any = prepare(described(str(data)), said.append).recipe
    assert recipe.data.channels == ("a",)
    assert "not forecast: b (empty)" in said
    asked = {"model.task": "forecasting", "data.channels": ["a", "b"], "data.missing": "mask"}
    with pytest.raises(DataError, match="not a single value in b") as raised:
        prepare(described(str(data), settings=asked))
    assert raised.value.hint == "leave it out: --set 'data.channels=[a]'"


@pytest.mark.parametrize("free", [100_000, 1])
def test_what_memory_does_not_allow_is_planned_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    data = _table(tmp_path / "t.csv", [(f"word{k % 9} and word{k % 4}", "ab"[k % 2]) for k in range(60)])
    monkeypatch.setattr(memory, "free_bytes", lambda _: free)
    prepared = prepare(described(str(data), input="x", target="y", settings={"model.embedding_dim": 16}))
    recipe: Any = prepared.recipe
    assert recipe.model.embedding_dim == 16  # as was asked
    assert recipe.model.hidden_size < 64
    (note,) = (one for one in prepared.notes if "memory does not allow more" in one)
    assert f"model.hidden_size 64 → {recipe.model.hidden_size}" in note
    if free == 1:  # nothing is small enough
        with pytest.raises(RecipeError, match="of memory are free"):
            memory.check_memory(_task(recipe), recipe, prepared.features)
    else:
        memory.check_memory(_task(recipe), recipe, prepared.features)


def _task(recipe: Any) -> Any:
    from ostinato.tasks.registry import task_of

    return task_of(recipe)


@pytest.mark.parametrize("keep", ["best", "last"])
def test_ctrl_c_says_what_is_kept(cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str], keep: str) -> None:
    data = _table(tmp_path / "t.csv", [([k % 2, 1.0, 1.0], "ab"[k % 2]) for k in range(20)])
    run = tmp_path / "run"
    cli("train", data, "--input", "x", "--target", "y", "--out", run, "--set", f"training.keep={keep}", *BRIEF)
    log = RunLog(tmp_path / "run" / "log.jsonl")
    log.cut(0)
    for step, loss in ((5, 0.7), (10, 0.5), (15, 0.6)):
        log.write("validation", {"step": step, "epoch": step, "best": step < 15, "loss": loss})
    capsys.readouterr()
    with pytest.raises(KeyboardInterrupt), saying_how_to_resume():
        raise KeyboardInterrupt(str(tmp_path / "run"))
    said = " ".join(capsys.readouterr().err.split())
    kept = {"best": "loss 0.5, after 10 steps", "last": "loss 0.6, after 15 steps"}[keep]
    assert f"the {keep} weights so far, validation {kept}" in said
    assert "train --resume" in said
