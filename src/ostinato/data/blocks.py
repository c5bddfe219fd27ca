"""A block: some rows of a file or folder as a table, each row with the place it came from."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ostinato.data.arrays import Mask, Offsets


@dataclass(frozen=True)
class Block:
    """Some rows. `frame`: columns of text, or of lists (words, numbers, frames).

    `lines`: the 1-based line (Parquet: row) each row begins on.
    """

    frame: pl.DataFrame
    files: tuple[str, ...]
    """One name for the whole block, or one a row (a folder of texts)."""
    lines: Offsets

    def __len__(self) -> int:
        return len(self.lines)

    def location(self, row: int) -> tuple[str, int]:
        """Where row `row` stands: file and line."""
        return self.files[row if len(self.files) > 1 else 0], int(self.lines[row])

    def keep(self, mask: Mask) -> Block:
        """The rows where `mask` is true."""
        if mask.all():
            return self
        files = self.files
        if len(files) > 1:
            files = tuple(file for file, kept in zip(files, mask.tolist(), strict=True) if kept)
        return Block(self.frame.filter(mask), files, self.lines[mask])
