"""ROC and precision-recall: areas as scikit-learn's, and where a report shows them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.unit.evaluation.conftest import Trained

from ostinato.metrics import classification as metrics
from ostinato.metrics.ranking import Ranking


def test_areas_by_hand() -> None:
    found = Ranking.of(np.asarray([0.9, 0.8, 0.7, 0.6]), np.asarray([True, False, True, False]))
    assert found is not None
    assert found.hits.tolist() == [0, 1, 1, 2, 2]
    assert found.alarms.tolist() == [0, 0, 1, 1, 2]
    assert found.auc == pytest.approx(3 / 4)
    assert found.average_precision == pytest.approx((1 + 2 / 3) / 2)
    recall, precision = found.precision_recall
    assert recall.tolist() == [0.5, 0.5, 1, 1]
    assert precision == pytest.approx([1, 1 / 2, 2 / 3, 1 / 2])


@pytest.mark.parametrize("ties", [2, 1000])
def test_curves_and_areas_are_those_of_scikit_learn(ties: int) -> None:
    theirs = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(ties)
    scores, positive = np.round(random.random(300) * ties) / ties, random.random(300) < 0.3
    found = Ranking.of(scores, positive)
    assert found is not None
    assert found.auc == pytest.approx(theirs.roc_auc_score(positive, scores))
    assert found.average_precision == pytest.approx(theirs.average_precision_score(positive, scores))
    wrong, right, _ = theirs.roc_curve(positive, scores, drop_intermediate=False)
    assert np.stack(found.roc) == pytest.approx(np.stack([wrong, right]))
    precision, recall, _ = theirs.precision_recall_curve(positive, scores)
    assert np.stack(found.precision_recall) == pytest.approx(np.stack([recall, precision])[:, -2::-1])


def test_several_classes_are_the_mean_of_one_against_the_rest() -> None:
    theirs = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    probabilities, truth = random.dirichlet([1, 1, 1], 90), random.integers(0, 3, 90)
    found = metrics.classification(probabilities, truth, ("a", "b", "c"))
    assert found["average_precision"] == pytest.approx(
        theirs.average_precision_score(np.eye(3)[truth], probabilities, average="macro")
    )
    assert found["auc"] == pytest.approx(theirs.roc_auc_score(truth, probabilities, multi_class="ovr"))


def test_one_class_alone_can_not_be_ranked() -> None:
    assert Ranking.of(np.asarray([0.1, 0.2]), np.asarray([True, True])) is None
    assert metrics.classification(np.eye(2)[[0, 1]], np.asarray([1, 1]), ("a", "b"))["average_precision"] is None


@pytest.mark.parametrize(("kind", "numbered"), [("two", False), ("four", True), ("labels", True)])
def test_a_report_shows_both_curves(trained: Callable[[str], Trained], kind: str, numbered: bool) -> None:
    run, prepared = trained(kind)
    results = run.spec.report(run.model, prepared, run.device)
    curves = results["curves"]
    for name in ("roc", "precision_recall"):
        assert curves[name].startswith("<svg")
        assert "<script" not in curves[name]
    assert len(curves["names"]) == (len(results["metrics"]["per_class"]) if numbered else 1)
    rows = results["metrics"]["per_class"]
    assert all(0 <= row["auc"] <= 1 and 0 <= row["average_precision"] <= 1 for row in rows)
    page = run.report().read_text("utf-8")
    assert page.count("average precision") >= 2
