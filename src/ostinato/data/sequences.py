"""Encoded rows: all integers in one array, and where each row begins. Large data spills to a file that is mapped."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import IO, cast

import numpy as np
import polars as pl

from ostinato.data.blocks import Block, Lines

Ids = np.ndarray[tuple[int], np.dtype[np.int32]]
Offsets = np.ndarray[tuple[int], np.dtype[np.int64]]
Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]

SPILL_BYTES = 1 << 30
_PREVIEW_CHARACTERS = 300


@dataclass(frozen=True)
class Sequences:
    """Ragged rows of integers: row `i` is `values[offsets[i] : offsets[i + 1]]`."""

    values: Ids
    offsets: Offsets

    @classmethod
    def from_lengths(cls, values: Ids, lengths: Offsets) -> Sequences:
        """Rows one after the other, given their lengths."""
        return cls(values, cast("Offsets", np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Offsets:
        """Tokens in each row."""
        return cast("Offsets", np.diff(self.offsets))

    def row(self, index: int) -> Ids:
        """The integers of one row."""
        return cast("Ids", self.values[self.offsets[index] : self.offsets[index + 1]])

    def take(self, rows: Offsets) -> Sequences:
        """The rows `rows`, copied in that order, without a loop over rows."""
        lengths = self.lengths[rows]
        ends = np.cumsum(lengths)
        within = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - lengths, lengths)
        return Sequences.from_lengths(
            cast("Ids", self.values[np.repeat(self.offsets[:-1][rows], lengths) + within]), lengths
        )

    def truncate(self, max_length: int | None, cut: str) -> Sequences:
        """Rows of at most `max_length` tokens; `cut` says which part goes: "tail", "head" or "middle"."""
        lengths = self.lengths
        if max_length is None or len(lengths) == 0 or int(lengths.max()) <= max_length:
            return self
        kept = cast("Offsets", np.minimum(lengths, max_length))
        ends = np.cumsum(kept)
        within = np.arange(int(ends[-1])) - np.repeat(ends - kept, kept)
        skipped = np.repeat(lengths - kept, kept)
        front = {"tail": max_length, "head": 0, "middle": max_length - max_length // 2}[cut]
        source = np.repeat(self.offsets[:-1], kept) + within + np.where(within >= front, skipped, 0)
        return Sequences.from_lengths(cast("Ids", self.values[source]), kept)


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
            self._file = self._file or tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the mapping)
            for part in self._parts:
                self._file.write(part.tobytes())
            self._parts, self._bytes = [], 0

    def finish(self, table: Ids | None = None) -> Ids:
        """Everything added, in order; with `table`, each integer replaced by `table[integer]`."""
        if self._file is None:
            values = np.concatenate(self._parts) if self._parts else np.empty(0, dtype=np.int32)
            return cast("Ids", values if table is None else table[values])
        for part in self._parts:
            self._file.write(part.tobytes())
        self._parts = []
        self._file.flush()
        mapped = np.memmap(self._file, dtype=np.int32, mode="r+")
        for start in range(0, len(mapped) if table is not None else 0, 1 << 24):
            mapped[start : start + (1 << 24)] = cast("Ids", table)[mapped[start : start + (1 << 24)]]
        return cast("Ids", mapped)


class Places:
    """Where each row stood (file and line) and how its text began, to name it in messages and reports."""

    def __init__(self) -> None:
        self._files: list[str] = []
        self._file_of: list[Lines] = []
        self._lines: list[Lines] = []
        self._previews: list[pl.Series] = []
        self._joined: tuple[Lines, Lines, pl.Series] | None = None

    def add(self, block: Block, texts: pl.Series) -> None:
        """The rows of a block, whose input column is `texts`."""
        first = len(self._files)
        self._files.extend(block.files)
        step = np.arange(len(texts)) if len(block.files) > 1 else np.zeros(len(texts))
        self._file_of.append(cast("Lines", first + step.astype(np.int64)))
        self._lines.append(block.lines)
        self._previews.append(texts.str.slice(0, _PREVIEW_CHARACTERS).rename("text"))
        self._joined = None

    def __len__(self) -> int:
        return sum(map(len, self._lines))

    def _all(self) -> tuple[Lines, Lines, pl.Series]:
        if self._joined is None:
            previews = pl.concat(self._previews) if self._previews else pl.Series("text", [], dtype=pl.String)
            empty = [np.empty(0, dtype=np.int64)]
            file_of, lines = np.concatenate(self._file_of or empty), np.concatenate(self._lines or empty)
            self._joined = (cast("Lines", file_of), cast("Lines", lines), previews)
        return self._joined

    def location(self, row: int) -> tuple[str, int]:
        """File and line of a row."""
        file_of, lines, _ = self._all()
        return self._files[int(file_of[row])], int(lines[row])

    def preview(self, row: int) -> str:
        """How the row's text began."""
        return str(self._all()[2][row])
