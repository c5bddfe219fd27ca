"""Where each row came from, to name it in messages and reports."""

from __future__ import annotations

import numpy as np
import polars as pl

from ostinato.data.arrays import Offsets
from ostinato.data.blocks import Block

_PREVIEW_CHARACTERS = 300


class Places:
    """Where each row stood (file and line) and how its text began, to name it in messages and reports."""

    def __init__(self) -> None:
        self._files: list[str] = []
        self._file_of: list[Offsets] = []
        self._lines: list[Offsets] = []
        self._previews: list[pl.Series] = []
        self._joined: tuple[Offsets, Offsets, pl.Series] | None = None

    def add(self, block: Block, cells: pl.Series) -> None:
        """The rows of a block, whose input column is `cells`."""
        first = len(self._files)
        self._files.extend(block.files)
        step = np.arange(len(cells)) if len(block.files) > 1 else np.zeros(len(cells))
        self._file_of.append(first + step.astype(np.int64))
        self._lines.append(block.lines)
        self._previews.append(preview_of(cells).rename("text"))
        self._joined = None

    def __len__(self) -> int:
        return sum(map(len, self._lines))

    def _all(self) -> tuple[Offsets, Offsets, pl.Series]:
        if self._joined is None:
            previews = pl.concat(self._previews) if self._previews else pl.Series("text", [], dtype=pl.String)
            empty = [np.empty(0, dtype=np.int64)]
            file_of, lines = np.concatenate(self._file_of or empty), np.concatenate(self._lines or empty)
            self._joined = (file_of, lines, previews)
        return self._joined

    def location(self, row: int) -> tuple[str, int]:
        """File and line of a row."""
        file_of, lines, _ = self._all()
        return self._files[int(file_of[row])], int(lines[row])

    def preview(self, row: int) -> str:
        """How the row's text began."""
        return str(self._all()[2][row])


def preview_of(cells: pl.Series) -> pl.Series:
    """How each cell begins, as text: words of a list with spaces between, numbers as they are written."""
    if cells.dtype == pl.List(pl.String):
        cells = cells.list.head(_PREVIEW_CHARACTERS).list.join(" ")
    elif isinstance(cells.dtype, pl.Array):
        size = " × ".join(map(str, cells.dtype.shape))
        return pl.Series(cells.name, [f"{size} numbers"], dtype=pl.String).new_from_index(0, len(cells))
    elif cells.dtype.is_nested():
        texts = [None if cell is None else str(_head(cell))[:_PREVIEW_CHARACTERS] for cell in cells]
        return pl.Series(cells.name, texts, dtype=pl.String)
    return cells.cast(pl.String).str.slice(0, _PREVIEW_CHARACTERS)


def _head(cell: object) -> object:
    return cell.head(20).to_list() if isinstance(cell, pl.Series) else cell
