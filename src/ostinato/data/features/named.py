"""What features of names (words, tags, categories) share: strings that are numbered, few of them and often the same.

While a file is read a name waits as a provisional integer, by order of appearance; when all is read, one table turns
these into final ones. So a column takes four bytes a name, in a mapped file where there are many.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import numpy as np

from ostinato.arrays import Array, Mask
from ostinato.data.features.base import Draft, Feature, FittedBuilder, FittedFeature, TrainingPart
from ostinato.data.io.spool import spooled, stretches
from ostinato.data.sequences import Sequences
from ostinato.recipe import Component


class NamedFeature(FittedFeature):
    """A feature whose raw values are strings, each of which always becomes the same number."""

    @classmethod
    @abstractmethod
    def fit_names(cls, recipe: Any, names: list[str], counts: list[int]) -> Self:
        """The feature for the names of training rows, in alphabetical order, and how often each was there."""

    @classmethod
    def fit(cls, recipe: Any, values: Array) -> Self:
        """As `fit_names`, of names one after the other."""
        names, counts = np.unique(values.astype(str), return_counts=True)
        return cls.fit_names(recipe, names.tolist(), counts.tolist())

    @classmethod
    def builder(cls, recipe: Any) -> FittedBuilder:
        """A `NamedBuilder`."""
        return NamedBuilder(cls, recipe)


class ListedFeature(NamedFeature):
    """A feature that is a list of names.

    Args:
        recipe: of the feature.
        names: the names, in order of their integers.
        counts: how often training rows held each integer.
    """

    form = "ids"

    def __init__(self, recipe: Any, names: tuple[str, ...], counts: tuple[int, ...]) -> None:
        self.recipe, self.names = recipe, names
        self.counts = np.asarray(counts, dtype=np.int64)

    def to_dict(self) -> dict[str, Any]:
        """The names and how often there were."""
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "names": list(self.names),
            "counts": self.counts.tolist(),
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        recipe = cls.recipe_type.model_validate(saved["recipe"])
        return cls(recipe, tuple(saved["names"]), tuple(saved["counts"]))


class NamedBuilder(FittedBuilder):
    """The builder of any `NamedFeature`."""

    def __init__(self, feature: type[NamedFeature], recipe: Component) -> None:
        super().__init__(feature, recipe)
        self._named = feature
        self._numbers: dict[str, int] = {}

    def add(self, draft: Draft, keep: Mask) -> None:
        """Take the good rows, their names as provisional integers."""
        rows = self._kept(draft, keep)
        names = rows.values.tolist()
        for name in dict.fromkeys(names):
            self._numbers.setdefault(name, len(self._numbers))
        self._spool.add(np.fromiter(map(self._numbers.__getitem__, names), dtype=np.int32, count=len(names)))
        self._lengths.append(rows.lengths)

    def finish(self, part: TrainingPart) -> tuple[Feature, Sequences]:
        """Fit on the training part, turn all provisional integers into final values."""
        raw = Sequences.from_lengths(self._spool.finish(), np.concatenate(self._lengths))
        names = list(self._numbers)
        counts = np.bincount(part.values(raw), minlength=len(names)).tolist()
        found = sorted((name, count) for name, count in zip(names, counts, strict=True) if count)
        feature = self._named.fit_names(self._recipe, [name for name, _ in found], [count for _, count in found])
        table = feature.transform(np.asarray(names, dtype=object))
        return feature, Sequences(
            spooled(table[raw.values[some]] for some in stretches(raw.values, like=table)), raw.offsets
        )
