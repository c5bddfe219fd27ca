"""A category: one of several names a row, an integer."""

from __future__ import annotations

import numpy as np
import polars as pl

from ostinato.arrays import Array
from ostinato.data.features.base import Draft
from ostinato.data.features.named import ListedFeature
from ostinato.data.sequences import Sequences
from ostinato.data.vocabulary import SPECIAL, UNK_ID
from ostinato.errors import DataError
from ostinato.recipe.kinds import CategoryRecipe


class CategoryFeature(ListedFeature):
    """Names to integers, in alphabetical order after the special tokens; a name that training never showed is <unk>.

    Args:
        recipe: of the feature.
        names: the names, in order of their integers.
        counts: how often training rows held each integer.
    """

    ragged = False
    recipe_type = CategoryRecipe

    def __init__(self, recipe: CategoryRecipe, names: tuple[str, ...], counts: tuple[int, ...]) -> None:
        super().__init__(recipe, names, counts)
        self._numbers = {name: number for number, name in enumerate((*SPECIAL, *names))}

    @property
    def vocab_size(self) -> int:
        """Names and special tokens."""
        return len(self._numbers)

    @classmethod
    def read(cls, recipe: CategoryRecipe, cells: pl.Series) -> Draft:
        """The names as they are."""
        names = np.asarray(cells.cast(pl.String).str.strip_chars().to_list(), dtype=object)
        lengths = np.ones(len(names), dtype=np.int64)
        return Draft(lengths, Sequences.from_lengths(names, lengths))

    @classmethod
    def fit_names(cls, recipe: CategoryRecipe, names: list[str], counts: list[int]) -> CategoryFeature:
        """All names of training rows. Raises `DataError` where there is only one."""
        if len(names) < 2:
            raise DataError(f"a category needs at least two names in the training data. Received: {names}.")
        return cls(recipe, tuple(names), (*(0 for _ in SPECIAL), *counts))

    def transform(self, values: Array) -> Array:
        """Integers."""
        return np.asarray([self._numbers.get(name, UNK_ID) for name in values.tolist()], dtype=np.int32)

    def decode(self, values: Array) -> str:
        """The name of a row."""
        return (*SPECIAL, *self.names)[int(np.ravel(values)[0])]
