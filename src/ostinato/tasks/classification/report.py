"""The report's results of a classifier: several classes, several labels, or a number."""

from __future__ import annotations

from functools import singledispatch

import numpy as np
import torch
from numpy.typing import NDArray

from ostinato.arrays import Floats, Mask
from ostinato.data.dataset import Examples, Prepared
from ostinato.data.targets import ClassTarget, LabelsTarget, NumberTarget, TargetFeature
from ostinato.heads.classes import Deciding
from ostinato.metrics import classification as metrics
from ostinato.metrics.decisions import LIKELIEST, Decisions
from ostinato.metrics.ranking import Ranking
from ostinato.metrics.resampling import with_intervals
from ostinato.report.confusion import confusion_table, mixups
from ostinato.report.data import Section, class_targets
from ostinato.report.exhibits import exhibit
from ostinato.tasks.classification.evaluation import predict_examples
from ostinato.tasks.classification.model import Classifier

_MOST_WRONG = 15
_DRAWN_CURVES = 10


def classifier_results(model: Classifier, prepared: Prepared, device: torch.device) -> Section:
    """Metrics on the validation data, next to those of a guess that never reads the text, with plots and mistakes."""
    target, examples = prepared.features.row_target, prepared.validation
    answers = model.head.answers(predict_examples(model, examples, device)).numpy()
    decisions = model.head.decisions if isinstance(model.head, Deciding) else LIKELIEST
    found = _section(target, answers, prepared.train, examples, decisions)
    feature = prepared.features.input
    for one in found["mistakes"]:
        one["exhibit"] = exhibit(feature, examples, one["row"])
        if one["exhibit"] and not feature.reads_files:
            one["text"] = ""  # lists of numbers are better seen
    return found


@singledispatch
def _section(
    target: TargetFeature, answers: Floats, train: Examples, examples: Examples, decisions: Decisions
) -> Section:
    """What the type of the target shows."""
    raise TypeError(f"no section shows a {type(target).__name__}")


@_section.register
def _classification(
    target: ClassTarget, probabilities: Floats, train: Examples, examples: Examples, decisions: Decisions
) -> Section:
    from ostinato.report import plots

    truth, classes = class_targets(examples), target.classes
    scored = with_intervals(metrics.classification(probabilities, truth, classes, decisions))
    frequencies = np.bincount(class_targets(train), minlength=len(classes)) / max(len(train), 1)
    guess = metrics.classification(np.tile(frequencies, (len(truth), 1)), truth, classes)
    predicted = decisions.chosen(probabilities)
    confidence = probabilities[np.arange(len(truth)), predicted]
    wrong = np.flatnonzero(predicted != truth)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:_MOST_WRONG]
    bins = metrics.calibration(probabilities, truth)["bins"]
    most_frequent = classes[int(frequencies.argmax())]
    return {
        "target_kind": "class",
        "metrics": scored,
        "table": _table(scored, guess, _CLASS_ROWS),
        "guess": f"predicts each class with its share of the training rows (so always “{most_frequent}”)",
        "curves": _curves(probabilities, np.eye(len(classes), dtype=np.bool_)[truth], scored["per_class"]),
        "confusion": confusion_table(scored["confusion"], classes),
        "mixups": mixups(np.asarray(scored["confusion"]), classes) if len(classes) > 2 else [],
        "calibration": plots.calibration(bins, len(classes)),
        "num_wrong": len(wrong),
        "mistakes": [
            {
                **_where(examples, int(i)),
                "true": classes[int(truth[i])],
                "predicted": classes[int(predicted[i])],
                "probability": float(confidence[i]),
                "probability_true": float(probabilities[i, truth[i]]),
            }
            for i in worst
        ],
    }


@_section.register
def _multilabel(
    target: LabelsTarget, probabilities: Floats, train: Examples, examples: Examples, decisions: Decisions
) -> Section:
    truth = np.asarray(examples.targets, dtype=np.float32)
    scored = with_intervals(metrics.multilabel(probabilities, truth, target.classes))
    shares = np.asarray(train.targets, dtype=np.float64).mean(axis=0)
    guess = metrics.multilabel(np.tile(shares, (len(truth), 1)), truth, target.classes)
    gaps = np.abs(probabilities - truth)
    worst_label, worst_gap = gaps.argmax(axis=1), gaps.max(axis=1)
    wrong = np.flatnonzero(worst_gap > 0.5)
    worst = wrong[np.argsort(-worst_gap[wrong], kind="stable")][:_MOST_WRONG]

    def names(hot: NDArray[np.bool_]) -> list[str]:
        return [name for name, on in zip(target.classes, hot.tolist(), strict=True) if on]

    return {
        "target_kind": "labels",
        "metrics": scored,
        "table": _table(scored, guess, _LABEL_ROWS),
        "guess": "predicts each label with its share of the training rows",
        "curves": _curves(probabilities, truth >= 0.5, scored["per_class"]),
        "num_wrong": len(wrong),
        "mistakes": [
            {
                **_where(examples, int(i)),
                "true": names(truth[i] >= 0.5),
                "predicted": names(probabilities[i] >= 0.5),
                "label": target.classes[int(worst_label[i])],
                "probability": float(probabilities[i, worst_label[i]]),
            }
            for i in worst
        ],
    }


@_section.register
def _regression(
    target: NumberTarget, predicted: Floats, train: Examples, examples: Examples, decisions: Decisions
) -> Section:
    from ostinato.report import plots

    truth = target.original(np.asarray(examples.targets))
    scored = with_intervals(metrics.regression(predicted, truth))
    mean = float(target.original(np.asarray(train.targets)).mean())
    errors = predicted - truth
    worst = np.argsort(-np.abs(errors), kind="stable")[:_MOST_WRONG]
    return {
        "target_kind": "number",
        "metrics": scored,
        "table": _table(scored, metrics.regression(np.full(len(truth), mean), truth), _NUMBER_ROWS),
        "guess": f"always predicts {mean:.4g}, the mean of the training rows",
        "scatter": plots.scatter(truth, predicted, target.column),
        "residuals": plots.residuals(errors, target.column),
        "num_wrong": len(truth),
        "mistakes": [
            {**_where(examples, int(i)), "true": float(truth[i]), "predicted": float(predicted[i])} for i in worst
        ],
    }


def _curves(probabilities: Floats, truth: Mask, rows: list[Section]) -> Section | None:
    """ROC and precision-recall of each class or label against the rest, (N, K); of two classes of the second alone. The
    areas are noted in `rows`, a class each. None where nothing can be ranked."""
    from ostinato.report import plots_curves

    ranked = [Ranking.of(probabilities[:, k], truth[:, k]) for k in range(len(rows))]
    for row, one in zip(rows, ranked, strict=True):
        row |= {"auc": one and one.auc, "average_precision": one and one.average_precision}
    chosen = [1] if len(rows) == 2 and (truth.sum(axis=1) == 1).all() else range(len(rows))
    shown = sorted(((k, ranked[k]) for k in chosen if ranked[k]), key=lambda pair: -rows[pair[0]]["support"])
    drawn = [one for _, one in shown[:_DRAWN_CURVES] if one is not None]
    if not drawn:
        return None
    return {
        "roc": plots_curves.roc(drawn),
        "precision_recall": plots_curves.precision_recall(drawn),
        "names": [rows[k]["name"] for k, _ in shown[:_DRAWN_CURVES]],
        "num_left_out": max(len(shown) - _DRAWN_CURVES, 0),
    }


def _where(examples: Examples, index: int) -> Section:
    return {"row": index, "location": examples.location(index), "text": examples.preview(index)}


_CLASS_ROWS = (
    ("accuracy", "accuracy", "percent", "share of examples with the right class"),
    ("f1", "macro F1", "figure", "harmonic mean of precision and recall, averaged over classes"),
    ("auc", "AUC", "figure", "chance that a member of a class scores above a non-member"),
    ("average_precision", "average precision", "figure", "area under precision over recall"),
    ("log_loss", "log loss", "figure", "negative log-likelihood in nats; lower is better"),
    ("calibration_error", "calibration error", "percent", "mean gap between confidence and accuracy (ECE)"),
)
_LABEL_ROWS = (
    ("micro_f1", "micro F1", "figure", "harmonic mean of precision and recall over all cells"),
    ("f1", "macro F1", "figure", "mean of the labels' F1"),
    ("accuracy", "rows right", "percent", "share of examples with every label right"),
    ("cell_accuracy", "cells right", "percent", "share of all labels of all examples that are right"),
    ("auc", "macro AUC", "figure", "chance that an example with a label scores above one without"),
)
_NUMBER_ROWS = (
    ("mae", "mean absolute error", "figure", "how far off, on average"),
    ("rmse", "root mean squared error", "figure", "as above, large errors weigh more"),
    ("r2", "R²", "figure", "share of variance explained"),
)


def _table(scored: Section, guess: Section, rows: tuple[tuple[str, str, str, str], ...]) -> list[Section]:
    return [
        {"name": name, "value": scored[key], "guess": guess[key], "form": form, "meaning": meaning}
        for key, name, form, meaning in rows
    ]
