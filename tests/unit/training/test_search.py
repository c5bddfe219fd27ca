"""Successive halving over a plan's portfolio, inside the training part."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from ostinato.api import resume
from ostinato.errors import DataError, RecipeError
from ostinato.recipe import Recipe, apply_overrides, build_recipe
from ostinato.run import load
from ostinato.tasks import folds as folding
from ostinato.tasks.prepare import prepare
from ostinato.tasks.registry import task_of
from ostinato.training import search as searching
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe


class _Told(Observer):
    """What is said; `at`: the note at which Ctrl-C comes with the next step of training."""

    def __init__(self, at: str = "") -> None:
        self.said: list[str] = []
        self._at = at

    def note(self, text: str) -> None:
        self.said.append(text)
        if self._at and text.startswith(self._at):
            handler, self._at = signal.getsignal(signal.SIGINT), ""
            self._before = handler
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def recipe(tmp_path: Path) -> dict[str, Any]:
    """Series whose class is their frequency, with no budget said but a few steps."""
    draw = np.random.default_rng(0)
    rows = [np.sin(np.arange(12) * (1 + n % 2) + draw.uniform(0, 6)).round(3)[:, None].tolist() for n in range(40)]
    pl.DataFrame({"x": rows, "y": ["slow" if n % 2 else "fast" for n in range(40)]}).write_parquet(
        tmp_path / "waves.parquet"
    )
    return {
        "data": {"train": str(tmp_path / "waves.parquet"), "input": "x", "target": "y"},
        "model": {"convolution": {"channels": []}, "random_kernels": 84},
        "training": {"steps": 16, "max_minutes": 2, "num_threads": 1, "search": "portfolio", "refit": "none"},
    }


def test_the_better_half_is_trained_for_twice_as_long(recipe: dict[str, Any], tmp_path: Path) -> None:
    told = _Told()
    run = load(train_recipe(build_recipe(recipe), tmp_path / "run", told))
    tried = [text.removeprefix("search: ").split(",")[0] for text in told.said if "after" in text and "search" in text]
    steps = [text.split()[-2] for text in told.said if text.startswith("search:") and "after" in text]
    assert tried[:4] == ["as planned", "LSTM", "32 units", "a lower learning rate"]
    assert steps == ["4"] * 4 + ["8"] * 2
    figures = [float(text.split()[-4]) for text in told.said if text.startswith("search:") and "after" in text]
    assert tried[4:] == [tried[n] for n in np.argsort(figures[:4], kind="stable")[:2]]
    best = tried[4 + int(np.argmin(figures[4:]))]
    assert run.summary["notes"][-1] == f"search: {best}, of 4 configurations"
    assert run.recipe.training.search == "none"  # trained again, it is the same without
    assert best in str(run.recipe.training.plan)
    assert run.recipe.model.random_kernels  # which the trials did without
    assert not (run.folder / "search").exists()
    again = train_recipe(build_recipe(recipe), tmp_path / "again", Observer())
    assert (again / "model.safetensors").read_bytes() == (run.folder / "model.safetensors").read_bytes()


def test_what_a_user_has_set_stands(recipe: dict[str, Any], tmp_path: Path) -> None:
    recipe["model"] |= {"cell": "elman", "hidden_size": 5}
    told = _Told()
    train_recipe(build_recipe(recipe), tmp_path / "run", told)
    named = {text.split(":")[1].split(",")[0].strip() for text in told.said if text.startswith("search: ")}
    assert named == {"as planned", "a lower learning rate"}


def _folds(recipe: dict[str, Any]) -> list[tuple[Any, Any]]:
    prepared = prepare(build_recipe(recipe))
    return list(task_of(prepared.recipe).folds(prepared))


def test_validation_rows_have_no_part_in_it(recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    train, parts = prepare(build_recipe(recipe)).train, _folds(recipe)
    assert len(parts) == 3
    assert np.array_equal(np.sort(np.concatenate([held.rows for _, held in parts])), np.sort(train.rows))
    for learnt, held in parts:
        assert not set(learnt.rows) & set(held.rows)
        assert abs(float(np.mean(held.targets)) - 0.5) < 0.1  # stratified
    monkeypatch.setattr(folding, "_FEW", 10)
    assert [len(held) for _, held in _folds(recipe)] == [len(train) // 5 + 1]


def test_rows_of_a_group_stay_together(recipe: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "waves.parquet"
    who = [f"p{n % 5}" for n in range(40)]
    pl.read_parquet(path).with_columns(who=pl.Series(who)).write_parquet(path)
    recipe["data"] |= {"group": "who"}
    for learnt, held in _folds(recipe):
        sides = [{who[row] for row in part.rows.tolist()} for part in (learnt, held)]
        assert not sides[0] & sides[1]
        assert all(sides)
    pl.read_parquet(path).with_columns(who=pl.Series(["p"] * 36 + ["q"] * 4)).write_parquet(path)
    with pytest.raises(DataError, match="there is one training group"):
        _folds(recipe)


def test_of_a_text_and_of_series_the_end_is_held_out(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the cat sat on the mat " * 60)
    text: dict[str, Any] = {"data": {"train": str(tmp_path / "a.txt")}, "training": {"steps": 1}}
    ((learnt, held),) = _folds(text)
    values = prepare(build_recipe(text)).train.sequences.values
    assert np.array_equal(np.concatenate([learnt.sequences.values, held.sequences.values]), values)
    assert len(learnt.sequences.values) == int(0.8 * len(values))
    rows = "".join(f"{name},{step},{step + 1000 * (name == 'b')}\n" for name in "ab" for step in range(100))
    (tmp_path / "t.csv").write_text("name,time,value\n" + rows)
    series = {"train": str(tmp_path / "t.csv"), "series": "name", "time": "time", "channels": ["value"]}
    model = {"task": "forecasting", "horizon": 4, "lookback": 6, "scaling": "none"}
    ((early, late),) = _folds({"data": series, "model": model, "training": {"steps": 1}})
    assert early.sequences.lengths.tolist() == [72, 72]  # of 90: what is solved for sees no more
    for part, first, last in ((early, 6, 72), (late, 72, 90)):
        batch = part.batch(np.arange(len(part)))
        targets = batch.targets.values[:, 0]
        assert (targets[targets < 1000].min(), targets[targets < 1000].max() + 1) == (first, last)
        assert (targets[targets >= 1000].min() - 1000, targets[targets >= 1000].max() - 999) == (first, last)
        assert part.location(len(part) - 1).endswith(f":{100 + 2 + last - 4}")


def test_of_an_interrupted_search_the_best_so_far_is_kept(recipe: dict[str, Any], tmp_path: Path) -> None:
    told = _Told(at="search: LSTM")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            train_recipe(build_recipe(recipe), tmp_path / "run", told)
    finally:
        signal.signal(signal.SIGINT, before)
    assert any("so far: interrupted" in text for text in told.said)
    run = resume(tmp_path / "run", observer=Observer())
    assert run.summary["steps"] == 16
    assert "so far: interrupted" in run.summary["notes"][-1]


def test_a_search_needs_a_plan(recipe: dict[str, Any]) -> None:
    recipe["training"] |= {"epochs": 2}
    with pytest.raises(RecipeError, match=r"`training.search` only applies with a plan"):
        build_recipe(recipe)


def test_a_search_needs_something_to_try(recipe: dict[str, Any], tmp_path: Path) -> None:
    recipe["model"] |= {"cell": "gru", "hidden_size": 5}
    recipe["training"] |= {"learning_rate": 0.01}
    with pytest.raises(RecipeError, match=r"`training.search` has nothing to try.*model.cell, model.hidden_size"):
        train_recipe(build_recipe(recipe), tmp_path / "run", Observer())
    assert not (tmp_path / "run").exists()


def test_what_would_be_as_planned_is_not_tried_again(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = build_recipe(recipe)
    ruled_out = {"another order": {"model.zoneout": [2.0]}, "slower": {"training.learning_rate": 1e-4}}
    monkeypatch.setattr(type(task_of(prepare(asked).recipe)), "portfolio", lambda *_: ruled_out)
    search = searching.Search.of(prepare(asked), asked)
    assert search is not None
    assert list(search.candidates) == ["as planned", "slower"]


def test_the_steps_that_minutes_allowed_are_said(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = build_recipe(recipe)
    search = searching.Search.of(prepare(asked), asked)
    assert search is not None
    short = apply_overrides(search._trial(prepare(asked).recipe, 2).model_dump(), {"training.max_minutes": 1e-9})
    assert search._score(build_recipe(short), tmp_path / "trial", torch.device("cpu"))[1] == 1


def test_what_memory_does_not_allow_is_left_out(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(spec: object, recipe: Recipe, features: object) -> None:
        if recipe.model.hidden_size > 16:
            raise RecipeError("the model has many parameters")

    monkeypatch.setattr(searching, "check_memory", check)
    told = _Told()
    train_recipe(build_recipe(recipe), tmp_path / "run", told)
    assert "search: 32 units is left out: the model has many parameters" in told.said
    assert any(text.endswith("of 3 configurations") for text in told.said)
    tried = [text for text in told.said if "after" in text]
    assert len(tried) == 3 + 2
    assert not any("32 units" in text for text in tried)


def test_trials_share_the_minutes_and_leave_the_linear_score_out(tmp_path: Path) -> None:
    rows = "".join(f"{text},{label}\n" for text, label in [("good day", "p"), ("bad night", "q")] * 20)
    (tmp_path / "a.csv").write_text("x,y\n" + rows)
    recipe = {"data": {"train": str(tmp_path / "a.csv"), "input": "x", "target": "y"}}
    asked = build_recipe({**recipe, "training": {"search": "portfolio"}})
    prepared = prepare(asked)
    assert prepared.recipe.model_dump()["model"]["ngrams"] == 2
    search = searching.Search.of(prepared, asked)
    assert search is not None
    trial = search._trial(prepared.recipe, 2)
    assert trial.training.max_minutes == pytest.approx(2 / 4 / 3)  # a quarter, for all three folds
    assert trial.training.steps == (prepared.recipe.training.steps or 0) // 4
    assert trial.model_dump()["model"]["ngrams"] == 0
