"""A label for each step: the target of tagging."""

from __future__ import annotations

import numpy as np
import polars as pl

from ostinato.arrays import Array
from ostinato.data.features.base import Draft
from ostinato.data.features.named import ListedFeature
from ostinato.data.features.tokens import read_lists
from ostinato.errors import DataError
from ostinato.recipe.kinds import TagsRecipe

IGNORED = -1
"""The id of a tag that is not scored; integers below it are tags that training rows never showed."""
_SHOWN_TAGS = 12


class TagsFeature(ListedFeature):
    """Tags to integers in alphabetical order. Tags of `recipe.ignore` are -1: neither learnt nor scored.

    A tag that training rows never showed makes a row of another file a bad one. In rows held out of the training file,
    and everywhere with `unseen: wrong`, it gets an integer below -1: every answer to it counts as wrong.

    Args:
        recipe: of the feature.
        names: the tags, in order of their integers.
        counts: how often training rows held each.
    """

    recipe_type = TagsRecipe
    predicted, per_step, answer = True, True, "tag"

    def __init__(self, recipe: TagsRecipe, names: tuple[str, ...], counts: tuple[int, ...]) -> None:
        super().__init__(recipe, names, counts)
        self._numbers = {name: number for number, name in enumerate(names)} | dict.fromkeys(recipe.ignore, IGNORED)
        self._unseen: list[str] = []

    @property
    def vocab_size(self) -> int:
        """The number of tags."""
        return len(self.names)

    @property
    def step_noun(self) -> str:
        """A tag."""
        return "tag"

    @classmethod
    def read(cls, recipe: TagsRecipe, cells: pl.Series) -> Draft:
        """The tags as they are."""
        return read_lists(cells, characters=recipe.split == "characters")

    @classmethod
    def fit_names(cls, recipe: TagsRecipe, names: list[str], counts: list[int]) -> TagsFeature:
        """All tags of training rows. Raises `DataError` where there is only one."""
        kept = {name: count for name, count in zip(names, counts, strict=True) if name not in recipe.ignore}
        if len(kept) < 2:
            raise DataError(f"tagging needs at least two tags in the training data. Received: {list(kept)}.")
        return cls(recipe, tuple(kept), tuple(kept.values()))

    def transform(self, values: Array) -> Array:
        """(sum L,) int64."""
        for tag in dict.fromkeys(values.tolist()):
            if tag not in self._numbers:
                self._unseen.append(tag)
                self._numbers[tag] = IGNORED - len(self._unseen)
        return np.asarray([self._numbers[tag] for tag in values.tolist()], dtype=np.int64)

    def draft(self, cells: pl.Series) -> Draft:
        """Cells of new data; a row with a tag that training never showed can't be used, unless the recipe says so."""
        found = super().draft(cells)
        content = found.encoded
        if self.recipe.unseen == "wrong":
            return found
        problems = dict(found.problems)
        places = np.flatnonzero(content.values < IGNORED)
        for row in np.unique(np.searchsorted(content.offsets, places, side="right") - 1).tolist():
            place = int(np.flatnonzero(content.row(row) < IGNORED)[0])
            tag = self.decode(content.row(row)[place : place + 1])[0]
            problems.setdefault(
                row, f"tag {tag!r} at step {place + 1} does not occur in the training data: {self._listed()}"
            )
        return Draft(found.lengths, content, problems, found.notes)

    def _listed(self) -> str:
        more = len(self.names) - _SHOWN_TAGS
        return ", ".join(self.names[:_SHOWN_TAGS]) + (f" and {more} more" if more > 0 else "")

    def decode(self, values: Array) -> list[str]:
        """The tags of a row; one that is not scored is `-`."""
        names = {**dict(enumerate(self.names)), IGNORED: "-"}
        names |= {IGNORED - 1 - k: name for k, name in enumerate(self._unseen)}
        return [names[int(number)] for number in values]
