"""Whether one model is better than another on the same validation data, or within noise of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ostinato.evaluation.baselines.base import Figures

_RESAMPLES = 4000


@dataclass(frozen=True)
class Gap:
    """mean: by how much the first is better, in units of the figure (below zero: worse); low, high: 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """`better`, `worse`, or `noise` where the interval holds zero."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "noise"


def paired_gap(first: Figures, second: Figures, *, lower_is_better: bool) -> Gap:
    """Paired bootstrap over blocks of validation data (Efron & Tibshirani 1993, ch. 8 and 13: percentile interval).

    Blocks, not rows, are drawn with replacement, so that it holds for figures that are no mean of rows (F1), and for
    text, whose neighbouring tokens are no independent draws. Deterministic: the seed is fixed.

    Args:
        first: (B,), the figure of one model on each block.
        second: (B,), of the other on the same blocks.
        lower_is_better: turns the sign.

    Example:
        >>> import numpy as np
        >>> paired_gap(np.array([0.9, 0.8]), np.array([0.7, 0.6]), lower_is_better=False).verdict
        'better'
    """
    gaps = (second - first) if lower_is_better else (first - second)
    drawn = np.random.default_rng(0).integers(0, len(gaps), (_RESAMPLES, len(gaps)))
    low, high = np.quantile(gaps[drawn].mean(axis=1), [0.025, 0.975])
    return Gap(float(gaps.mean()), float(low), float(high))
