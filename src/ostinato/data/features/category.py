"""A category: one of several names a row, an integer."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ostinato.data.arrays import Array
from ostinato.data.features.base import Draft, FittedFeature
from ostinato.data.sequences import Sequences
from ostinato.data.vocabulary import SPECIAL, UNK_ID
from ostinato.errors import DataError
from ostinato.recipe.kinds import CategoryRecipe


class CategoryFeature(FittedFeature):
    """Names to integers, in alphabetical order after the special tokens; a name that training never showed is <unk>.

    Args:
        recipe: of the feature.
        names: the names, in order of their integers.
        counts: how often training rows held each integer.
    """

    form = "ids"
    ragged = False

    def __init__(self, recipe: CategoryRecipe, names: tuple[str, ...], counts: tuple[int, ...]) -> None:
        self.recipe, self.names = recipe, names
        self.counts = np.asarray(counts, dtype=np.int64)
        self._numbers = {name: number for number, name in enumerate((*SPECIAL, *names))}

    @property
    def vocab_size(self) -> int:
        """Names and special tokens."""
        return len(self._numbers)

    @classmethod
    def read(cls, recipe: CategoryRecipe, cells: pl.Series) -> Draft:
        """The names as they stand."""
        names = np.asarray(cells.cast(pl.String).str.strip_chars().to_list(), dtype=object)
        lengths = np.ones(len(names), dtype=np.int64)
        return Draft(lengths, Sequences.from_lengths(names, lengths))

    @classmethod
    def fit(cls, recipe: CategoryRecipe, values: Array) -> CategoryFeature:
        """All names of training rows. Raises `DataError` where there is only one."""
        names, counts = np.unique(values.astype(str), return_counts=True)
        if len(names) < 2:
            raise DataError(f"a category needs at least two names in the training data. Received: {names.tolist()}.")
        return cls(recipe, tuple(names.tolist()), (*(0 for _ in SPECIAL), *counts.tolist()))

    def transform(self, values: Array) -> Array:
        """Integers."""
        return np.asarray([self._numbers.get(name, UNK_ID) for name in values.tolist()], dtype=np.int32)

    def decode(self, values: Array) -> str:
        """The name of a row."""
        return (*SPECIAL, *self.names)[int(np.ravel(values)[0])]

    def to_dict(self) -> dict[str, Any]:
        """The names and how often there were."""
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "names": list(self.names),
            "counts": self.counts.tolist(),
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> CategoryFeature:
        """The inverse of `to_dict`."""
        return cls(CategoryRecipe.model_validate(saved["recipe"]), tuple(saved["names"]), tuple(saved["counts"]))
