"""Temperature, threshold and abstention of classifiers: fitted on validation rows, saved, and applied everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import Cli
from tests.unit.evaluation.conftest import Trained

from ostinato.errors import RecipeError, RunError
from ostinato.metrics import classification as metrics
from ostinato.metrics.decisions import Decisions, best_threshold, fit_share, fit_temperature
from ostinato.recipe import build_recipe
from ostinato.run import Run, load
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe


def _sure(count: int, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `factor` times as large as they should be, and classes."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(count, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return factor * logits, (shares.cumsum(axis=1) < random.random((count, 1))).sum(axis=1)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_is_too_sure(factor: float) -> None:
    logits, truth = _sure(4000, factor)
    assert fit_temperature(logits, truth) == pytest.approx(factor, rel=0.1)


def test_few_rows_that_are_all_right_are_no_proof_of_certainty() -> None:
    assert fit_temperature(4 * np.eye(2)[[0, 1] * 5], np.asarray([0, 1] * 5)) > 0.7


def test_what_is_too_sure_of_itself_counts_for_less() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(2, size=400)
    signs = np.where(np.stack([truth == 0, truth == 1], axis=1), 1.0, -1.0)
    good, loud = signs + random.normal(size=(400, 2)), 10 * random.normal(size=(400, 2))
    assert fit_share(good, loud, truth) > 0.85
    assert fit_share(loud, good, truth) < 0.15
    assert fit_share(good, good, truth) == 0.5


def test_the_threshold_is_that_of_the_best_f1() -> None:
    random = np.random.default_rng(1)
    positive = random.random(200) < 0.2
    scores = np.clip(0.25 * positive + random.random(200) * 0.5, 0.01, 0.99)
    found = best_threshold(scores, positive)
    assert found is not None

    def f1(at: float) -> float:
        said = scores >= at
        return float(2 * (said & positive).sum() / (said.sum() + positive.sum()))

    assert f1(found) == max(f1(at) for at in scores)
    assert best_threshold(scores, np.zeros(200, dtype=bool)) is None


def test_a_threshold_and_abstention_by_hand() -> None:
    probabilities = np.asarray([[0.7, 0.3], [0.55, 0.45], [0.1, 0.9], [0.95, 0.05]])
    truth = np.asarray([1, 0, 1, 0])
    decisions = Decisions(threshold=0.3, abstain=0.5)
    assert decisions.chosen(probabilities).tolist() == [1, 1, 1, 0]
    assert decisions.given(probabilities).tolist() == [False, False, True, True]
    found = metrics.classification(probabilities, truth, ("no", "yes"), decisions)
    assert found["accuracy"] == pytest.approx(3 / 4)
    assert (found["answered"], found["accuracy_answered"]) == (0.5, 1.0)
    assert "answered" not in metrics.classification(probabilities, truth, ("no", "yes"))


@pytest.mark.parametrize("wrong", [{"threshold": 0.0}, {"threshold": 1.0}, {"abstain": 1.5}])
def test_what_is_no_probability_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match=next(iter(wrong))):
        Decisions(**wrong)


def _run(folder: Path, **model: Any) -> Run:
    """Of a rare second class."""
    rows = [f"{'rare bad' if k % 9 == 0 else 'fine good'} w{k % 5},{'yes' if k % 9 == 0 else 'no'}" for k in range(150)]
    (folder / "rows.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    recipe = {
        "data": {"train": str(folder / "rows.csv"), "input": "text", "target": "label"},
        "model": {"hidden_size": 4, "embedding_dim": 4, **model},
        "training": {"epochs": 2, "num_threads": 1, "baselines_seconds": 0, "learning_rate": 0.01},
    }
    return load(train_recipe(build_recipe(recipe), folder / "run", Observer()))


def test_they_are_saved_and_applied_when_the_run_is_opened(tmp_path: Path, cli: Cli) -> None:
    run = _run(tmp_path, threshold="f1")
    saved = json.loads((run.folder / "decisions.json").read_text("utf-8"))
    assert saved["after"]["log_loss"] <= saved["before"]["log_loss"]
    assert 0 < saved["threshold"] < 1
    known = run.summary["validation"]
    assert known["f1"] > 0.6  # without a threshold nothing is `yes` after so few steps
    assert known["log_loss"] == pytest.approx(saved["after"]["log_loss"])
    said = run.predict(["rare bad w1", "fine good w2"])
    for one in said:
        assert one.label == ("yes" if (one.probabilities or {})["yes"] >= saved["threshold"] else "no")
    page = run.report().read_text("utf-8")
    assert "before probabilities were fitted to these rows" in page
    assert "The answer is <span" in page
    printed = cli("evaluate", run.folder, tmp_path / "rows.csv", "--threshold", "0.999", "--json")
    assert json.loads(printed.out)["per_class"][1]["predicted"] == 0
    (run.folder / "decisions.json").write_text('{"temperature": 1.0, "threshold": 0.1}')
    with pytest.raises(RunError, match="has changed since training"):
        load(run.folder)


def test_a_run_abstains_where_it_is_told_to(tmp_path: Path, cli: Cli) -> None:
    run = _run(tmp_path, calibration="none")
    assert json.loads((run.folder / "decisions.json").read_text("utf-8"))["temperature"] == 1.0
    printed = cli("predict", run.folder, "rare bad w1", "--abstain", "1", "--json")
    said = json.loads(printed.out)
    assert said["abstained"] is True
    assert "label" not in said
    assert set(said["probabilities"]) == {"no", "yes"}
    assert cli("predict", run.folder, "rare bad w1", "--abstain", "1").out.startswith("\t")
    found = json.loads(cli("evaluate", run.folder, tmp_path / "rows.csv", "--abstain", "0", "--json").out)
    assert "answered" not in found
    found = json.loads(cli("evaluate", run.folder, tmp_path / "rows.csv", "--abstain", "1", "--json").out)
    assert (found["answered"], found["accuracy_answered"]) == (0.0, None)
    assert "share of rows answered" in cli("evaluate", run.folder, tmp_path / "rows.csv", "--abstain", "0.6").out


def test_what_has_no_classes_has_nothing_to_decide(trained: Callable[[str], Trained], cli: Cli) -> None:
    for kind in ("number", "labels", "characters"):
        run, _ = trained(kind)
        assert not (run.folder / "decisions.json").exists()
        with pytest.raises(RunError, match="no probabilities of classes"):
            run.decide_as(abstain=0.9)
    four, _ = trained("four")
    with pytest.raises(RecipeError, match="`threshold` only applies with two classes"):
        four.decide_as(threshold=0.4)
    assert cli("evaluate", four.folder, "x.csv", "--threshold", "0.4").code == 1


def test_a_threshold_of_three_classes_is_refused_before_training(tmp_path: Path) -> None:
    rows = "".join(f"word{k},{'abc'[k % 3]}\n" for k in range(60))
    (tmp_path / "three.csv").write_text("text,label\n" + rows)
    data = {"train": str(tmp_path / "three.csv"), "input": "text", "target": "label"}
    with pytest.raises(RecipeError, match=r"`model\.threshold` only applies with two classes"):
        train_recipe(build_recipe({"data": data, "model": {"threshold": 0.3}}), tmp_path / "run", Observer())
