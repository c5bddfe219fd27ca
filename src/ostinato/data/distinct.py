"""Rows equal in their input: the first is kept, so that none is in training and validation at once."""

from __future__ import annotations

import numpy as np
import polars as pl

from ostinato.arrays import Mask
from ostinato.data.io.blocks import Block
from ostinato.data.rejects import counted

_NAMED = 5


class Distinct:
    """Remembers the input cells seen so far. White space around a text and its case make no difference.

    Args:
        column: the input.
        target: the column to predict, whose contradictions are named.
    """

    def __init__(self, column: str, target: str | None) -> None:
        self.column, self.target = column, target
        self._seen: dict[object, tuple[str, str | None]] = {}
        self._num_dropped = self._num_contradictions = 0
        self._contradictions: list[str] = []

    def keep(self, block: Block, good: Mask) -> Mask:
        """`good` without the rows whose input an earlier good row had."""
        kept = good.copy()
        cells = _comparable(block.table[self.column])
        targets = block.table[self.target].to_list() if self.target else [None] * len(block)
        for row in np.flatnonzero(good).tolist():
            file, line = block.location(row)
            here = f"{file}:{line}"
            place, target = self._seen.setdefault(cells[row], (here, targets[row]))
            if place == here:
                continue
            kept[row] = False
            self._num_dropped += 1
            if targets[row] != target:
                self._num_contradictions += 1
                if len(self._contradictions) < _NAMED:
                    self._contradictions.append(f"{here} ({targets[row]}) and {place} ({target})")
        return kept

    def notes(self) -> list[str]:
        """What a user should know of it, once all is read."""
        notes = []
        if self._num_dropped:
            notes.append(f"equal in {self.column} to a row before, left out: {counted(self._num_dropped, 'row')}")
        if self._num_contradictions:
            more = self._num_contradictions - len(self._contradictions)
            named = "; ".join(self._contradictions) + (f"; and {more} more" if more else "")
            count = counted(self._num_contradictions, "row")
            notes.append(f"of them with another {self.target} than the row before, which stays: {count}: {named}")
        return notes


def _comparable(cells: pl.Series) -> list[object]:
    if cells.dtype == pl.String:
        return list(cells.str.strip_chars().str.to_lowercase())
    return [str(cell.to_list()) if isinstance(cell, pl.Series) else str(cell) for cell in cells]
