"""Confusions as a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.arrays import Array

_MATRIX_CLASSES = 12
_MOST_MIXUPS = 12


def confusion_table(confusion: list[list[int]], classes: tuple[str, ...]) -> dict[str, Any]:
    """Rows of cells with their count and their share of the row; many classes: the most frequent only."""
    counts = np.asarray(confusion)
    support = counts.sum(axis=1)
    kept = list(range(len(classes)))
    if len(kept) > _MATRIX_CLASSES:
        kept = sorted(np.argsort(-support, kind="stable")[:_MATRIX_CLASSES].tolist())
    rows = [
        {
            "name": classes[i],
            "support": int(support[i]),
            "cells": [
                {"count": int(counts[i, j]), "share": float(counts[i, j] / max(support[i], 1)), "right": i == j}
                for j in kept
            ],
        }
        for i in kept
    ]
    return {"columns": [classes[i] for i in kept], "rows": rows, "num_left_out": len(classes) - len(kept)}


def mixups(confusion: Array, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """The most frequent pairs of a true and another predicted class."""
    counts = np.array(confusion)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:_MOST_MIXUPS]
    pairs = [divmod(int(place), len(classes)) for place in order]
    return [{"true": classes[i], "predicted": classes[j], "count": int(counts[i, j])} for i, j in pairs if counts[i, j]]
