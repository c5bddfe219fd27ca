"""Numbers that go with a sequence: one a row, or a list of as many in every row; standardised by the training rows."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl

from ostinato.data.features.base import Draft
from ostinato.data.features.scaled import ScaledFeature
from ostinato.data.sequences import Sequences
from ostinato.recipe.kinds import NumbersRecipe


class NumbersFeature(ScaledFeature):
    """C numbers a row, each scaled by the training rows."""

    ragged = False
    recipe_type = NumbersRecipe

    @classmethod
    def read(cls, recipe: NumbersRecipe, cells: pl.Series) -> Draft:
        """Numbers, JSON lists of numbers, or lists; a block's rows must all have as many as its first good one."""
        rows: list[list[float]] = []
        problems: dict[int, str] = {}
        width = 0
        for number, cell in enumerate(cells.to_list()):
            row = _numbers(cell)
            if row is None or not np.isfinite(row).all():
                problems[number] = f"not a finite number: {str(cell)[:60]!r}"
            elif width and len(row) != width:
                problems[number] = f"holds {len(row)} numbers, the rows before it {width}"
            else:
                width = len(row)
            rows.append(row if row and number not in problems else [])
        values = np.asarray([row or [0.0] * width for row in rows], dtype=np.float64).reshape(len(rows), width)
        lengths = np.ones(len(rows), dtype=np.int64)
        return Draft(lengths, Sequences.from_lengths(values, lengths), problems)


def _numbers(cell: Any) -> list[float] | None:
    if isinstance(cell, list):
        found = cell
    else:
        try:
            found = json.loads(cell) if isinstance(cell, str) else cell
        except json.JSONDecodeError:
            return None
        found = found if isinstance(found, list) else [found]
    numeric = all(isinstance(x, int | float) and not isinstance(x, bool) for x in found)
    return [float(x) for x in found] if numeric and found else None
