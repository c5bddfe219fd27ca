"""A block: some rows of a file or folder as a table, each row with the place it came from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ostinato.arrays import Mask, Offsets


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


def located(block: Block, cells: pl.Series) -> pl.Series:
    """Cells that name files, those beside the table they stand in as a path from here.

    A cell that names no file in the table's folder stays as it is: what reads it will say so.
    """
    if cells.dtype != pl.String:
        return cells
    found: list[str | None] = []
    for row, cell in enumerate(cells.to_list()):
        folder = Path(block.location(row)[0]).parent
        beside = folder / cell if cell and not cell.lstrip().startswith("[") and "\0" not in cell else None
        there = beside is not None and (beside.is_file() or Path(str(beside).partition("#")[0]).is_file())
        found.append(str(beside) if there else cell)
    return pl.Series(cells.name, found, dtype=pl.String)
