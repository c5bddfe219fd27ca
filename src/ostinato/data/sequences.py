"""Encoded rows: all values in one array, and where each row begins. Large data spills to a file that is mapped."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from ostinato.data.arrays import Array, Ids, Offsets
from ostinato.data.places import Places
from ostinato.errors import DataError

__all__ = ["Array", "Ids", "Offsets", "Places", "Sequences", "Spool"]

SPILL_BYTES = 1 << 26
"""More than this waits in a temporary file."""
_STEP_BYTES = 1 << 23


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
        spool = Spool()
        taken = Sequences.from_lengths(self.values[:0], lengths)
        for first, last in runs_of(taken.offsets, steps_of(self.values)):
            some = lengths[first:last]
            spool.add(self.values[np.repeat(starts[first:last], some) + _within(some)])
        return Sequences(spool.finish(), taken.offsets)

    def truncate(self, max_length: int | None, cut: str) -> Sequences:
        """Rows of at most `max_length` tokens; `cut` says which part goes: "tail", "head" or "middle"."""
        lengths = self.lengths
        if max_length is None or len(lengths) == 0 or int(lengths.max()) <= max_length:
            return self
        kept = np.minimum(lengths, max_length)
        within = _within(kept)
        skipped = np.repeat(lengths - kept, kept)
        front = {"tail": max_length, "head": 0, "middle": max_length - max_length // 2}[cut]
        source = np.repeat(self.offsets[:-1], kept) + within + np.where(within >= front, skipped, 0)
        return Sequences.from_lengths(self.values[source], kept)


def _within(lengths: Offsets) -> Offsets:
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


def steps_of(values: Array) -> int:
    """How many values make some megabytes: what is worked on at a time."""
    return max(1, _STEP_BYTES // max(1, values[:1].nbytes))


def blank(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array to be filled; a large one is a temporary file that is mapped."""
    count = int(np.prod(shape))
    if count * np.dtype(dtype).itemsize <= SPILL_BYTES:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:
        mapped: Array = np.memmap(file, dtype=dtype, mode="w+", shape=shape)
        return mapped


class Spool:
    """Collects values; beyond `SPILL_BYTES` they go to an unnamed temporary file that is mapped into memory."""

    def __init__(self) -> None:
        self._parts: list[Array] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None
        self._like: Array = np.empty(0, dtype=np.int32)

    def add(self, values: Array) -> None:
        """Append `values`, (n, ...): all of one type, with the same axes after the first."""
        if len(self._like) and len(values) and values.shape[1:] != self._like.shape[1:]:
            raise DataError(
                f"every row must have values of one shape. Received: {self._like.shape[1:]}, then {values.shape[1:]}."
            )
        self._parts.append(values)
        self._bytes += values.nbytes
        if len(values) or not len(self._like):
            self._like = values[:1]
        if self._bytes > SPILL_BYTES and not values.dtype.hasobject:
            self._spill()

    def finish(self, table: Ids | None = None) -> Array:
        """Everything added, in order; with `table`, each integer replaced by `table[integer]`. Ends the adding."""
        shape = (-1, *self._like.shape[1:])
        if self._file is not None:
            self._spill()
            with self._file as file:  # the mapping holds the file open
                file.flush()
                mapped: Array = np.memmap(file, dtype=self._like.dtype, mode="r+")
                self._parts = [mapped.reshape(shape)]
            self._file = None
        parts = [part for part in self._parts if len(part)] or [self._like[:0]]
        values = parts[0] if len(parts) == 1 else np.concatenate(parts)
        self._parts = [values]
        if table is None:
            return values
        if not isinstance(values, np.memmap):
            return table[values]
        step = steps_of(values)
        for start in range(0, len(values), step):
            values[start : start + step] = table[values[start : start + step]]
        return values

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed when it is mapped)
        for part in self._parts:
            self._file.write(np.ascontiguousarray(part).tobytes())
        self._parts, self._bytes = [], 0
