"""Orders of units: by how long they hold what they know, and by how alike they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.exploration.questions import Column
from ostinato.exploration.states import Floats

LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
_STRETCH, _STRETCHES = 16_384, 8
_CLUSTERED_STEPS = 20_000
_CUT = 0.5
"""Clusters: units that go together at |r| of one half, on average."""


@dataclass(frozen=True)
class Sorted:
    """Units of a series in an order, and what the order is by; empty where that is their number."""

    units: list[int]
    values: list[float]


def by_time_constant(values: NDArray[Any], rows: Column) -> Sorted:
    """The slowest first, by the state's own autocorrelation: the steps in which that falls to 1/e, found among lags up
    to 2,048 (and said as that where it never falls so far), between them by their logarithms. Up to eight stretches of
    16,384 steps are read; pairs of steps in different rows don't count.

    Args:
        values: (T, units).
        rows: (T,).
    """
    products = np.zeros((len(LAGS) + 1, values.shape[1]))
    counts = np.zeros(len(LAGS) + 1)
    mean = sample(values, _CLUSTERED_STEPS).mean(axis=0)
    for first in np.unique(np.linspace(0, max(len(values) - _STRETCH, 0), _STRETCHES).astype(int)).tolist():
        part = values[first : first + _STRETCH].astype(np.float32) - mean
        row = rows[first : first + _STRETCH]
        for at, lag in enumerate((0, *LAGS)):
            if lag < len(part):
                same = row[lag:] == row[: len(row) - lag]
                products[at] += np.einsum("tu,tu,t->u", part[lag:], part[: len(part) - lag], same.astype(np.float32))
                counts[at] += same.sum()
    told = counts > 0
    shares = products[told] / counts[told, None]
    correlation = shares / np.where(shares[0] > 0, shares[0], 1.0)
    constants = np.asarray([_crossing(one, np.asarray((0, *LAGS))[told]) for one in correlation.T])
    order = np.argsort(-constants, kind="stable")
    return Sorted(order.tolist(), constants[order].tolist())


def _crossing(correlation: Floats, lags: NDArray[np.int64]) -> float:
    """The lag at which a curve that begins at 1 falls to 1/e."""
    below = np.flatnonzero(correlation < np.exp(-1))
    if not len(below):
        return float(lags[-1])
    if not below[0]:
        return 0.0  # it never changes
    last, next_ = below[0] - 1, below[0]
    share = (correlation[last] - np.exp(-1)) / (correlation[last] - correlation[next_])
    begin, end = np.log1p(lags[[last, next_]])
    return float(np.expm1(begin + share * (end - begin)))


def by_cluster(values: NDArray[Any]) -> Sorted:
    """Units that go together side by side: average linkage on 1 - |r| over 20,000 steps, leaves ordered so that
    neighbours are as alike as they can be. The values number the clusters that |r| of one half on average makes.

    Args:
        values: (T, units).
    """
    from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
    from scipy.spatial.distance import squareform

    if values.shape[1] < 2:
        return Sorted(list(range(values.shape[1])), [1.0] * values.shape[1])
    read = sample(values, _CLUSTERED_STEPS)
    centred = read - read.mean(axis=0)
    size = np.sqrt((centred**2).sum(axis=0))
    scaled = centred / np.where(size > 0, size, 1.0)
    apart = np.clip(1 - np.abs(scaled.T @ scaled), 0, 1)
    np.fill_diagonal(apart, 0)
    tree = linkage(squareform(apart, checks=False), "average", optimal_ordering=len(apart) <= 1024)
    order = leaves_list(tree)
    return Sorted(order.tolist(), fcluster(tree, _CUT, "distance")[order].astype(float).tolist())


def sample(values: NDArray[Any], most: int) -> NDArray[np.float32]:
    """Steps at even distances."""
    return np.asarray(values[:: -(-len(values) // most) or 1], dtype=np.float32)
