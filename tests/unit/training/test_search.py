"""Successive halving over a plan's portfolio, inside the training part."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ostinato.api import resume
from ostinato.errors import RecipeError
from ostinato.recipe import build_recipe
from ostinato.run import load
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


def test_validation_rows_have_no_part_in_it(recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = prepare(build_recipe(recipe))
    folds = list(searching._folds(prepared))
    assert len(folds) == 3
    assert np.array_equal(np.sort(np.concatenate([held.rows for _, held in folds])), np.sort(prepared.train.rows))
    for learnt, held in folds:
        assert not set(learnt.rows) & set(held.rows)
        assert abs(float(np.mean(held.targets)) - 0.5) < 0.1  # stratified
    monkeypatch.setattr(searching, "_FEW", 10)
    assert [len(held) for _, held in searching._folds(prepared)] == [len(prepared.train) // 5 + 1]


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


def test_a_text_has_no_portfolio() -> None:
    text = build_recipe({"model": {"task": "language_model"}})
    assert not task_of(text).portfolio(text)
