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

    def add(self, block: Block, texts: pl.Series) -> None:
        """The rows of a block, whose input column is `texts`."""
        first = len(self._files)
        self._files.extend(block.files)
        step = np.arange(len(texts)) if len(block.files) > 1 else np.zeros(len(texts))
        self._file_of.append(first + step.astype(np.int64))
        self._lines.append(block.lines)
        self._previews.append(texts.str.slice(0, _PREVIEW_CHARACTERS).rename("text"))
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
