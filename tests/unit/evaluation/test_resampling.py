"""Intervals of figures: they are of the very figure that is shown, hold the truth as often as they say, and are paired
where models are compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import Cli
from tests.unit.evaluation.conftest import Trained

from ostinato.baselines.paired import paired_gap
from ostinato.metrics import classification as metrics
from ostinato.metrics.resampling import SUMS, Sums, Units, interval, ratio, with_intervals
from ostinato.metrics.steps import edit_metrics, note_metrics, number_metrics
from ostinato.tasks.language_model.evaluation import text_metrics
from ostinato.tasks.tagging.entity_spans import span_scores


def _random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _metrics(name: str, size: int = 40) -> metrics.Metrics:
    """Some of each kind, of random answers."""
    draw = _random(1)
    tags = [["O", "B-A", "I-A", "B-B"][k] for k in draw.integers(0, 4, 6 * size)]
    rows = [tags[6 * k : 6 * k + 6] for k in range(size)]
    return {
        "classes": lambda: metrics.classification(
            draw.dirichlet([1] * 4, size), draw.integers(0, 3, size), tuple("abcd")
        ),
        "labels": lambda: metrics.multilabel(
            draw.random((size, 3)), (draw.random((size, 3)) > 0.6) * 1.0, tuple("abc")
        ),
        "number": lambda: metrics.regression(draw.normal(9, 1, size), draw.normal(9, 1, size)),
        "numbers": lambda: number_metrics(draw.normal(9, 1, (size, 2)), draw.normal(9, 1, (size, 2))),
        "notes": lambda: note_metrics(draw.random((size, 5)).round(), draw.random((size, 5)).round()),
        "edits": lambda: edit_metrics(draw.integers(0, 3, size).tolist(), draw.integers(1, 9, size).tolist()),
        "spans": lambda: span_scores(rows, [*rows[1:], rows[0]]),
    }[name]()


@pytest.mark.parametrize("kind", ["classes", "labels", "number", "numbers", "notes", "edits", "spans"])
def test_an_interval_is_of_the_figure_that_is_shown(kind: str) -> None:
    found = _metrics(kind)
    shown = [name for name in found[SUMS].names if found.get(name) is not None]
    assert len(shown) >= 2
    for name in shown:
        assert found[SUMS].of(name) == pytest.approx(found[name], rel=1e-12)
    limits = with_intervals(found)["intervals"]
    assert set(limits) == set(shown)
    for name, (low, high) in limits.items():
        assert low < found[name] < high
    json.dumps(with_intervals(found))


@pytest.mark.parametrize(
    ("figure", "truth", "draw", "count"),
    [
        ("accuracy", 0.8, lambda d, n: (d.random(n) < 0.8) * 1.0, 30),
        ("accuracy", 0.95, lambda d, n: (d.random(n) < 0.95) * 1.0, 100),
        ("rmse", 2.0, lambda d, n: d.normal(0, 2, n) ** 2, 20),
    ],
)
def test_the_truth_is_inside_about_as_often_as_is_said(
    figure: str, truth: float, draw: Callable[[np.random.Generator, int], np.ndarray], count: int
) -> None:
    figures = {"accuracy": ratio(0, 1), "rmse": lambda sums: np.sqrt(sums[..., 0] / sums[..., 1])}
    held, random = 0, _random(7)
    for _ in range(200):
        sums = Sums(np.stack([draw(random, count), np.ones(count)], axis=1), {figure: figures[figure]})
        low, high = sums.intervals()[figure]
        held += low <= truth <= high
    assert 180 <= held < 200


def test_rows_that_are_drawn_together_give_a_wider_interval() -> None:
    right = np.repeat(_random().random(40) < 0.7, 25)
    alone, together = Units.rows(1000), Units.rows(40).steps(np.full(40, 25))
    each, rows = (Sums(units.sums(right, np.ones(1000)), {"a": ratio(0, 1)}) for units in (alone, together))
    (low, high), (lower, higher) = each.intervals()["a"], rows.intervals()["a"]
    assert higher - lower > 3 * (high - low)


def test_very_many_rows_are_drawn_in_a_thousand_parts() -> None:
    right = _random().random(50_000) < 0.9
    sums = Sums(Units.rows(50_000).sums(right, np.ones(50_000)), {"accuracy": ratio(0, 1)})
    assert sums.values.shape == (1000, 2)
    low, high = sums.intervals()["accuracy"]
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.9 * 0.1 / 50_000), rel=0.15)
    neighbours = Units.stretches(5_000)
    assert neighbours.of.tolist() == np.repeat(np.arange(1000), 5).tolist()


def test_all_right_is_not_certain() -> None:
    all_right = metrics.classification(np.eye(2)[[0, 1] * 30], np.asarray([0, 1] * 30), ("a", "b"))
    found = with_intervals(all_right)["intervals"]
    assert found == {"accuracy": [pytest.approx(0.025 ** (1 / 60)), 1.0]}


def test_of_few_rows_there_is_no_interval() -> None:
    assert "intervals" not in with_intervals(metrics.regression(np.arange(7.0), np.arange(7.0) + 1))
    assert interval(7, lambda times: times.sum(-1)) is None


def test_a_comparison_is_of_the_figure_that_is_shown() -> None:
    """One large error: the model that has it is worse by RMSE and better by the mean of the rows' errors."""
    draw = _random(5)
    small, large = draw.normal(0, 1.0, 400), draw.normal(0, 0.6, 400)
    large[::20] = 6.0
    first, second = (metrics.regression(errors, np.zeros(400)) for errors in (small, large))
    assert first["rmse"] < second["rmse"]
    assert first["mae"] > 0.9 * second["mae"]
    gap = paired_gap(first[SUMS], second[SUMS], "rmse", lower_is_better=True)
    assert gap.verdict == "better"
    assert gap.mean == pytest.approx(second["rmse"] - first["rmse"])


def test_the_interval_of_a_difference_in_macro_f1_holds_the_difference() -> None:
    draw = _random(2)
    truth = draw.integers(0, 18, 250)
    said = [np.where(draw.random(250) < share, truth, draw.integers(0, 18, 250)) for share in (0.7, 0.6)]
    found = [metrics.classification(np.eye(18)[one], truth, tuple("abcdefghijklmnopqr")) for one in said]
    gap = paired_gap(found[0][SUMS], found[1][SUMS], "f1", lower_is_better=False)
    assert gap.mean == pytest.approx(found[0]["f1"] - found[1]["f1"])
    assert gap.low is not None
    assert gap.high is not None
    assert gap.low < gap.mean < gap.high


def test_equal_answers_are_noise_and_not_unknown() -> None:
    one = metrics.regression(np.arange(30.0), np.zeros(30))[SUMS]
    assert paired_gap(one, one, "rmse", lower_is_better=True).verdict == "noise"


@pytest.mark.parametrize(("kind", "figure"), [("four", "accuracy"), ("number", "rmse")])
def test_a_run_s_figures_have_intervals(trained: Callable[[str], Trained], kind: str, figure: str) -> None:
    run, _ = trained(kind)
    known = run.summary["validation"]
    low, high = known["intervals"][figure]
    assert low <= known[figure] <= high
    page = run.report().read_text("utf-8")
    assert page.count("(95 % interval)") >= 1


def test_a_text_is_drawn_in_stretches(trained: Callable[[str], Trained]) -> None:
    nll, counts = _random().gamma(100, 2, 60), np.full(60, 100)
    found = with_intervals(text_metrics(nll, counts, trained("characters").run.features))
    assert set(found["intervals"]) == {"nats_per_token", "bits_per_character", "perplexity"}
    low, high = found["intervals"]["nats_per_token"]
    assert low < 2.0 < high
    assert np.exp([low, high]) == pytest.approx(found["intervals"]["perplexity"], rel=0.01)


def test_an_evaluation_is_shown_and_saved_with_its_intervals(
    trained: Callable[[str], Trained], cli: Cli, tmp_path: Path
) -> None:
    run, prepared = trained("two")
    printed = cli("evaluate", run.folder, prepared.recipe.data.train)
    assert printed.code == 0, printed.err
    assert "95 % interval" in printed.out
    saved = json.loads((run.folder / "evaluation.json").read_text("utf-8"))
    assert saved["confidence"] == 0.95
    assert saved["data"] == prepared.recipe.data.train
    low, high = saved["intervals"]["accuracy"]
    assert f"{low:.4f} to {high:.4f}" in printed.out
