"""How sure a figure is: units of data are resampled, and the figure is computed of all that was drawn (bootstrap)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.arrays import Array, Integers, Mask

Numbers = NDArray[np.float64]
Figure = Callable[[Numbers], Numbers]
"""From sums (…, K) to a figure (…) of each."""
Drawn = Callable[[Numbers], Numbers]
"""From how often each unit is drawn (…, U) to a figure (…) of each; not a number where it is not defined."""
SUMS = "sums"
"""Where metrics keep what they are made of, until `with_intervals` has taken it."""
CONFIDENCE = 0.95
_RESAMPLES = 1000
_MOST_UNITS = 1000
_LEAST_UNITS = 8
_MOST_GROUPS = 200
"""That are left out in turn, for how skewed a figure is."""
SHARES = ("accuracy", "exact")
"""Figures of which a unit is right or wrong."""
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Units:
    """Which unit each item of some data is in. of: (M,), numbers of units; count: U, how many there are."""

    of: Integers
    count: int

    @classmethod
    def rows(cls, num_rows: int) -> Units:
        """Each row is a unit, or of very many rows some drawn by lot: 1,000 equal units."""
        if num_rows <= _MOST_UNITS:
            return cls(np.arange(num_rows), num_rows)
        found = np.empty(num_rows, dtype=np.int64)
        found[np.random.default_rng(0).permutation(num_rows)] = np.arange(num_rows) % _MOST_UNITS
        return cls(found, _MOST_UNITS)

    @classmethod
    def stretches(cls, num_rows: int) -> Units:
        """As `rows`, neighbours together: for rows that are alike where they are near."""
        count = min(num_rows, _MOST_UNITS)
        return cls(np.arange(num_rows) * count // max(num_rows, 1), count)

    def steps(self, lengths: Integers) -> Units:
        """The units of the steps of rows that are so long, (N,)."""
        return Units(np.repeat(self.of, lengths), self.count)

    def sums(self, *columns: Array) -> Numbers:
        """(U, K): the sum of each column, (M,) or (M, J), over the items of each unit."""
        flat = [column[:, None] if column.ndim == 1 else column for column in columns]
        parts = [np.bincount(self.of, one, self.count) for column in flat for one in column.T]
        return np.stack(parts, axis=1).astype(np.float64)

    def counts(self, values: Integers, num_values: int, among: Mask | None = None) -> Numbers:
        """(U, V): how many items of each unit have each whole number below V; `among`: (M,), the items that count."""
        places = self.of * num_values + values
        places = places if among is None else places[among]
        return np.bincount(places, minlength=self.count * num_values).reshape(self.count, -1).astype(np.float64)


@dataclass(frozen=True)
class Sums:
    """What figures of some data are made of: sums over its units, so that they can be computed of other units, too.

    values: (U, K), the summands of each unit (a row, a sentence, a stretch of a series), which is drawn as a whole;
    figures: by name, how sums (…, K) become a figure (…); drawn: those that no sum gives (areas under curves).
    """

    values: Numbers
    figures: Mapping[str, Figure]
    drawn: Mapping[str, Drawn] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """All figures."""
        return [*self.figures, *self.drawn]

    def function(self, name: str) -> Drawn:
        """A figure as a function of how often each unit is drawn."""
        if name in self.drawn:
            return self.drawn[name]
        figure, values = self.figures[name], self.values
        return lambda times: figure(times @ values)

    def of(self, name: str, among: Mask | None = None) -> float:
        """A figure of all units; `among`: (U,), of these."""
        times = np.ones(len(self.values)) if among is None else among.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(self.function(name)(times))

    def beside(self, other: Sums) -> Sums:
        """The figures of both, which are of the same units; those of the other win."""
        cut = self.values.shape[1]
        own = {name: _part(figure, slice(None, cut)) for name, figure in self.figures.items()}
        others = {name: _part(figure, slice(cut, None)) for name, figure in other.figures.items()}
        values = np.concatenate([self.values, other.values], axis=1)
        return Sums(values, own | others, {**self.drawn, **other.drawn})

    def intervals(self) -> dict[str, list[float]]:
        """[low, high] of every figure that has an interval."""
        found: dict[str, list[float]] = {}
        for name in self.names:
            low, high = interval(len(self.values), self.function(name)) or (0.0, 0.0)
            if low < high:
                found[name] = [low, high]
            elif low in (0.0, 1.0) and name in SHARES and len(self.values) >= _LEAST_UNITS:
                found[name] = _of_all(self.of(name), len(self.values))
        return found


def with_intervals(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics with `intervals`, [low, high] by the figure's name, in place of their sums.

    Example:
        >>> rows = Sums(np.stack([np.arange(50) < 40, np.ones(50)], axis=1), {"accuracy": ratio(0, 1)})
        >>> with_intervals({"accuracy": 0.8, "sums": rows})
        {'accuracy': 0.8, 'intervals': {'accuracy': [0.66, 0.9]}}
    """
    found = {name: value for name, value in metrics.items() if name != SUMS}
    limits = {name: one for name, one in metrics[SUMS].intervals().items() if name in found} if SUMS in metrics else {}
    return found | ({"intervals": limits} if limits else {})


def halves(count: int) -> Mask:
    """(U,): the units of a first half, by lot; the others are the second. The same whenever there are as many."""
    return np.asarray(np.random.default_rng(1).permutation(count) < count // 2)


def interval(count: int, figure: Drawn) -> tuple[float, float] | None:
    """The 95 % interval of a figure of so many units; None of fewer than 8, or where it is not defined.

    Bias-corrected and accelerated (Efron 1987, "Better bootstrap confidence intervals"), its levels widened for few
    units as Hesterberg 2015, "What teachers should know about the bootstrap", section 4.2 (expanded percentiles).
    Deterministic: the seed is fixed.
    """
    if count < _LEAST_UNITS:
        return None
    every = np.ones(count)
    with np.errstate(divide="ignore", invalid="ignore"):
        whole, drawn, without = float(figure(every)), figure(_draws(count)), figure(every - _left_out(count))
    drawn, without = drawn[np.isfinite(drawn)], without[np.isfinite(without)]
    if not len(drawn) or not np.isfinite(whole):
        return None
    if np.ptp(drawn) == 0:
        return whole, whole
    bias = _quantile(((drawn < whole).mean() + (drawn <= whole).mean()) / 2)
    gaps = without.mean() - without
    spread = float((gaps**2).sum())
    speed = float((gaps**3).sum()) / (6 * spread**1.5) if spread else 0.0
    reach = sqrt(count / (count - 1)) * _student(count - 1)
    levels = [_level(bias, speed, side * reach) for side in (-1, 1)]
    low, high = np.quantile(drawn, levels)
    return float(low), float(high)


def ratio(above: int, below: int) -> Figure:
    """One sum over another."""
    return lambda sums: sums[..., above] / sums[..., below]


def row_means(**columns: Array) -> Sums:
    """Means over rows, (N,) each."""
    units = Units.rows(len(next(iter(columns.values()))))
    figures = {name: ratio(place, len(columns)) for place, name in enumerate(columns)}
    return Sums(units.sums(*columns.values(), np.ones(len(units.of))), figures)


def _part(figure: Figure, columns: slice) -> Figure:
    return lambda sums: figure(sums[..., columns])


@lru_cache(maxsize=4)
def _draws(count: int) -> Numbers:
    """(R, U): how often each unit is drawn, with replacement, as many as there are."""
    drawn = np.random.default_rng(0).integers(0, count, (_RESAMPLES, count))
    places = drawn + count * np.arange(_RESAMPLES)[:, None]
    return np.bincount(places.ravel(), minlength=_RESAMPLES * count).reshape(_RESAMPLES, count).astype(np.float64)


def _left_out(count: int) -> Numbers:
    """(G, U): one unit each, of many some neighbours each."""
    groups = min(count, _MOST_GROUPS)
    return np.asarray(np.arange(count) * groups // count == np.arange(groups)[:, None], dtype=np.float64)


def _of_all(share: float, count: int) -> list[float]:
    """Where all units are right, or none: Clopper and Pearson 1934, since what is drawn does not vary."""
    unseen = 1 - ((1 - CONFIDENCE) / 2) ** (1 / count)
    return [1 - unseen, 1.0] if share else [0.0, unseen]


def _quantile(level: float) -> float:
    return _NORMAL.inv_cdf(min(max(float(level), 1 / _RESAMPLES), 1 - 1 / _RESAMPLES))


def _level(bias: float, speed: float, reach: float) -> float:
    slope = 1 - speed * (bias + reach)
    return _NORMAL.cdf(bias + (bias + reach) / slope) if slope > 0 else float(reach > 0)


def _student(freedom: int) -> float:
    """The quantile of Student's t at 97.5 %: Abramowitz and Stegun 1964, 26.7.5."""
    z = _NORMAL.inv_cdf((1 + CONFIDENCE) / 2)
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
