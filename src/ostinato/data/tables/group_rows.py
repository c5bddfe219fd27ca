"""Rows that are mixed in a file, put together by the name they share; what is large waits in mapped files."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from ostinato.arrays import Array, Ids, Offsets
from ostinato.data.io.spool import Spool, blank
from ostinato.data.sequences import within
from ostinato.data.tables.list_columns import distinct_of

_ROWS = 1 << 18
"""Rows moved at a time."""


class Numbering:
    """Numbers for names, from 0 in the order in which they first come up."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def names(self) -> list[str]:
        """The name of each number."""
        return list(self._numbers)

    def of(self, names: pl.Series) -> Ids:
        """The number of each; `names` are texts, without nulls."""
        found, index = distinct_of(names)
        numbers = [self._numbers.setdefault(name, len(self._numbers)) for name in found]
        return np.asarray(numbers, dtype=np.int32)[index]


class Groups:
    """Rows gathered by name: first come, first; the rows of a name in the order in which they were added.

    It is a counting sort outside of memory: rows wait in spools, how many each name has is counted, and when all are
    there each row is moved once. What stays in memory grows with the names, not with the rows.
    """

    def __init__(self) -> None:
        self.numbering = Numbering()
        self._numbers = Spool()
        self._columns: dict[str, Spool] = {}
        self._counts = np.zeros(0, dtype=np.int64)
        self._last, self._mixed = 0, False

    def add(self, names: pl.Series, columns: Mapping[str, Array]) -> Ids:
        """Append rows: names (texts, no nulls), columns of numbers (n, …). Returns the numbers of the names."""
        numbers = self.numbering.of(names)
        if not len(numbers):
            return numbers
        counts = np.bincount(numbers, minlength=len(self.numbering))
        counts[: len(self._counts)] += self._counts
        self._counts = counts
        self._mixed |= bool((np.diff(numbers, prepend=self._last) < 0).any())
        self._last = int(numbers[-1])
        self._numbers.add(numbers)
        for name, values in columns.items():
            self._columns.setdefault(name, Spool()).add(values)
        return numbers

    def finish(self) -> tuple[Offsets, dict[str, Array]]:
        """Where the rows of each name begin and end (N + 1,), and the columns in that order. Ends the adding."""
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(self._counts)])
        numbers = self._numbers.finish()
        columns = {name: spool.finish() for name, spool in self._columns.items()}
        if not self._mixed:
            return offsets, columns
        moved = {name: blank(values.shape, values.dtype) for name, values in columns.items()}
        ends = offsets[:-1].copy()
        for start in range(0, len(numbers), _ROWS):
            rows = slice(start, start + _ROWS)
            order = np.argsort(numbers[rows], kind="stable")
            to = _places(numbers[rows][order], ends)
            for name, values in columns.items():
                moved[name][to] = values[rows][order]
        return offsets, moved


def _places(numbers: Ids, ends: Offsets) -> Offsets:
    """Where rows of these rising numbers go, each behind those of its number; `ends` moves on."""
    firsts = np.flatnonzero(np.diff(numbers, prepend=-1))
    counts = np.diff(firsts, append=len(numbers))
    places = ends[numbers] + within(counts)
    ends[numbers[firsts]] += counts
    return places
