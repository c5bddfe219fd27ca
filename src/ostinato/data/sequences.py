"""Encoded rows: all integers in one array, and where each row begins. Large data spills to a file that is mapped."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import dataclass
from typing import IO

import numpy as np

from ostinato.data.arrays import Array, Ids, Offsets
from ostinato.data.places import Places

__all__ = ["Array", "Ids", "Offsets", "Places", "Sequences", "Spool"]

SPILL_BYTES = 1 << 30
_STEP_TOKENS = 1 << 23


@dataclass(frozen=True)
class Sequences:
    """Ragged rows of integers: row `i` is `values[offsets[i] : offsets[i + 1]]`."""

    values: Ids
    offsets: Offsets

    @classmethod
    def from_lengths(cls, values: Ids, lengths: Offsets) -> Sequences:
        """Rows one after the other, given their lengths."""
        return cls(values, np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Offsets:
        """Tokens in each row."""
        return np.diff(self.offsets)

    def row(self, index: int) -> Ids:
        """The integers of one row."""
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def take(self, rows: Offsets) -> Sequences:
        """The rows `rows`, copied in that order, some millions of tokens at a time; much spills to a file."""
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        spool = Spool()
        steps = np.cumsum(lengths) // _STEP_TOKENS
        cuts = [0, *(np.flatnonzero(np.diff(steps)) + 1).tolist(), len(rows)]
        for first, last in itertools.pairwise(cuts):
            some = lengths[first:last]
            spool.add(self.values[np.repeat(starts[first:last], some) + _within(some)])
        return Sequences.from_lengths(spool.finish(), lengths)

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


class Spool:
    """Collects integers; beyond `SPILL_BYTES` they go to an unnamed temporary file that is mapped into memory."""

    def __init__(self) -> None:
        self._parts: list[Ids] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None

    def add(self, values: Ids) -> None:
        """Append `values`."""
        self._parts.append(values)
        self._bytes += values.nbytes
        if self._bytes > SPILL_BYTES:
            self._spill()

    def finish(self, table: Ids | None = None) -> Ids:
        """Everything added, in order; with `table`, each integer replaced by `table[integer]`. Ends the adding."""
        if self._file is not None:
            self._spill()
            with self._file as file:  # the mapping holds the file open
                file.flush()
                self._parts = [np.memmap(file, dtype=np.int32, mode="r+")]
            self._file = None
        values = (
            self._parts[0] if len(self._parts) == 1 else np.concatenate([np.empty(0, dtype=np.int32), *self._parts])
        )
        self._parts = [values]
        if table is None:
            return values
        if not isinstance(values, np.memmap):
            return table[values]
        for start in range(0, len(values), _STEP_TOKENS):
            values[start : start + _STEP_TOKENS] = table[values[start : start + _STEP_TOKENS]]
        return values

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed when it is mapped)
        for part in self._parts:
            self._file.write(part.tobytes())
        self._parts, self._bytes = [], 0
