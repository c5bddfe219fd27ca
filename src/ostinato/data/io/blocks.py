"""A block: some rows of a file or folder as a table, each row with the place it came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import polars as pl

from ostinato.arrays import Mask, Offsets


@dataclass(frozen=True)
class Block:
    """Some rows. `table`: columns of text, or of lists (words, numbers, frames).

    `lines`: the 1-based line (Parquet: row) each row begins on.
    """

    table: pl.DataFrame
    files: tuple[str, ...]
    """One name for the whole block, or one a row (a folder of texts)."""
    lines: Offsets

    def __len__(self) -> int:
        return len(self.lines)

    def location(self, row: int) -> tuple[str, int]:
        """The place of row `row`: file and line."""
        return self.files[row if len(self.files) > 1 else 0], int(self.lines[row])

    def keep(self, mask: Mask) -> Block:
        """The rows where `mask` is true."""
        if mask.all():
            return self
        files = self.files
        if len(files) > 1:
            files = tuple(file for file, kept in zip(files, mask.tolist(), strict=True) if kept)
        return Block(self.table.filter(mask), files, self.lines[mask])

    def named(self, alias: Callable[[str], str]) -> Block:
        """The block with its files called otherwise."""
        return self if alias is str else Block(self.table, tuple(map(alias, self.files)), self.lines)


def located(block: Block, cells: pl.Series) -> pl.Series:
    """Cells that name files, those next to the table that names them as a path from here."""
    if cells.dtype != pl.String:
        return cells
    found = [located_cell(block.location(row)[0], cell) for row, cell in enumerate(cells.to_list())]
    return pl.Series(cells.name, found, dtype=pl.String)


def located_cell(file: str, cell: str | None) -> str | None:
    """A cell of the table `file`, where it names a file next to that as a path from here.

    One that names no file in the table's folder stays as it is: what reads it will say so.
    """
    if not cell or cell == file or cell.lstrip().startswith("[") or "\0" in cell:
        return cell
    archive, mark, member = file.partition("#")
    beside = f"{archive}#{PurePosixPath(member).parent / cell}" if mark else str(Path(file).parent / cell)
    there = Path(beside).is_file() or ("#" in beside and Path(beside.partition("#")[0]).is_file())
    return beside if there else cell
