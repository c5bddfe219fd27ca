"""Whether one model is better than another on the same validation data, or within noise of it."""

from __future__ import annotations

from dataclasses import dataclass

from ostinato.metrics.resampling import Numbers, Sums, interval


@dataclass(frozen=True)
class Gap:
    """mean: by how much the first is better, in units of the figure (below zero: worse); low, high: 95 % interval, none
    where there was too little data."""

    mean: float
    low: float | None
    high: float | None

    @property
    def verdict(self) -> str:
        """`better`, `worse`, `noise` where the interval holds zero, `unknown` where there is none."""
        if self.low is None or self.high is None:
            return "unknown"
        return "better" if self.low > 0 else "worse" if self.high < 0 else "noise"


def paired_gap(first: Sums, second: Sums, figure: str, *, lower_is_better: bool) -> Gap:
    """By how much one model is better than another: the same units are drawn for both, and the figure is computed of
    all that was drawn (`metrics.resampling.interval`).

    Args:
        first: of one model.
        second: of the other, of the same units.
        figure: which is compared.
        lower_is_better: turns the sign.

    Example:
        >>> import numpy as np
        >>> from ostinato.metrics.resampling import ratio
        >>> right = [np.stack([np.arange(90) < count, np.ones(90)], axis=1) for count in (80, 50)]
        >>> first, second = (Sums(rows, {"accuracy": ratio(0, 1)}) for rows in right)
        >>> paired_gap(first, second, "accuracy", lower_is_better=False).verdict
        'better'
    """
    sign, both = (-1.0 if lower_is_better else 1.0), first.beside(second)
    own, others = first.figures[figure], second.figures[figure]
    width = first.values.shape[1]

    def advantage(sums: Numbers) -> Numbers:
        return sign * (own(sums[..., :width]) - others(sums[..., width:]))

    low, high = interval(both.values, advantage) or (None, None)
    return Gap(sign * (first.of(figure) - second.of(figure)), low, high)
