"""A fair verdict: what chose an epoch does not score it, of few rows baselines are cross-validated, areas have
intervals."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from ostinato.baselines.base import BaselineComparison
from ostinato.baselines.found import Baselines
from ostinato.baselines.paired import unpaired_gap
from ostinato.data.dataset import Examples, Prepared
from ostinato.data.places import Places
from ostinato.data.sequences import Sequences
from ostinato.metrics import classification as metrics
from ostinato.metrics.resampling import SUMS, Units, halves, with_intervals
from ostinato.recipe import build_recipe
from ostinato.run import Run, load
from ostinato.tasks import baselines as registry
from ostinato.training.halves import HALVES_FILE, Halves, weights_of_halves
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe

ROWS, EPOCHS = 60, 20


class _Guess(nn.Module):
    """A model of coin flips: its answers are those of one of many tables."""

    def __init__(self, tables: np.ndarray) -> None:
        super().__init__()
        self.tables, self.epoch = tables, nn.Parameter(torch.zeros(()))

    def answers(self) -> np.ndarray:
        said: np.ndarray = np.eye(2)[self.tables[int(self.epoch)]]
        return said


class _Comparison(BaselineComparison):
    by_row, lower_is_better, figure = True, False, "accuracy"

    def answers(self, examples: Examples) -> np.ndarray:
        return cast("_Guess", self.model).answers()

    def scores(self, answers: Any) -> metrics.Metrics:
        return metrics.classification(answers, np.asarray(self.validation.targets), ("heads", "tails"))


def _flips(seed: int) -> tuple[np.ndarray, _Guess, Prepared]:
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, 2, ROWS)
    sequences = Sequences.from_lengths(np.zeros(ROWS, dtype=np.int32), np.ones(ROWS, dtype=np.int64))
    rows = Examples(sequences, truth, Places(), np.arange(ROWS))
    prepared = SimpleNamespace(validation=rows, train=rows)
    return truth, _Guess(draw.integers(0, 2, (EPOCHS, ROWS))), cast("Prepared", prepared)


def test_coin_flips_show_no_advantage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of twenty epochs of guesses the best one looks good on the rows that chose it, and on no others."""
    monkeypatch.setattr(registry, "replace", lambda one, **_: one)
    training = _training()
    spec = cast("Any", SimpleNamespace(decide=lambda *_: None))
    flattered, fair, summed = [], [], []
    for seed in range(80):
        truth, model, prepared = _flips(seed)
        kept = Halves(training, model)
        for epoch in range(EPOCHS):
            model.epoch.data.fill_(epoch)
            kept.see(metrics.classification(model.answers(), truth, ("heads", "tails")), model)
        flattered.append((model.tables == truth).mean(axis=1).max())
        chosen = [_Guess(model.tables) for _ in range(2)]
        for one, weights in zip(chosen, kept._chosen, strict=True):
            one.load_state_dict(weights)
        comparison = _Comparison(model, prepared, torch.device("cpu"))
        found = registry._crossed(spec, comparison, chosen)
        fair.append(comparison.scores(found)["accuracy"])
        again = Halves(training, model)
        again.restore(kept.tensors())
        assert again.crossfitted == kept.crossfitted
        summed.append(kept.crossfitted)
    np.testing.assert_allclose(summed, fair)  # what training notes is what the models say
    assert np.mean(flattered) > 0.6
    assert abs(np.mean(fair) - 0.5) < 3 * 0.5 / np.sqrt(80 * ROWS)


def test_an_answer_is_of_the_model_that_its_row_did_not_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "replace", lambda one, **_: one)
    _, model, prepared = _flips(0)
    model.tables = np.stack([np.zeros(ROWS, dtype=np.int64), np.ones(ROWS, dtype=np.int64)])
    by_first, by_second = _Guess(model.tables), _Guess(model.tables)
    by_second.epoch.data.fill_(1)
    comparison = _Comparison(model, prepared, torch.device("cpu"))
    spec = cast("Any", SimpleNamespace(decide=lambda *_: None))
    found = registry._crossed(spec, comparison, [by_first, by_second])
    assert found is not None
    assert found.argmax(axis=1).tolist() == halves(ROWS).astype(int).tolist()  # second's answers on the first half


def _train(folder: Path, num_rows: int, validation: float, **training: Any) -> Run:
    """A run on coin flips, of which it learns its training rows by heart."""
    draw = np.random.default_rng(2)
    rows = [draw.normal(size=6).round(2).tolist() for _ in range(num_rows)]
    frame = pl.DataFrame({"x": rows, "y": ["heads" if flip else "tails" for flip in draw.integers(0, 2, num_rows)]})
    frame.write_parquet(folder / "flips.parquet")
    data = {"train": str(folder / "flips.parquet"), "validation": validation, "input": "x", "target": "y"}
    given = {"epochs": 8, "num_threads": 1, "learning_rate": 0.03, "monitor": "accuracy", **training}
    train_recipe(
        build_recipe({"data": data, "model": {"hidden_size": 8}, "training": given}), folder / "run", Observer()
    )
    return load(folder / "run")


def test_a_run_is_compared_by_what_it_did_not_choose(tmp_path: Path) -> None:
    run = _train(tmp_path, 80, 0.5)
    assert [set(one) for one in weights_of_halves(run.folder)] == [set(dict(run.model.named_parameters()))] * 2
    found = run.baselines(0.0)
    assert "cross-fitted" in found.scored
    assert found.own.metrics["accuracy"] < run.summary["validation"]["accuracy"]
    assert Baselines.from_dict(found.to_dict()) == found
    (run.folder / HALVES_FILE).unlink()
    flattered = run.baselines(0.0)
    assert "which flatters it a little" in flattered.scored
    assert flattered.own.metrics["accuracy"] == pytest.approx(run.summary["validation"]["accuracy"])


def test_where_the_last_epoch_is_kept_nothing_is_to_be_crossed(tmp_path: Path) -> None:
    run = _train(tmp_path, 40, 0.5, keep="last", epochs=1)
    assert not (run.folder / HALVES_FILE).is_file()
    assert run.baselines(0.0).own.metrics["accuracy"] == pytest.approx(run.summary["validation"]["accuracy"])


def test_a_summary_says_what_the_choice_of_an_epoch_gained(tmp_path: Path) -> None:
    summary = _train(tmp_path, 80, 0.5).summary
    assert summary["crossfitted"]["accuracy"] < summary["validation"]["accuracy"]


def test_taggers_and_forecasters_are_crossed_too(tmp_path: Path) -> None:
    draw = np.random.default_rng(4)
    rows = [draw.integers(0, 9, 6) for _ in range(60)]
    lines = [f"{' '.join(map(str, row))}\t{' '.join(draw.choice(['A', 'B'], 6))}" for row in rows]
    (tmp_path / "tags.tsv").write_text("\n".join(["words\ttags", *lines]))
    training = {"epochs": 12, "num_threads": 1, "learning_rate": 0.05}
    tags = {
        "data": {"train": str(tmp_path / "tags.tsv"), "input": "words", "target": "tags", "validation": 0.5},
        "features": {"target": {"kind": "tags"}},
        "model": {"task": "tagging", "hidden_size": 8},
        "training": training,
    }
    pl.DataFrame({"time": range(200), "y": draw.normal(size=200)}).write_csv(tmp_path / "noise.csv")
    noise = {
        "data": {"train": str(tmp_path / "noise.csv"), "validation": 0.4},
        "model": {"task": "forecasting", "hidden_size": 8, "lookback": 8, "horizon": 2},
        "training": training,
    }
    for recipe in (tags, noise):
        run = load(train_recipe(build_recipe(recipe), tmp_path / f"run-{recipe['model']['task']}", Observer()))
        assert run.summary["crossfitted"]["loss"] > run.summary["validation"]["loss"]  # there is nothing to learn
        found = run.baselines(0.0)
        assert "cross-fitted" in found.scored
        assert found.own.metrics[found.figure] != run.summary["validation"][found.figure]


def test_of_three_validation_rows_baselines_are_cross_validated(tmp_path: Path) -> None:
    run = _train(tmp_path, 40, 0.075, epochs=1)
    found = run.baselines(30.0)
    assert found.num_units == 3
    for one in found.baselines:
        assert one.folds is not None
        assert (one.folds.num_folds, one.folds.num_rows) == (5, 37)
        assert one.gap is not None
        assert one.gap.low is not None
    best = max(found.baselines, key=lambda one: one.folds.metrics["accuracy"] if one.folds else 0.0)
    assert best.folds is not None
    assert f"{100 * best.folds.metrics['accuracy']:.1f} % accuracy" in found.conclusion
    assert "95 % interval, of 3 rows against 5 folds of 37 training rows" in found.conclusion
    assert Baselines.from_dict(found.to_dict()) == found


def test_few_rows_that_are_all_wrong_are_behind() -> None:
    assert unpaired_gap(0.0, 3, 0.95, 40).verdict == "worse"
    assert unpaired_gap(1.0, 3, 0.95, 40).verdict == "noise"
    gap = unpaired_gap(56 / 70, 70, 48 / 80, 80)  # Newcombe 1998, table II, row (a), method 10
    assert (gap.low, gap.high) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))


def test_areas_and_calibration_have_intervals_that_hold_the_truth() -> None:
    """AUC of scores about 0 and 1 with deviation 1: 0.7602."""
    held = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        truth = draw.integers(0, 2, 100)
        second = 1 / (1 + np.exp(-(draw.normal(size=100) + truth - 0.5)))
        found = metrics.classification(np.stack([1 - second, second], axis=1), truth, ("a", "b"))
        limits = with_intervals(found)["intervals"]
        assert {"auc", "average_precision", "calibration_error", "log_loss"} < set(limits)
        held += limits["auc"][0] <= 0.7602 <= limits["auc"][1]
    assert 53 <= held < 60


def test_areas_of_many_rows_and_classes_are_those_of_the_table() -> None:
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 4, 3000)
    said = draw.dirichlet([1] * 4, 3000) + 0.3 * np.eye(4)[truth]
    found = metrics.classification(said / said.sum(axis=1, keepdims=True), truth, tuple("abcd"))
    for name in ("auc", "average_precision"):
        assert found[SUMS].of(name) == pytest.approx(found[name], abs=2e-3)
    assert Units.rows(3000).count == len(found[SUMS].values) == 1000


@pytest.mark.parametrize("change", [{"keep": "last"}, {"monitor": "f1"}])
def test_halves_are_kept_of_what_is_watched(change: dict[str, Any]) -> None:
    truth, model, _ = _flips(1)
    found = metrics.classification(model.answers(), truth, ("heads", "tails"))
    kept = Halves(_training(**change), model)
    kept.see(found, model)
    kept.see({name: value for name, value in found.items() if name != SUMS}, model)
    assert bool(kept.tensors()) is ("monitor" in change)
    again = Halves(_training(**change), model)
    again.restore(kept.tensors())
    assert {name: one.tolist() for name, one in again.tensors().items()} == {
        name: one.tolist() for name, one in kept.tensors().items()
    }
    again.forget()
    assert not again.tensors()


def _training(**settings: Any) -> Any:
    """The section of a recipe."""
    return build_recipe({"training": {"monitor": "accuracy", **settings}}).training


def test_areas_of_labels_that_few_draws_hold_have_intervals_without_a_warning() -> None:
    probabilities = np.random.default_rng(0).uniform(size=(24, 2))
    for num_rare in (1, 0):
        truth = np.stack([np.arange(24) < num_rare, np.arange(24) == 7], axis=1)
        found = with_intervals(metrics.multilabel(probabilities, truth.astype(float), ("rare", "rare, too")))
        low, high = found["intervals"]["auc"]
        assert 0 <= low <= found["auc"] <= high <= 1
    nothing = metrics.multilabel(probabilities, np.zeros((24, 2)), ("never", "never, either"))
    assert nothing["auc"] is None
    assert "auc" not in with_intervals(nothing).get("intervals", {})
