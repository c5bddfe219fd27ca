"""Metrics, in numpy: classification, several labels, regression, language models.

Conventions: `probabilities` (N, K) for K classes or labels (two classes: K = 2); a metric that is not defined (an AUC
with one class present) is None, never a made-up number.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.arrays import Floats, Integers

Metrics = dict[str, Any]

_BINS = 10


def classification(probabilities: Floats, targets: Integers, classes: tuple[str, ...]) -> Metrics:
    """Accuracy, macro F1 (over classes that are true or predicted, as scikit-learn's), AUC (two classes: of the second;
    more: mean of one-against-rest), log loss (nll), calibration error, confusion matrix (rows true, columns predicted)
    and precision, recall and F1 of each class.
    """
    predicted = probabilities.argmax(axis=1)
    count = len(classes)
    confusion = np.bincount(targets * count + predicted, minlength=count * count).reshape(count, count)
    per_class = by_class(confusion, classes)
    present = [row["f1"] for row in per_class if row["support"] or row["predicted"]]
    aucs = [auc(probabilities[:, k], targets == k) for k in ([1] if count == 2 else range(count))]
    known = [a for a in aucs if a is not None]
    picked = np.clip(probabilities[np.arange(len(targets)), targets], 1e-12, 1.0)
    return {
        "num_examples": len(targets),
        "accuracy": float((predicted == targets).mean()),
        "f1": float(np.mean(present)),
        "auc": float(np.mean(known)) if known and len(known) == len(aucs) else None,
        "log_loss": float(-np.log(picked).mean()),
        "calibration_error": calibration(probabilities, targets)["error"],
        "confusion": confusion.tolist(),
        "per_class": per_class,
    }


def by_class(confusion: NDArray[Any], classes: tuple[str, ...]) -> list[Metrics]:
    """Precision, recall and F1 of each class, and how often it was right (support)."""
    counts = zip(confusion.diagonal().tolist(), confusion.sum(0).tolist(), confusion.sum(1).tolist(), strict=True)
    return [
        {"name": name, **precision_recall(*each), "predicted": each[1], "support": each[2]}
        for name, each in zip(classes, counts, strict=True)
    ]


def precision_recall(hits: int, said: int, there: int) -> Metrics:
    """Precision, recall and F1 of what was said rightly, said at all, and there."""
    return {
        "precision": hits / said if said else 0.0,
        "recall": hits / there if there else 0.0,
        "f1": 2 * hits / (said + there) if said + there else 0.0,
    }


def auc(scores: Floats, positive: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve by ranks, ties shared (Mann-Whitney U); None if one class is absent."""
    num_positive = int(positive.sum())
    num_negative = len(positive) - num_positive
    if not num_positive or not num_negative:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative))


def calibration(probabilities: Floats, targets: Integers, bins: int = _BINS) -> Metrics:
    """Confidence of the predicted class against how often it was right, in equal bins; `error` is their mean gap
    weighted by the number of examples (expected calibration error, Guo et al. 2017, arXiv:1706.04599)."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    rows = []
    for b in range(bins):
        inside = which == b
        if inside.any():
            rows.append(
                {
                    "confidence": float(confidence[inside].mean()),
                    "accuracy": float(right[inside].mean()),
                    "count": int(inside.sum()),
                }
            )
    error = sum(row["count"] * abs(row["confidence"] - row["accuracy"]) for row in rows) / max(len(targets), 1)
    return {"error": float(error), "bins": rows}


def multilabel(probabilities: Floats, targets: Floats, labels: tuple[str, ...]) -> Metrics:
    """Micro and macro F1 at 0.5, accuracy over rows (all labels right) and over cells, macro AUC, and each label's."""
    predicted, truth = probabilities >= 0.5, targets >= 0.5
    hits, said, support = (predicted & truth).sum(0), predicted.sum(0), truth.sum(0)
    per_label = [
        {"name": n, **precision_recall(int(h), int(p), int(s)), "predicted": int(p), "support": int(s)}
        for n, h, p, s in zip(labels, hits, said, support, strict=True)
    ]
    aucs = [a for k in range(len(labels)) if (a := auc(probabilities[:, k], truth[:, k])) is not None]
    return {
        "num_examples": len(targets),
        "accuracy": float((predicted == truth).all(axis=1).mean()),
        "cell_accuracy": float((predicted == truth).mean()),
        "f1": float(np.mean([row["f1"] for row in per_label])),
        "micro_f1": precision_recall(int(hits.sum()), int(said.sum()), int(support.sum()))["f1"],
        "auc": float(np.mean(aucs)) if aucs else None,
        "per_class": per_label,
    }


def regression(predictions: Floats, targets: Floats) -> Metrics:
    """Mean absolute error, root mean squared error, R² (None if the targets are all the same)."""
    errors = predictions.astype(np.float64) - targets.astype(np.float64)
    spread = float(((targets - targets.mean()) ** 2).sum())
    return {
        "num_examples": len(targets),
        "mae": float(np.abs(errors).mean()),
        "rmse": math.sqrt(float((errors**2).mean())),
        "r2": 1.0 - float((errors**2).sum()) / spread if spread else None,
    }


def language_model(nll: float, num_tokens: int, *, characters: bool) -> Metrics:
    """Nats a token, bits a character (a token is a character) or bits a token, and perplexity a token."""
    mean = nll / num_tokens
    return {
        "num_tokens": num_tokens,
        "nats_per_token": mean,
        "bits_per_character" if characters else "bits_per_token": mean / math.log(2),
        "perplexity": math.exp(min(mean, 700.0)),
    }
