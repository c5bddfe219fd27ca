"""The results of a cross-validation: mean and spread over folds, pooled predictions, one page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.data.dataset import Examples, Features
from ostinato.data.targets import ClassTarget, TargetFeature
from ostinato.metrics import classification as metrics
from ostinato.metrics.classification import Metrics
from ostinato.metrics.names import METRIC_NAMES
from ostinato.metrics.prediction import Prediction
from ostinato.metrics.resampling import with_intervals
from ostinato.recipe import Recipe, dump_recipe
from ostinato.storage.files import write_atomically

_COUNTS = ("num_examples", "num_tokens")
_FITTED = ("temperature", "threshold")
"""What may be fitted to the rows that score a fold: then it differs between them."""
_FIRST = ("accuracy", "f1", "exact", "token_error_rate", "bleu", "r2", "mae", "mse", "loss")


@dataclass(frozen=True)
class Fold:
    """One fold. name: its number, or the value that was left out; summary: of its run; predictions: a row each, as
    JSON; classes: of a classifier; truth: (N,) classes or numbers, where a row has one value; decided: how its
    probabilities become answers; crossfitted: each half of its rows is scored by what the other half
    chose."""

    name: str
    summary: dict[str, Any]
    predictions: list[dict[str, Any]]
    classes: tuple[str, ...] = ()
    truth: tuple[float, ...] = ()
    decided: dict[str, Any] = field(default_factory=dict)
    crossfitted: bool = False


def fold_of(
    name: str,
    summary: dict[str, Any],
    examples: Examples,
    predictions: Sequence[Prediction],
    features: Features,
    decided: dict[str, Any],
    *,
    crossfitted: bool = False,
) -> Fold:
    """A fold from its run: prediction and truth of each held-out row."""
    target = features.target
    rows: list[dict[str, Any]] = []
    truth: list[float] = []
    for row, prediction in enumerate(predictions):
        known = _truth(examples, row, target)
        rows.append({"fold": name, "place": examples.location(row), **known, **prediction.to_dict()})
        truth += [known["value_true"]] if "value_true" in known else []
    classes: tuple[str, ...] = ()
    if isinstance(target, ClassTarget):
        classes = target.classes
        truth = [float(value) for value in np.asarray(examples.targets).tolist()]
    return Fold(name, summary, rows, classes, tuple(truth), decided, crossfitted)


def _truth(examples: Examples, row: int, target: object) -> dict[str, Any]:
    """The truth, where it is one value."""
    if not isinstance(target, TargetFeature) or examples.targets is None:
        return {}
    return target.truth(np.asarray(examples.targets)[row])


def summarise(recipe: Recipe, folds: Sequence[Fold], left_out: str | None) -> dict[str, Any]:
    """Mean, standard deviation (of a sample: n - 1) and range of each metric over folds, and the pooled predictions
    scored as one set.

    Args:
        recipe: of all folds, without `data.fold`.
        folds: in order.
        left_out: the column of which each fold leaves one value out.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in _names(folds):
        values = [float(fold.summary["validation"][name]) for fold in folds]
        mean = sum(values) / len(values)
        variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
        found[name] = {"mean": mean, "sd": math.sqrt(variance), "min": min(values), "max": max(values)}
    return {
        "name": recipe.name,
        "num_folds": len(folds),
        "left_out": left_out,
        "group": recipe.data.group,
        "keep": recipe.training.keep,
        "crossfitted": all(fold.crossfitted for fold in folds),
        "fitted": [name for name in _FITTED if len({fold.decided.get(name) for fold in folds}) > 1],
        "seed": recipe.training.seed,
        "split_seed": recipe.data.split_seed,
        "metrics": found,
        "pooled": _pooled(folds),
        "folds": [_brief(fold, list(found)) for fold in folds],
        "recipe": dump_recipe(recipe),
    }


def _names(folds: Sequence[Fold]) -> list[str]:
    """The metrics that every fold has, the most informative first."""

    def has(fold: Fold, name: str) -> bool:
        value = fold.summary["validation"].get(name)
        return isinstance(value, int | float) and not isinstance(value, bool)

    names = [n for n in folds[0].summary["validation"] if n not in _COUNTS and all(has(fold, n) for fold in folds)]
    return sorted(names, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))


def _brief(fold: Fold, names: Sequence[str]) -> dict[str, Any]:
    scored = fold.summary["validation"]
    return {
        "name": fold.name,
        "num_examples": len(fold.predictions),
        "seconds": fold.summary["seconds"],
        "epoch": fold.summary["best_epoch"],
        "metrics": {name: float(scored[name]) for name in names},
    }


def _pooled(folds: Sequence[Fold]) -> Metrics | None:
    """All held-out rows as one set; None where folds know different classes, or rows have no single value."""
    rows = [row for fold in folds for row in fold.predictions]
    truth = np.asarray([value for fold in folds for value in fold.truth])
    if not len(truth):
        return None
    if not folds[0].classes:
        return with_intervals(metrics.regression(np.asarray([row["value"] for row in rows]), truth))
    if any(fold.classes != folds[0].classes for fold in folds):
        return None
    classes = folds[0].classes
    probabilities = np.asarray([[row["probabilities"][name] for name in classes] for row in rows])
    answers = np.asarray([classes.index(row["label"]) for row in rows])  # each fold has a threshold of its own
    return with_intervals(metrics.classification(probabilities, truth.astype(np.int64), classes, answers=answers))


def write_page(path: Path, results: dict[str, Any], recipe: Recipe) -> None:
    """The results of a recipe as one page. Raises `MissingLibraryError` without jinja2 and matplotlib."""
    from ostinato.report.confusion import confusion_table
    from ostinato.report.page import page_environment, paths_of, without_folders

    environment = page_environment()
    pooled = results["pooled"] or {}
    confusion = None
    if "confusion" in pooled:
        names = tuple(row["name"] for row in pooled["per_class"])
        confusion = confusion_table(pooled["confusion"], names)
    main = next(iter(results["metrics"]), None)
    page = environment.get_template("crossvalidation.html.jinja").render(
        **results,
        main=main,
        names=METRIC_NAMES,
        confusion=confusion,
        minutes=sum(fold["seconds"] for fold in results["folds"]) / 60,
        num_examples=sum(fold["num_examples"] for fold in results["folds"]),
    )
    write_atomically(path, without_folders(page, [path.parent, *paths_of(recipe)]).encode())
