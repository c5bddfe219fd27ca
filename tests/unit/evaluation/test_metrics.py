"""Metrics against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ostinato.metrics import classification as metrics
from ostinato.metrics.resampling import with_intervals

THREE = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6], [0.8, 0.1, 0.1]])
TRUTH = np.array([0, 1, 1, 2, 2])


def test_classification_by_hand():
    found = metrics.classification(THREE, TRUTH, ("a", "b", "c"))
    assert found["num_examples"] == 5
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["confusion"] == [[1, 0, 0], [1, 1, 0], [1, 0, 1]]
    assert found["f1"] == pytest.approx((1 / 2 + 2 / 3 + 2 / 3) / 3)
    assert found["log_loss"] == pytest.approx(-sum(map(math.log, (0.7, 0.6, 0.4, 0.6, 0.1))) / 5)
    assert found["per_class"][0] == {
        "name": "a",
        "precision": pytest.approx(1 / 3),
        "recall": 1.0,
        "f1": pytest.approx(1 / 2),
        "support": 1,
        "predicted": 3,
    }
    # One against the rest. a: above 3 of 4. b: 0.6, 0.4 above all three others. c: pairs (0.6 | 0.1) of 0.1, 0.3, 0.1.
    assert found["auc"] == pytest.approx((3 / 4 + 1 + (3 + 0.5 + 0 + 0.5) / 6) / 3)


def test_a_class_without_examples_counts_in_macro_f1_where_it_is_predicted_and_makes_auc_unknown():
    found = metrics.classification(THREE[:3], TRUTH[:3], ("a", "b", "c"))
    assert found["f1"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    predicted = metrics.classification(np.eye(3)[[0, 1, 2]], np.array([0, 1, 1]), ("a", "b", "c"))
    assert predicted["f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert found["auc"] is None
    assert found["per_class"][2]["support"] == 0


def test_auc_shares_ties():
    scores = np.array([0.1, 0.4, 0.4, 0.8])
    assert metrics.auc(scores, np.array([False, False, True, True])) == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    assert metrics.auc(np.full(4, 0.3), np.array([False, True, False, True])) == pytest.approx(0.5)
    assert metrics.auc(scores, np.array([True, True, False, False])) == pytest.approx(1 - 3.5 / 4)


def test_auc_of_one_class_is_unknown():
    assert metrics.auc(np.array([0.1, 0.9]), np.array([True, True])) is None
    assert metrics.auc(np.array([0.1, 0.9]), np.array([False, False])) is None


def test_auc_of_two_classes_is_that_of_the_second():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.2, 0.8]])
    found = metrics.classification(probabilities, np.array([0, 0, 1, 1]), ("no", "yes"))
    assert found["auc"] == pytest.approx(3 / 4)


def test_calibration_error_by_hand():
    probabilities = np.array([[0.1, 0.9], [0.1, 0.9], [0.65, 0.35], [0.35, 0.65]])
    found = metrics.calibration(probabilities, np.array([1, 0, 0, 1]))
    assert found["bins"] == [
        {"confidence": pytest.approx(0.65), "accuracy": 1.0, "count": 2},
        {"confidence": pytest.approx(0.9), "accuracy": 0.5, "count": 2},
    ]
    assert found["error"] == pytest.approx((2 * 0.35 + 2 * 0.4) / 4)


def test_certain_and_right_is_perfectly_calibrated():
    assert metrics.calibration(np.eye(3), np.arange(3))["error"] == 0.0


def test_multilabel_by_hand():
    probabilities = np.array([[0.9, 0.2], [0.6, 0.7], [0.1, 0.4]])
    found = metrics.multilabel(probabilities, np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), ("x", "y"))
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert found["cell_accuracy"] == pytest.approx(3 / 6)
    assert found["f1"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found["micro_f1"] == pytest.approx(2 * 2 / (3 + 4))
    assert found["auc"] == pytest.approx((1 / 2 + 1) / 2)
    assert [row["support"] for row in found["per_class"]] == [2, 2]


def test_regression_by_hand():
    found = metrics.regression(np.array([1.0, 2.0, 3.0, 6.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert with_intervals(found) == {"num_examples": 4, "mae": 0.5, "rmse": 1.0, "r2": pytest.approx(1 - 4 / 5)}


def test_r2_of_equal_targets_is_unknown():
    assert metrics.regression(np.array([1.0, 2.0]), np.array([3.0, 3.0]))["r2"] is None


def test_language_model_by_hand():
    found = metrics.language_model(8 * math.log(2), 4, characters=True)
    assert found["bits_per_character"] == pytest.approx(2.0)
    assert found["perplexity"] == pytest.approx(4.0)
    assert found["nats_per_token"] == pytest.approx(2 * math.log(2))
    assert "bits_per_token" in metrics.language_model(1.0, 4, characters=False)


def test_perplexity_of_a_hopeless_model_is_a_number():
    assert math.isfinite(metrics.language_model(1e9, 1, characters=True)["perplexity"])


@pytest.mark.parametrize("seed", range(4))
def test_macro_f1_is_that_of_scikit_learn(seed):
    scores = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(seed)
    truth, said = random.integers(0, 3, 12), random.integers(0, 6, 12)
    found = metrics.classification(np.eye(6)[said], truth, tuple("abcdef"))
    assert found["f1"] == pytest.approx(scores.f1_score(truth, said, average="macro", zero_division=0))
