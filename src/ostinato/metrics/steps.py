"""Metrics of labels, notes and numbers at each step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.metrics.classification import Metrics
from ostinato.metrics.edit_distance import edit_distance


def label_metrics(answers: list[NDArray[Any]], targets: list[NDArray[Any]]) -> Metrics:
    """Of labels without an alignment. `token_error_rate`: insertions, deletions and substitutions a true label;
    `sequence_error_rate`: share of the rows with any; `exact`: of those without."""
    pairs = zip(targets, answers, strict=True)
    distances = [edit_distance(truth.tolist(), said.tolist()) for truth, said in pairs]
    num_labels = sum(map(len, targets))
    wrong = sum(distance > 0 for distance in distances) / max(len(answers), 1)
    return {
        "num_examples": len(answers),
        "num_tokens": num_labels,
        "token_error_rate": sum(distances) / max(num_labels, 1),
        "sequence_error_rate": wrong,
        "exact": 1.0 - wrong,
    }


def note_metrics(said: NDArray[Any], truth: NDArray[Any]) -> Metrics:
    """Of several labels a step. `accuracy`: TP / (TP + FP + FN) over all steps; `f1`: their harmonic mean over all;
    `exact`: share of the steps with every label right."""
    there, found = truth > 0.5, said > 0.5
    hits, either = int((there & found).sum()), int((there | found).sum())
    total = int(there.sum() + found.sum())
    return {
        "num_tokens": len(truth),
        "accuracy": hits / either if either else 1.0,
        "f1": 2 * hits / total if total else 1.0,
        "exact": float((there == found).all(axis=1).mean()) if len(truth) else 0.0,
    }


def number_metrics(said: NDArray[Any], truth: NDArray[Any]) -> Metrics:
    """Of numbers a step, in the feature's own scale: `mse`, `mae`, and `r2` over all steps and channels."""
    errors = said.astype(np.float64) - truth.astype(np.float64)
    spread = float(((truth - truth.mean(axis=0)) ** 2).sum())
    return {
        "num_tokens": len(truth),
        "mse": float((errors**2).mean()),
        "mae": float(np.abs(errors).mean()),
        "r2": 1.0 - float((errors**2).sum()) / spread if spread else None,
    }
