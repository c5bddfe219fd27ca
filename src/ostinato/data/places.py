"""Where each row came from, to name it in messages and reports."""

from __future__ import annotations

import numpy as np
import polars as pl

from ostinato.arrays import Array
from ostinato.data.io.blocks import Block
from ostinato.data.io.spool import Spool

_PREVIEW_CHARACTERS = 300


class Places:
    """Where each row stood (file and line) and how its text began, to name it in messages and reports."""

    def __init__(self) -> None:
        self._files: list[str] = []
        self._count = 0
        self._file_of, self._lines, self._texts, self._lengths = (Spool() for _ in range(4))
        self._joined: tuple[Array, Array, Array, Array] | None = None

    def add(self, block: Block, cells: pl.Series) -> None:
        """The rows of a block, whose input column is `cells`."""
        step = np.arange(len(cells)) if len(block.files) > 1 else np.zeros(len(cells), dtype=np.int64)
        self._file_of.add((len(self._files) + step).astype(np.int32))
        self._files.extend(block.files)
        self._lines.add(block.lines)
        previews = preview_of(cells).fill_null("")
        self._texts.add(np.frombuffer("".join(previews.to_list()).encode(), dtype=np.uint8))
        self._lengths.add(previews.str.len_bytes().to_numpy().astype(np.int64))
        self._count += len(cells)
        self._joined = None

    def __len__(self) -> int:
        return self._count

    def _all(self) -> tuple[Array, Array, Array, Array]:
        if self._joined is None:
            file_of, lines, texts, lengths = (
                spool.finish() for spool in (self._file_of, self._lines, self._texts, self._lengths)
            )
            self._joined = (file_of, lines, texts, np.cumsum(lengths))
        return self._joined

    def location(self, row: int) -> tuple[str, int]:
        """File and line of a row."""
        file_of, lines, _, _ = self._all()
        return self._files[int(file_of[row])], int(lines[row])

    def preview(self, row: int) -> str:
        """How the row's text began."""
        _, _, texts, ends = self._all()
        start = int(ends[row - 1]) if row else 0
        return texts[start : int(ends[row])].tobytes().decode()


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
