"""Where each row came from, to name it in messages and reports."""

from __future__ import annotations

import json

import numpy as np
import polars as pl

from ostinato.arrays import Array
from ostinato.data.io.blocks import Block
from ostinato.data.io.spool import Spool

PREVIEW_CHARACTERS = 300


class Texts:
    """A text a row, as UTF-8 one after the other."""

    def __init__(self) -> None:
        self._texts, self._lengths = Spool(), Spool()
        self._joined: tuple[Array, Array] | None = None

    def add(self, texts: pl.Series) -> None:
        """Further rows; where there is no text, an empty one."""
        texts = texts.fill_null("")
        self._texts.add(np.frombuffer("".join(texts.to_list()).encode(), dtype=np.uint8))
        self._lengths.add(texts.str.len_bytes().to_numpy().astype(np.int64))
        self._joined = None

    def __getitem__(self, row: int) -> str:
        if self._joined is None:
            self._joined = self._texts.finish(), np.cumsum(self._lengths.finish())
        texts, ends = self._joined
        start = int(ends[row - 1]) if row else 0
        return texts[start : int(ends[row])].tobytes().decode()


class Places:
    """The place of each row (file and line), how its text began, and what else the file says of it: what tells rows
    apart, and the text that was to be written.

    Args:
        longest: characters of the input that are kept; None: all of them.
    """

    def __init__(self, longest: int | None = PREVIEW_CHARACTERS) -> None:
        self.longest = longest
        self._files: list[str] = []
        self._count = self._num_given = self._num_targets = 0
        self._file_of, self._lines, self._given = (Spool() for _ in range(3))
        self._previews, self._targets = Texts(), Texts()
        self._joined: tuple[Array, Array, Array] | None = None

    def add(
        self, block: Block, cells: pl.Series, given: pl.DataFrame | None = None, target: pl.Series | None = None
    ) -> None:
        """The rows of a block.

        Args:
            block: of good rows.
            cells: the input column.
            given: all columns that are read, the input among them.
            target: the column of what is to be written, where that is tokens.
        """
        step = np.arange(len(cells)) if len(block.files) > 1 else np.zeros(len(cells), dtype=np.int64)
        self._file_of.add((len(self._files) + step).astype(np.int32))
        self._files.extend(block.files)
        self._lines.add(block.lines)
        self._previews.add(preview_of(cells, self.longest))
        if given is not None:
            stripped = given.with_columns(pl.col(pl.String).str.strip_chars())
            self._given.add(np.stack([stripped.hash_rows(seed).to_numpy() for seed in (1, 2)], axis=1))
            self._num_given += len(given)
        if target is not None:
            self._targets.add(as_texts(target))
            self._num_targets += len(target)
        self._count += len(cells)
        self._joined = None

    def __len__(self) -> int:
        return self._count

    def _all(self) -> tuple[Array, Array, Array]:
        if self._joined is None:
            self._joined = self._file_of.finish(), self._lines.finish(), self._given.finish()
        return self._joined

    def location(self, row: int) -> tuple[str, int]:
        """File and line of a row."""
        file_of, lines, _ = self._all()
        return self._files[int(file_of[row])], int(lines[row])

    def preview(self, row: int) -> str:
        """How the row's text began."""
        return self._previews[row]

    def given(self, row: int) -> bytes | None:
        """What distinguishes a row from others: a checksum (128 bits) of the cells that are read, as in the
        file, white space around them aside; None where that is not known."""
        return self._all()[2][row].tobytes() if row < self._num_given else None

    def target(self, row: int) -> str | None:
        """The text that was to be written, as in the file; None where that is not known."""
        return self._targets[row] if row < self._num_targets else None


def as_texts(cells: pl.Series) -> pl.Series:
    """Cells as text; lists of words as JSON."""
    if cells.dtype == pl.List(pl.String):
        return pl.Series([json.dumps(cell.to_list(), ensure_ascii=False) for cell in cells], dtype=pl.String)
    return cells.cast(pl.String)


def preview_of(cells: pl.Series, longest: int | None = PREVIEW_CHARACTERS) -> pl.Series:
    """How each cell begins, as text: words of a list with spaces between, numbers as they are written."""
    if cells.dtype == pl.List(pl.String):
        cells = (cells.list.head(longest) if longest else cells).list.join(" ")
    elif isinstance(cells.dtype, pl.Array):
        size = " × ".join(map(str, cells.dtype.shape))
        return pl.Series(cells.name, [f"{size} numbers"], dtype=pl.String).new_from_index(0, len(cells))
    elif cells.dtype.is_nested():
        texts = [None if cell is None else str(_head(cell))[:longest] for cell in cells]
        return pl.Series(cells.name, texts, dtype=pl.String)
    return cells.cast(pl.String).str.slice(0, longest)


def _head(cell: object) -> object:
    return cell.head(20).to_list() if isinstance(cell, pl.Series) else cell
