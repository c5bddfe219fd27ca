"""Confusions as a table."""

from __future__ import annotations

from typing import Any

import numpy as np

_MATRIX_CLASSES = 12


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
