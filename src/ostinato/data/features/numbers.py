"""Numbers beside a sequence: one a row, or a list of as many in every row; standardised by the training rows."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl

from ostinato.data.arrays import Array
from ostinato.data.features.base import Draft, FittedFeature
from ostinato.data.sequences import Sequences
from ostinato.recipe.kinds import NumbersRecipe


class NumbersFeature(FittedFeature):
    """`(x - mean) / std` of each of C numbers; a number that never changes becomes 0.

    Args:
        recipe: of the feature.
        mean: (C,) of the training rows.
        std: (C,) of the training rows.
    """

    form = "vectors"
    ragged = False

    def __init__(self, recipe: NumbersRecipe, mean: Array, std: Array) -> None:
        self.recipe, self.mean, self.std = recipe, mean, std

    @property
    def value_shape(self) -> tuple[int, ...]:
        """(C,)."""
        return (len(self.mean),)

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

    @classmethod
    def fit(cls, recipe: NumbersRecipe, values: Array) -> NumbersFeature:
        """Mean and standard deviation of the training rows."""
        std = values.std(axis=0)
        return cls(recipe, values.mean(axis=0), np.where(std > 0, std, np.inf))

    def transform(self, values: Array) -> Array:
        """(N, C) float32."""
        return ((values - self.mean) / self.std).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Mean and standard deviation."""
        std = [None if np.isinf(s) else float(s) for s in self.std]
        return {"recipe": self.recipe.model_dump(mode="json"), "mean": self.mean.tolist(), "std": std}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> NumbersFeature:
        """The inverse of `to_dict`."""
        std = np.asarray([np.inf if s is None else s for s in saved["std"]], dtype=np.float64)
        return cls(NumbersRecipe.model_validate(saved["recipe"]), np.asarray(saved["mean"], dtype=np.float64), std)


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
