"""What every target is that has one value a row; its types are in `targets`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ostinato.arrays import Array
from ostinato.data.inference.target import infer_target, is_number
from ostinato.data.places import Places
from ostinato.data.tables.numbers import MISSING
from ostinato.recipe import Component, TargetRecipe

Unusable = tuple[pl.Series, str, str | None]
"""Which cells can't be used, the reason, and a hint."""
TARGETS: dict[str, type[TargetFeature]] = {}
"""By kind, as recipes spell it."""


class TargetFeature(ABC):
    """One value a row that is predicted, as its training cells say it: encoded for the head, and what it means.

    Args:
        column: the column's name, for messages.
    """

    kind: ClassVar[str]
    """As recipes spell it."""
    names: ClassVar[bool] = True
    """Whether its values are names, not quantities."""
    noun: ClassVar[str] = "class"
    """What one of `classes` is called."""
    unread: ClassVar[tuple[str, ...]] = ()
    """Options that mean nothing to such a target; as long as its kind is open, none."""
    no_value_hint: ClassVar[str | None] = "where an empty cell means no label at all: --set features.target.kind=labels"
    """Where cells hold commas: what an empty one might mean."""
    classes: tuple[str, ...] = ()
    """Class or label names in order of their integers; of numbers none."""

    def __init_subclass__(cls) -> None:
        """A type that says its kind is found by it."""
        super().__init_subclass__()
        if "kind" in vars(cls):
            TARGETS[cls.kind] = cls

    def __init__(self, column: str) -> None:
        self.column = column

    @classmethod
    def plain(cls, cells: pl.Series) -> pl.Series:
        """Cells as they are kept until all are read."""
        return cells

    @classmethod
    def unusable(cls, cells: pl.Series, column: str) -> list[Unusable]:
        """Which cells hold no such value, why, and what might help."""
        hint = cls.no_value_hint
        if hint is not None and not cells.str.contains(",", literal=True).any():
            hint = None
        found: list[Unusable] = [(cells.is_null(), f"no value in column `{column}`", hint)]
        words = cells.str.strip_chars().str.to_lowercase().is_in(MISSING).fill_null(False)
        if words.any() and not words.all() and is_number(cells.filter(~words).drop_nulls()).all():
            told = cells.filter(words).unique(maintain_order=True).to_list()
            found += [(cells == word, f"no value in column `{column}`: {word!r}", None) for word in told]
        return found

    @staticmethod
    def fit(cells: pl.Series, recipe: TargetRecipe, column: str) -> TargetFeature:
        """From the training cells. Raises `DataError` for one class only or numbers that are all the same."""
        kind = infer_target(cells, column)[0] if recipe.undecided else recipe.kind
        return TARGETS[kind].fitted(cells, recipe, column)

    @classmethod
    @abstractmethod
    def fitted(cls, cells: pl.Series, recipe: TargetRecipe, column: str) -> TargetFeature:
        """As `fit`, of this kind."""

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """Outputs of the model's head: one for a number and for two classes, else one a class or label."""

    @abstractmethod
    def encode(self, cells: pl.Series, places: Places, where: str) -> Array:
        """Integers (N,), 0/1 floats (N, labels) or standardised floats (N,).

        Raises `DataError` for a class that training never saw; `where` names the data ("validation data").
        """

    @abstractmethod
    def truth(self, value: Any) -> dict[str, Any]:
        """An encoded value as results hold what was right: `true`, the name or names, or `value_true`, the number."""

    @abstractmethod
    def usual_answer(self, targets: Array) -> NDArray[np.float64]:
        """What is said without reading a row, by training rows: the share of each name, (K,), or the mean, (1,)."""

    @abstractmethod
    def said(self, answer: Any) -> dict[str, Any]:
        """What the head answers for a row, in the fields of a `Prediction`."""

    def to_dict(self) -> dict[str, Any]:
        """What `features.json` holds."""
        return {"kind": self.kind, "column": self.column}

    @staticmethod
    def from_dict(saved: dict[str, Any]) -> TargetFeature:
        """The inverse of `to_dict`."""
        rest = {key: value for key, value in saved.items() if key not in ("kind", "column")}
        return TARGETS[saved["kind"]](saved["column"], **rest)


def target_type(recipe: Component) -> type[TargetFeature]:
    """What one value a row is, as far as a recipe says: while its kind is open `TargetFeature`."""
    return TARGETS.get(str(getattr(recipe, "kind", "")), TargetFeature)
