"""Encoded rows: all values in one array, and where each row begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ostinato.arrays import Array, Offsets
from ostinato.data.io.spool import spooled, steps_of, stretches


@dataclass(frozen=True)
class Sequences:
    """Ragged rows: row `i` is `values[offsets[i] : offsets[i + 1]]`, (L, ...): integers, or a frame a step."""

    values: Array
    offsets: Offsets

    @classmethod
    def from_lengths(cls, values: Array, lengths: Offsets) -> Sequences:
        """Rows one after the other, given their lengths."""
        return cls(values, np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Offsets:
        """Tokens in each row."""
        return np.diff(self.offsets)

    def row(self, index: int) -> Array:
        """The values of one row."""
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def take(self, rows: Offsets) -> Sequences:
        """The rows `rows`, copied in that order, some megabytes at a time; much spills to a file."""
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        taken = Sequences.from_lengths(self.values[:0], lengths)
        parts = (
            self.values[np.repeat(starts[first:last], lengths[first:last]) + within(lengths[first:last])]
            for first, last in runs_of(taken.offsets, steps_of(self.values))
        )
        return Sequences(spooled(parts), taken.offsets)

    def joined(self, later: Sequences) -> Sequences:
        """These rows, then the others."""
        parts = (part.values[some] for part in (self, later) for some in stretches(part.values))
        return Sequences.from_lengths(spooled(parts), np.concatenate([self.lengths, later.lengths]))

    def truncate(self, max_length: int | None, cut: str) -> Sequences:
        """Rows of at most `max_length` tokens; `cut` says which part goes: "tail", "head" or "middle"."""
        lengths = self.lengths
        if max_length is None or len(lengths) == 0 or int(lengths.max()) <= max_length:
            return self
        kept = np.minimum(lengths, max_length)
        places = within(kept)
        skipped = np.repeat(lengths - kept, kept)
        front = {"tail": max_length, "head": 0, "middle": max_length - max_length // 2}[cut]
        source = np.repeat(self.offsets[:-1], kept) + places + np.where(places >= front, skipped, 0)
        return Sequences.from_lengths(self.values[source], kept)


def within(lengths: Offsets) -> Offsets:
    """0, 1, … up to each length, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - lengths, lengths)


def runs_of(offsets: Offsets, size: int) -> Iterator[tuple[int, int]]:
    """Runs of rows, from `first` up to `last`, of `size` values at most, or of one row that has more."""
    first, count = 0, len(offsets) - 1
    while first < count:
        last = int(np.searchsorted(offsets, offsets[first] + size, side="right")) - 1
        last = min(max(last, first + 1), count)
        yield first, last
        first = last
