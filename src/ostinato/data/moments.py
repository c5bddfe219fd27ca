"""Mean and standard deviation of columns that need not fit into memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ostinato.arrays import Array
from ostinato.data.io.spool import stretches

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Of C columns, of the values there are: how many, their mean, and the sum of squared differences from it.

    Two sets are joined by Chan, Golub and LeVeque (1979): with d = mean_b - mean_a and n = n_a + n_b,
    mean = mean_a + d n_b / n and squares = squares_a + squares_b + d^2 n_a n_b / n.
    """

    count: NDArray[np.int64]
    mean: Floats
    squares: Floats

    @classmethod
    def of(cls, values: Array, there: Array | None = None) -> Self:
        """Of (L, C) numbers, some megabytes at a time.

        Args:
            values: NaN is skipped.
            there: (L, C), which of them count; none: all.
        """
        width = values.shape[1]
        total = cls(np.zeros(width, dtype=np.int64), np.zeros(width), np.zeros(width))
        for stretch in stretches(values):
            some = values[stretch].astype(np.float64)
            seen = ~np.isnan(some) if there is None else there[stretch] & ~np.isnan(some)
            count = seen.sum(axis=0)
            mean = np.where(seen, some, 0.0).sum(axis=0) / np.maximum(count, 1)
            squares = (np.where(seen, some - mean, 0.0) ** 2).sum(axis=0)
            total = total.joined(cls(count, mean, squares))
        return total

    def joined(self, other: Self) -> Self:
        """Of both sets together."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1)
        apart = other.mean - self.mean
        squares = self.squares + other.squares + apart**2 * self.count * share
        return type(self)(count, self.mean + apart * share, squares)

    @property
    def std(self) -> Floats:
        """Root of the mean squared difference; 0 where there is no value."""
        return np.asarray(np.sqrt(self.squares / np.maximum(self.count, 1)), dtype=np.float64)
