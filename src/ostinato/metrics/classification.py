"""Metrics, in numpy: classification, several labels, regression, language models.

Conventions: `probabilities` (N, K) for K classes or labels (two classes: K = 2); a metric that is not defined (an AUC
with one class present) is None, never a made-up number; `sums` is what the others are made of, for their intervals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.arrays import Floats, Integers, Mask
from ostinato.metrics.decisions import LIKELIEST, Decisions
from ostinato.metrics.ranking import Ranking, areas
from ostinato.metrics.resampling import SUMS, Drawn, Figure, Numbers, Sums, Units, ratio

Metrics = dict[str, Any]

_BINS = 10
_MOST_RANKED, _MOST_LEVELS = 10, 1000
"""Classes, above which areas have no interval, and different scores of all of them: more take seconds."""


def classification(
    probabilities: Floats,
    targets: Integers,
    classes: tuple[str, ...],
    decisions: Decisions = LIKELIEST,
    answers: Integers | None = None,
) -> Metrics:
    """Accuracy, macro F1 (over classes that are true or predicted, as scikit-learn's), AUC and average precision (two
    classes: of the second; more: mean of one-against-rest), log loss (nll), calibration error, confusion matrix (rows
    true, columns predicted) and precision, recall and F1 of each class. Where it abstains, `answered` is the share of
    rows with an answer, and `accuracy_answered` that of these which are right; the others are of all rows.

    answers: (N,) classes that were chosen already, in place of what `decisions` would choose.
    """
    predicted = decisions.chosen(probabilities) if answers is None else answers
    count = len(classes)
    confusion = np.bincount(targets * count + predicted, minlength=count * count).reshape(count, count)
    per_class = by_class(confusion, classes)
    present = [row["f1"] for row in per_class if row["support"] or row["predicted"]]
    against = [(probabilities[:, k], targets == k) for k in ([1] if count == 2 else range(count))]
    ranked = [Ranking.of(*one) for one in against]
    units = Units.rows(len(targets))
    picked = np.clip(probabilities[np.arange(len(targets)), targets], 1e-12, 1.0)
    return {
        "num_examples": len(targets),
        **_answered(predicted == targets, decisions.given(probabilities) if decisions.abstain else None),
        "accuracy": float((predicted == targets).mean()),
        "f1": float(np.mean(present)),
        "auc": _mean([None if one is None else one.auc for one in ranked]),
        "average_precision": _mean([None if one is None else one.average_precision for one in ranked]),
        "log_loss": float(-np.log(picked).mean()),
        "calibration_error": calibration(probabilities, targets)["error"],
        "confusion": confusion.tolist(),
        "per_class": per_class,
        SUMS: class_sums(predicted, targets, count, units)
        .beside(_probability_sums(probabilities, targets, -np.log(picked), units))
        .beside(_areas(against, units, np.mean)),
    }


def _probability_sums(probabilities: Floats, targets: Integers, nll: Floats, units: Units) -> Sums:
    """What log loss and the calibration error are made of."""
    confidence, right, which = _binned(probabilities, targets)
    parts = [units.counts(which, _BINS, among) for among in (None, right)]
    sure = Units(units.of * _BINS + which, units.count * _BINS).sums(confidence).reshape(units.count, _BINS)

    def error(sums: Numbers) -> Numbers:
        counts, hits, said = np.split(sums[..., 2:], 3, axis=-1)
        return np.asarray(np.abs(said - hits).sum(-1) / counts.sum(-1))

    values = np.concatenate([units.sums(nll, np.ones(len(nll))), *parts, sure], axis=1)
    return Sums(values, {"log_loss": ratio(0, 1), "calibration_error": error})


def _areas(against: Sequence[tuple[Floats, Mask]], units: Units, mean: Callable[..., Any]) -> Sums:
    """AUC and average precision, each the mean over pairs of scores and which of them are positive."""
    if not 0 < len(against) <= _MOST_RANKED:
        return Sums(np.empty((units.count, 0)), {})
    pairs = [areas(*one, units, _MOST_LEVELS // len(against)) for one in against]

    def over(place: int) -> Drawn:
        return lambda times: np.asarray(mean(np.stack([pair[place](times) for pair in pairs]), axis=0))

    return Sums(np.empty((units.count, 0)), {}, {"auc": over(0), "average_precision": over(1)})


def _answered(right: Mask, given: Mask | None) -> Metrics:
    if given is None:
        return {}
    share = float(right[given].mean()) if given.any() else None
    return {"answered": float(given.mean()), "accuracy_answered": share}


def _mean(values: Sequence[float | None]) -> float | None:
    """None where one is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def class_sums(said: Integers, truth: Integers, num_classes: int, units: Units) -> Sums:
    """What accuracy and macro F1 are made of; said, truth: classes of the items of units, (M,)."""
    right = said == truth
    parts = (units.counts(truth, num_classes, right), units.counts(said, num_classes), units.counts(truth, num_classes))
    values = np.concatenate([units.sums(right, np.ones(len(truth))), *parts], axis=1)
    return Sums(values, {"accuracy": ratio(0, 1), "f1": mean_f1(2, num_classes)})


def mean_f1(first: int, num_classes: int, *, present: bool = True) -> Figure:
    """The mean F1 of classes, where hits, what was said, and what was there, of each class, begin at column `first`.

    present: over the classes that were said or there; otherwise over all.
    """

    def figure(sums: Numbers) -> Numbers:
        counts = sums[..., first : first + 3 * num_classes]
        hits, said, there = np.split(counts, 3, axis=-1)
        either = said + there
        f1 = 2 * hits / np.maximum(either, 1.0)
        return np.asarray(f1.sum(-1) / ((either > 0).sum(-1) if present else num_classes))

    return figure


def f1_of(hits: int, said: int, there: int) -> Figure:
    """F1 of sums in three columns; 0 where nothing was said and nothing there."""
    return lambda sums: 2 * sums[..., hits] / np.maximum(sums[..., said] + sums[..., there], 1.0)


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
    """Area under the ROC curve, ties shared; None if one class is absent."""
    found = Ranking.of(scores, positive)
    return None if found is None else found.auc


def calibration(probabilities: Floats, targets: Integers, bins: int = _BINS) -> Metrics:
    """Confidence of the predicted class against how often it was right, in equal bins; `error` is their mean gap
    weighted by the number of examples (expected calibration error, Guo et al. 2017, arXiv:1706.04599)."""
    confidence, right, which = _binned(probabilities, targets, bins)
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


def _binned(probabilities: Floats, targets: Integers, bins: int = _BINS) -> tuple[Floats, Mask, Integers]:
    """(N,) each: the probability of the likeliest class, whether it was right, and the bin of that probability."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    return confidence, right, np.minimum((confidence * bins).astype(np.int64), bins - 1)


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
        SUMS: _label_sums(predicted, truth).beside(_label_areas(probabilities, truth)),
    }


def _mean_of_known(values: Numbers, axis: int) -> Numbers:
    """Not a number where none is known."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(axis) / known.sum(axis))


def _label_areas(probabilities: Floats, truth: Mask) -> Sums:
    """The mean AUC of the labels that some rows have, and some not."""
    both = [k for k in range(truth.shape[1]) if 0 < truth[:, k].sum() < len(truth)]
    found = _areas([(probabilities[:, k], truth[:, k]) for k in both], Units.rows(len(truth)), _mean_of_known)
    return Sums(found.values, {}, {"auc": found.drawn["auc"]}) if both and found.drawn else found


def _label_sums(predicted: Mask, truth: Mask) -> Sums:
    """What metrics of labels are made of."""
    (num_rows, count), right = truth.shape, predicted == truth
    own = [right.all(axis=1), np.ones(num_rows), right.sum(axis=1), np.full(num_rows, count)]
    hits = predicted & truth
    micro = [part.sum(axis=1) for part in (hits, predicted, truth)]
    figures = {"accuracy": ratio(0, 1), "cell_accuracy": ratio(2, 3), "micro_f1": f1_of(4, 5, 6)}
    macro = {"f1": mean_f1(7, count, present=False)}
    return Sums(Units.rows(num_rows).sums(*own, *micro, hits, predicted, truth), figures | macro)


def regression(predictions: Floats, targets: Floats) -> Metrics:
    """Mean absolute error, root mean squared error, R² (None if the targets are all the same)."""
    errors = predictions.astype(np.float64) - targets.astype(np.float64)
    spread = float(((targets - targets.mean()) ** 2).sum())
    return {
        "num_examples": len(targets),
        "mae": float(np.abs(errors).mean()),
        "rmse": math.sqrt(float((errors**2).mean())),
        "r2": 1.0 - float((errors**2).sum()) / spread if spread else None,
        SUMS: number_sums(errors[:, None], targets[:, None].astype(np.float64), Units.rows(len(targets))),
    }


def number_sums(errors: Floats, targets: Floats, units: Units) -> Sums:
    """What metrics of numbers are made of; errors, targets: (M, C)."""
    centred = targets - targets.mean(axis=0)
    channels = targets.shape[1]
    own = [(errors**2).sum(axis=1), np.abs(errors).sum(axis=1), np.full(len(errors), channels), np.ones(len(errors))]

    def r2(sums: Numbers) -> Numbers:
        means = (sums[..., 5:] ** 2).sum(-1) / sums[..., 3]
        return np.asarray(1 - sums[..., 0] / (sums[..., 4] - means))

    mse = ratio(0, 2)
    figures: dict[str, Figure] = {"mse": mse, "mae": ratio(1, 2), "rmse": lambda sums: np.sqrt(mse(sums)), "r2": r2}
    return Sums(units.sums(*own, (centred**2).sum(axis=1), centred), figures)


def language_model(nll: float, num_tokens: int, *, characters: bool) -> Metrics:
    """Nats a token, bits a character (a token is a character) or bits a token, and perplexity a token."""
    mean = nll / num_tokens
    return {
        "num_tokens": num_tokens,
        "nats_per_token": mean,
        "bits_per_character" if characters else "bits_per_token": mean / math.log(2),
        "perplexity": math.exp(min(mean, 700.0)),
    }


def token_sums(nll: Floats, counts: Integers | Floats, units: Units, *also: str) -> Sums:
    """What metrics of language models are made of; nll, counts: summed -ln p and tokens of each item, (M,); also: what
    else nats a token are called."""
    nats = ratio(0, 1)

    def bits(sums: Numbers) -> Numbers:
        return nats(sums) / math.log(2)

    figures: dict[str, Figure] = dict.fromkeys(("nats_per_token", "nats_per_frame", *also), nats)
    figures |= dict.fromkeys(("bits_per_character", "bits_per_token"), bits)
    return Sums(units.sums(nll, counts), figures | {"perplexity": lambda sums: np.exp(np.minimum(nats(sums), 700.0))})
