"""From probabilities to answers: calibration by a temperature, a threshold for two classes, and abstention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ostinato.arrays import Floats, Integers, Mask
from ostinato.errors import RecipeError

_LOG_RANGE = 3.0
_PRIOR = 0.5
"""Deviation of the temperature's logarithm around 0: some ten rows can't move it far."""
_GOLDEN = (5**0.5 - 1) / 2
_NARROWINGS = 40
_SHARE_PRIOR = 0.35
SHARES = np.linspace(0.0, 1.0, 21)
"""Of one of two answers: what is tried."""


@dataclass(frozen=True)
class Decisions:
    """How a classifier's outputs become answers. temperature: what its logits are divided by; threshold: from which
    probability on the second of two classes is the answer, none: the likelier one is; abstain: below which probability
    of its answer it gives none.

    Raises:
        RecipeError: for a threshold or a probability that is none.
    """

    temperature: float = 1.0
    threshold: float | None = None
    abstain: float = 0.0

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise RecipeError(f"`threshold` must be above 0 and below 1. Received: {self.threshold:g}.")
        if not 0 <= self.abstain <= 1:
            raise RecipeError(f"`abstain` must be a probability, 0 to 1. Received: {self.abstain:g}.")

    def chosen(self, probabilities: Floats) -> Integers:
        """(N,): the class of each row, (N, K)."""
        if self.threshold is None:
            return np.asarray(probabilities.argmax(axis=1))
        return (probabilities[:, 1] >= self.threshold).astype(np.int64)

    def given(self, probabilities: Floats) -> Mask:
        """(N,): the rows that are answered."""
        chosen = self.chosen(probabilities)
        return np.asarray(probabilities[np.arange(len(chosen)), chosen] >= self.abstain)

    def to_dict(self) -> dict[str, Any]:
        """What `decisions.json` holds."""
        return {"temperature": self.temperature, "threshold": self.threshold}


LIKELIEST = Decisions()
"""The likeliest class, as sure as the outputs say."""


def fit_temperature(logits: Floats, truth: Integers) -> float:
    r"""The temperature T that makes the truth likeliest, :math:`p = \mathrm{softmax}(z / T)`; above 1 for a model that
    is too sure of itself. It never changes which class is likeliest.

    Source: Guo, Pleiss, Sun and Weinberger 2017, "On calibration of modern neural networks", arXiv:1706.04599, section
    4.2. Deviation: ln T is normal around 0 with a deviation of 0.5, which few rows, or rows that are all right, don't
    outweigh.

    Args:
        logits: (N, K).
        truth: (N,) classes.

    Example:
        >>> random = np.random.default_rng(0)
        >>> logits = random.normal(size=(2000, 3))
        >>> truth = np.asarray([random.choice(3, p=np.exp(row) / np.exp(row).sum()) for row in logits])
        >>> round(fit_temperature(3 * logits, truth), 1)
        3.0
    """
    return _likeliest(logits, truth)[0]


def fit_share(first: Floats, second: Floats, truth: Integers, usual: float = 0.5) -> float:
    """The share s that makes the truth likeliest by logits s · first + (1 - s) · second, at its best temperature: of
    two answers, the one that is surer than it should be counts for less.

    Args:
        first: (N, K) logits.
        second: as `first`.
        truth: (N,) classes.
        usual: as in `likeliest_share`.
    """
    costs = [_likeliest(share * first + (1 - share) * second, truth)[1] for share in SHARES]
    return likeliest_share(np.asarray(costs), usual)


def likeliest_share(costs: Floats, usual: float = 0.5) -> float:
    """The share of `SHARES` that costs least; it is normal around `usual` with a deviation of 0.35, which few rows
    don't outweigh.

    Args:
        costs: of each share in nats, of all rows together.
        usual: the share where there is nothing to go by.
    """
    return float(SHARES[int(np.argmin(costs + (SHARES - usual) ** 2 / (2 * _SHARE_PRIOR**2)))])


def _likeliest(logits: Floats, truth: Integers) -> tuple[float, float]:
    """The temperature, and its cost in nats."""
    shifted = (logits - logits.max(axis=1, keepdims=True)).astype(np.float64)
    right = shifted[np.arange(len(truth)), truth]

    def cost(log: float) -> float:
        scaled = shifted / np.exp(log)
        nll = np.log(np.exp(scaled).sum(axis=1)) - right / np.exp(log)
        return float(nll.sum()) + log**2 / (2 * _PRIOR**2)

    low, high = -_LOG_RANGE, _LOG_RANGE
    for _ in range(_NARROWINGS):
        left, other = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, other) if cost(left) < cost(other) else (left, high)
    return float(np.exp((low + high) / 2)), cost((low + high) / 2)


def best_threshold(scores: Floats, positive: Mask) -> float | None:
    """The threshold of the highest F1, halfway to the score below; None where all rows are of one class.

    Args:
        scores: (N,) probabilities of the second class.
        positive: (N,), which rows are of it.

    Example:
        >>> best_threshold(np.asarray([0.1, 0.2, 0.3, 0.8]), np.asarray([False, True, True, True]))
        0.15...
    """
    if positive.all() or not positive.any():
        return None
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    f1 = 2 * np.cumsum(positive[order])[ends] / (ends + 1 + positive.sum())
    best = int(f1.argmax())
    at = float(scores[order][ends[best]])
    below = float(scores[order][ends[best + 1]]) if best + 1 < len(ends) else 0.0
    return min(max((at + below) / 2, 1e-6), 1 - 1e-6)
