"""The model for new data has learnt from all rows; what a run says of itself is of the model before."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from ostinato.api import resume
from ostinato.crossvalidation import crossvalidate
from ostinato.data.dataset import Prepared
from ostinato.data.forecasting.windows import as_windows
from ostinato.recipe import build_recipe
from ostinato.run import Run, load
from ostinato.tasks.classification import training as classification
from ostinato.tasks.forecasting.blending import fit_path
from ostinato.tasks.prepare import prepare
from ostinato.training.progress import Observer
from ostinato.training.run_folder import MODEL_FILE, SUMMARY_FILE, VALIDATED_FILE
from ostinato.training.train import train_recipe
from ostinato.training.weights import weights_of

TEXT = "".join(f"line {number} of {number % 7}: nothing is said twice {number * number}\n" for number in range(60))


def _loss(run: Run, model: Any) -> float:
    prepared = prepare(run.recipe)
    return float(run.spec.final_metrics(model, prepared.validation, run.features, run.recipe, run.device)["loss"])


def _flips(folder: Path, num_rows: int = 24, **training: Any) -> dict[str, Any]:
    """Rows of numbers whose classes are coin flips, which can only be learnt by heart."""
    draw = np.random.default_rng(3)
    rows = [draw.normal(size=(6, 1)).round(2).tolist() for _ in range(num_rows)]
    frame = pl.DataFrame({"x": rows, "y": ["heads" if flip else "tails" for flip in draw.integers(0, 2, num_rows)]})
    frame.write_parquet(folder / "flips.parquet")
    return {
        "data": {"train": str(folder / "flips.parquet"), "validation": 0.25, "input": "x", "target": "y"},
        "model": {"hidden_size": 8, "cell": "gru"},
        "training": {"epochs": 27, "num_threads": 1, "learning_rate": 0.1, "keep": "last", "refit": "all", **training},
    }


def _trained(folder: Path, recipe: dict[str, Any], observer: Observer | None = None) -> Run:
    return load(train_recipe(build_recipe(recipe), folder, observer or Observer()))


def test_counts_of_a_text_are_of_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    recipe = {
        "data": {"train": str(tmp_path / "text.txt")},
        "model": {"task": "language_model", "hidden_size": 8, "embedding_dim": 4, "ngrams": 3},
        "training": {"steps": 3, "batch_size": 2, "bptt": 16, "num_threads": 1, "refit": "solved"},
    }
    run = _trained(tmp_path / "run", recipe)
    prepared, before = prepare(run.recipe), run.validated()
    assert int(before.ngrams.counts.sum()) < int(run.model.ngrams.counts.sum())
    whole = prepared.whole.sequences.values
    assert len(whole) == len(TEXT)
    assert run.features.text.decode(whole) == TEXT
    assert _loss(run, before) == pytest.approx(run.summary["validation"]["loss"])
    assert _loss(run, run.model) < 0.9 * _loss(run, before)  # it has counted what it is asked
    assert "all figures of the run are of the model before" in run.summary["notes"][-1]
    assert math.isclose(run.baselines(0.0).own.metrics["loss"], run.summary["validation"]["loss"], rel_tol=1e-6)


def test_counts_of_what_is_written_are_of_all_rows(tmp_path: Path) -> None:
    rows = "".join(f"{'ab'[n % 2]},{'nanana' if n % 2 else 'lolo'}{n % 7}\n" for n in range(60))
    (tmp_path / "a.csv").write_text("kind,name\n" + rows)
    recipe = {
        "data": {"train": str(tmp_path / "a.csv"), "input": "kind", "target": "name"},
        "model": {"task": "conditional", "hidden_size": 4, "embedding_dim": 4, "ngrams": 3},
        "features": {"input": {"kind": "category"}, "target": {"kind": "text", "unit": "characters"}},
        "training": {"epochs": 2, "num_threads": 1, "refit": "solved", "learning_rate": 0.05},
    }
    run = _trained(tmp_path / "run", recipe)
    counted = [int(model.tokens.ngrams.counts.sum()) for model in (run.validated(), run.model)]
    assert counted[0] < counted[1]
    assert _loss(run, run.validated()) == pytest.approx(run.summary["validation"]["loss"])
    found = run.baselines(0.0)
    assert "cross-fitted" in found.scored  # each half of the rows by the epoch that the other chose
    assert len(run.halves()) == 2


def test_of_few_rows_all_is_trained_again(tmp_path: Path) -> None:
    shown = _Shown()
    run = _trained(tmp_path / "run", _flips(tmp_path), shown)
    assert (shown.steps, shown.figures) == (54, 27)  # of rows that it learns from, none is shown
    held_out = prepare(run.recipe).validation
    figure = run.summary["validation"]
    assert _loss(run, run.validated()) == pytest.approx(figure["loss"])
    assert run.baselines(0.0).own.metrics["accuracy"] == pytest.approx(figure["accuracy"])
    known = run.spec.evaluate(run.model, held_out, run.features, run.recipe, run.device)
    assert known["accuracy"] > figure["accuracy"]  # by heart
    assert not (run.folder / "refit").exists()


def test_what_is_solved_apart_is_solved_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [f"{'good' if n % 2 else 'bad'} day {n % 5},{'p' if n % 2 else 'q'}" for n in range(30)]
    (tmp_path / "a.csv").write_text("x,y\n" + "\n".join(words) + "\n")
    solved: list[int] = []
    monkeypatch.setattr(classification, "solve", _counting(classification.solve, solved))
    recipe = {
        "data": {"train": str(tmp_path / "a.csv"), "input": "x", "target": "y"},
        "model": {"hidden_size": 4, "embedding_dim": 4, "ngrams": 2, "ngram_buckets": 1024},
        "training": {"epochs": 2, "num_threads": 1, "keep": "last", "refit": "all"},
    }
    run = _trained(tmp_path / "run", recipe)
    assert solved == [26, 30]  # rows: of the training part, and of all
    before, after = (weights_of(model) for model in (run.validated(), run.model))
    changed = {name.partition(".")[0] for name, one in after.items() if not torch.equal(one, before[name])}
    assert {"encoder", "output", "ngrams"} <= changed


def _counting(solve: Callable[..., bool], rows: list[int]) -> Callable[..., bool]:
    def counted(model: Any, prepared: Prepared, device: Any) -> bool:
        found = solve(model, prepared, device)
        rows.extend([len(prepared.train)] * found)
        return found

    return counted


class _Shown(Observer):
    """How often validation rows were said to be scored."""

    def __init__(self) -> None:
        self.steps, self.figures = 0, 0

    def step(self, event: dict[str, Any], progress: float) -> None:
        self.steps += 1

    def validation(self, event: dict[str, Any]) -> None:
        self.figures += 1


class _Dies(Observer):
    """Ends the process, so to speak, at the last step of a second training."""

    def __init__(self, at: int) -> None:
        self._at, self._steps = at, 0

    def step(self, event: dict[str, Any], progress: float) -> None:
        self._steps += 1
        if self._steps == self._at:
            raise RuntimeError("the power fails")


def test_a_refit_that_was_interrupted_ends_in_the_same_weights(tmp_path: Path) -> None:
    recipe = _flips(tmp_path, checkpoint_steps=15, max_minutes=5, clock="processor", patience=100)
    whole = _trained(tmp_path / "whole", recipe)
    with pytest.raises(RuntimeError, match="the power fails"):
        _trained(tmp_path / "cut", recipe, _Dies(27 + 20))
    assert not (tmp_path / "cut" / SUMMARY_FILE).is_file()
    found = resume(tmp_path / "cut", observer=Observer())
    for name in (MODEL_FILE, VALIDATED_FILE):
        assert (found.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_a_linear_map_is_solved_with_the_last_steps_too(tmp_path: Path) -> None:
    steps = np.arange(240)
    values = np.sin(steps / 4) + np.where(steps > 200, 0.02 * (steps - 200), 0)
    pl.DataFrame({"time": steps, "y": values}).write_csv(tmp_path / "wave.csv")
    recipe = {
        "data": {"train": str(tmp_path / "wave.csv")},
        "model": {"task": "forecasting", "hidden_size": 4, "lookback": 12, "horizon": 3, "blend": "auto"},
        "training": {"steps": 5, "num_threads": 1, "refit": "solved"},
    }
    run = _trained(tmp_path / "run", recipe)
    prepared, before = prepare(run.recipe), run.validated()
    assert _loss(run, before) == pytest.approx(run.summary["validation"]["loss"])
    windows = as_windows(prepared.whole)
    assert len(windows) == len(prepared.train) + len(prepared.validation)
    fit_path(before, windows)
    assert np.array_equal(before.linear.weight.numpy(force=True), run.model.linear.weight.numpy(force=True))


def test_a_fold_stays_held_out(tmp_path: Path) -> None:
    recipe = _flips(tmp_path, epochs=1)
    folds = crossvalidate(build_recipe(recipe), num_folds=2, out=tmp_path / "run", observer=Observer()).folder
    assert not list(folds.rglob(VALIDATED_FILE))


def test_a_plan_for_data_with_a_validation_file_refits_nothing(tmp_path: Path) -> None:
    recipe = _flips(tmp_path)
    recipe["data"]["validation"] = recipe["data"]["train"]
    recipe["training"] = {"steps": 2}
    planned = prepare(build_recipe(recipe)).recipe.training
    assert (planned.refit, planned.keep) == ("none", "last")
