"""Whether one model is better than another on the same validation data, or within noise of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ostinato.baselines.base import Figures

_RESAMPLES = 4000
_LEAST_BLOCKS = 5


@dataclass(frozen=True)
class Gap:
    """mean: by how much the first is better, in units of the figure (below zero: worse); low, high: 95 % interval, none
    where there was too little to tell."""

    mean: float
    low: float | None
    high: float | None

    @property
    def verdict(self) -> str:
        """`better`, `worse`, `noise` where the interval holds zero, `unknown` where there is none."""
        if self.low is None or self.high is None:
            return "unknown"
        return "better" if self.low > 0 else "worse" if self.high < 0 else "noise"


def paired_gap(first: Figures, second: Figures, *, lower_is_better: bool) -> Gap:
    """Paired bootstrap over blocks of validation data (Efron & Tibshirani 1993, ch. 8 and 13: percentile interval).

    Blocks, not rows, are drawn with replacement, so that it holds for figures that are no mean of rows (F1), and for
    text, whose neighbouring tokens are no independent draws. Of fewer than five blocks there is no interval: drawn
    anew, they would look more alike than they are. Deterministic: the seed is fixed.

    Args:
        first: (B,), the figure of one model on each block.
        second: (B,), of the other on the same blocks.
        lower_is_better: turns the sign.

    Example:
        >>> import numpy as np
        >>> paired_gap(np.full(9, 0.9), np.full(9, 0.7), lower_is_better=False).verdict
        'better'
    """
    gaps = (second - first) if lower_is_better else (first - second)
    if len(gaps) < _LEAST_BLOCKS:
        return Gap(float(gaps.mean()), None, None)
    drawn = np.random.default_rng(0).integers(0, len(gaps), (_RESAMPLES, len(gaps)))
    low, high = np.quantile(gaps[drawn].mean(axis=1), [0.025, 0.975])
    return Gap(float(gaps.mean()), float(low), float(high))
