"""Whether one model is better than another on the same validation data, or within noise of it."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

from ostinato.metrics.resampling import CONFIDENCE, Numbers, Sums, interval

_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


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
    sign = -1.0 if lower_is_better else 1.0
    own, others = first.function(figure), second.function(figure)

    def advantage(times: Numbers) -> Numbers:
        return sign * (own(times) - others(times))

    low, high = interval(len(first.values), advantage) or (None, None)
    return Gap(sign * (first.of(figure) - second.of(figure)), low, high)


def unpaired_gap(first: float, num_first: int, second: float, num_second: int) -> Gap:
    """By how much one share of rows is larger than another share of other rows; right also for very few.

    Source: Newcombe 1998, "Interval estimation for the difference between independent proportions", method 10.

    Example:
        >>> gap = unpaired_gap(56 / 70, 70, 48 / 80, 80)
        >>> round(gap.mean, 4), round(gap.low, 4), round(gap.high, 4)
        (0.2, 0.0524, 0.3339)
    """
    (low, high), (lower, higher) = _wilson(first, num_first), _wilson(second, num_second)
    gap = first - second
    return Gap(
        gap,
        gap - sqrt((first - low) ** 2 + (higher - second) ** 2),
        gap + sqrt((high - first) ** 2 + (second - lower) ** 2),
    )


def _wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share: Wilson 1927."""
    middle, reach = share + _Z**2 / (2 * count), _Z * sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return (middle - reach) / (1 + _Z**2 / count), (middle + reach) / (1 + _Z**2 / count)
