"""Metrics of labels, notes and numbers at each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.metrics.classification import Metrics, f1_of, number_sums
from ostinato.metrics.edit_distance import edit_distance
from ostinato.metrics.resampling import SUMS, Sums, Units, ratio


def label_metrics(answers: list[NDArray[Any]], targets: list[NDArray[Any]]) -> Metrics:
    """Of labels without an alignment. `token_error_rate`: insertions, deletions and substitutions a true label;
    `sequence_error_rate`: share of the rows with any; `exact`: of those without."""
    pairs = zip(targets, answers, strict=True)
    return edit_metrics(
        [edit_distance(truth.tolist(), said.tolist()) for truth, said in pairs], [len(truth) for truth in targets]
    )


def edit_metrics(distances: Sequence[int], lengths: Sequence[int]) -> Metrics:
    """Of written sequences: their edits to the right ones, and how long these are, a row each; as `label_metrics`."""
    edits, tokens = np.asarray(distances, dtype=np.int64), np.asarray(lengths, dtype=np.int64)
    wrong = float((edits > 0).mean()) if len(edits) else 0.0
    parts = Units.rows(len(edits)).sums(edits, tokens, edits > 0, edits == 0, np.ones(len(edits)))
    figures = {"token_error_rate": ratio(0, 1), "sequence_error_rate": ratio(2, 4), "exact": ratio(3, 4)}
    return {
        "num_examples": len(edits),
        "num_tokens": int(tokens.sum()),
        "token_error_rate": int(edits.sum()) / max(int(tokens.sum()), 1),
        "sequence_error_rate": wrong,
        "exact": 1.0 - wrong,
        SUMS: Sums(parts, figures),
    }


def note_metrics(said: NDArray[Any], truth: NDArray[Any], units: Units | None = None) -> Metrics:
    """Of several labels a step. `accuracy`: TP / (TP + FP + FN) over all steps; `f1`: their harmonic mean over all;
    `exact`: share of the steps with every label right. `units`: of the steps; by default each is one."""
    there, found = truth > 0.5, said > 0.5
    parts = [(there & found).sum(axis=1), (there | found).sum(axis=1), found.sum(axis=1), there.sum(axis=1)]
    parts += [(there == found).all(axis=1), np.ones(len(truth))]
    figures = {"accuracy": ratio(0, 1), "f1": f1_of(0, 2, 3), "exact": ratio(4, 5)}
    hits, either = int((there & found).sum()), int((there | found).sum())
    total = int(there.sum() + found.sum())
    return {
        "num_tokens": len(truth),
        "accuracy": hits / either if either else 1.0,
        "f1": 2 * hits / total if total else 1.0,
        "exact": float((there == found).all(axis=1).mean()) if len(truth) else 0.0,
        SUMS: Sums((units or Units.rows(len(truth))).sums(*parts), figures),
    }


def number_metrics(said: NDArray[Any], truth: NDArray[Any], units: Units | None = None) -> Metrics:
    """Of numbers a step, in the feature's own scale: `mse`, `mae`, and `r2` over all steps and channels. `units`: of
    the steps; by default each is one."""
    errors = said.astype(np.float64) - truth.astype(np.float64)
    spread = float(((truth - truth.mean(axis=0)) ** 2).sum())
    return {
        "num_tokens": len(truth),
        "mse": float((errors**2).mean()),
        "mae": float(np.abs(errors).mean()),
        "r2": 1.0 - float((errors**2).sum()) / spread if spread else None,
        SUMS: number_sums(errors, truth.astype(np.float64), units or Units.rows(len(truth))),
    }
