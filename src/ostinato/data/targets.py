"""The target column: one class of several, any number of labels, or a number."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ostinato.arrays import Array
from ostinato.data.inference.target import alike, is_number
from ostinato.data.places import Places
from ostinato.data.rejects import counted
from ostinato.data.tables.list_cells import MOST_LABELS, json_list
from ostinato.data.target_base import TARGETS, TargetFeature, Unusable, target_type
from ostinato.errors import DataError
from ostinato.recipe import TargetRecipe

__all__ = ["TARGETS", "ClassTarget", "LabelsTarget", "NamesTarget", "NumberTarget", "TargetFeature", "Unusable",
           "missing_in_words", "split_labels", "strata_of", "target_type"]  # fmt: skip

_SHOWN = 10
_RARE = (
    "; they are not classes but texts to write: --set model.task=seq2seq --set features.target.kind=text; "
    "numbers: --set features.target.kind=number"
)


class NamesTarget(TargetFeature):
    """Names among those that training showed: one a row, or any number.

    Args:
        column: the column's name, for messages.
        classes: the names in order of their integers.
        separator: between the labels of a cell that is no JSON list.
    """

    def __init__(self, column: str, *, classes: Sequence[str] = (), separator: str = ",") -> None:
        super().__init__(column)
        self.classes = tuple(classes)
        self.separator = separator

    @classmethod
    def fitted(cls, cells: pl.Series, recipe: TargetRecipe, column: str) -> TargetFeature:
        """Raises `DataError` where there is only one class."""
        names = cls.names_in(cells.unique().to_list(), recipe.separator)
        cls.check(names, column)
        return cls(column, classes=sorted(names, key=_class_order), separator=recipe.separator)

    @classmethod
    @abstractmethod
    def names_in(cls, cells: list[str], separator: str) -> list[str]:
        """The names in different cells, each once."""

    @classmethod
    @abstractmethod
    def check(cls, names: list[str], column: str) -> None:
        """Raises `DataError` for too few names."""

    @abstractmethod
    def rows_of_each(self, targets: Array) -> NDArray[np.int64]:
        """How many rows have each name."""

    def usual_answer(self, targets: Array) -> NDArray[np.float64]:
        """The share of each name."""
        return self.rows_of_each(targets) / len(targets)

    def said(self, answer: Any) -> dict[str, Any]:
        """The probability of each name."""
        return {"probabilities": dict(zip(self.classes, answer.tolist(), strict=True))}

    def to_dict(self) -> dict[str, Any]:
        """With the names."""
        return {**super().to_dict(), "classes": list(self.classes), "separator": self.separator}

    def _unseen(self, label: str, row: int, places: Places, where: str) -> DataError:
        shown = ", ".join(self.classes[:_SHOWN]) + (", …" if len(self.classes) > _SHOWN else "")
        file, line = places.location(row)
        return DataError(
            f"the {where} holds `{label}` in column `{self.column}` ({file}:{line}), "
            "which does not occur in the training data.",
            hint=f"training classes: {shown}{_RARE if len(self.classes) > MOST_LABELS else ''}",
        )


class ClassTarget(NamesTarget):
    """Class names to integers."""

    kind, no_value_hint = "class", None
    unread = ("features.target.separator",)

    @classmethod
    def names_in(cls, cells: list[str], separator: str) -> list[str]:
        """A cell is a name; of several spellings of one (`alike`) the shortest is."""
        found: dict[str, str] = {}
        for cell in sorted({cell.strip() for cell in cells}, key=lambda name: (len(name), name)):
            found.setdefault(alike(cell), cell)
        return list(found.values())

    @classmethod
    def check(cls, names: list[str], column: str) -> None:
        """Two are needed."""
        if len(names) < 2:
            raise DataError(
                f"column `{column}` holds one class only in the training data: `{names[0]}`.",
                hint="give rows of at least two classes (is the file sorted, and only its head given?)",
            )

    @property
    def num_outputs(self) -> int:
        """One for two classes, else one a class."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    def encode(self, cells: pl.Series, places: Places, where: str) -> Array:
        """Integers (N,)."""
        codes = self._codes(cells)
        if codes.null_count():
            row = int(codes.is_null().arg_true()[0])
            raise self._unseen(str(cells[row]), row, places, where)
        return codes.to_numpy()

    def _codes(self, cells: pl.Series) -> pl.Series:
        """The integer of each cell's class, as it is spelled, or else of one that is spelled alike; else null."""
        codes = cells.cast(pl.Enum(list(self.classes)), strict=False).to_physical().cast(pl.Int64)
        if not codes.null_count():
            return codes
        known = {alike(name): number for number, name in enumerate(self.classes)}
        others = {cell: known.get(alike(cell)) for cell in cells.filter(codes.is_null()).unique().to_list()}
        return codes.fill_null(cells.replace_strict(others, default=None, return_dtype=pl.Int64))

    def said(self, answer: Any) -> dict[str, Any]:
        """The likeliest name, too."""
        return {"label": self.classes[int(answer.argmax())], **super().said(answer)}

    def truth(self, value: Any) -> dict[str, Any]:
        """The name."""
        return {"true": self.classes[int(value)]}

    def rows_of_each(self, targets: Array) -> NDArray[np.int64]:
        """Of each class."""
        return np.bincount(targets, minlength=len(self.classes))


class LabelsTarget(NamesTarget):
    """Labels, any number a row, to vectors of zeros and ones."""

    kind, noun = "labels", "label"
    unread = ("data.stratify", "training.class_weight")

    @classmethod
    def plain(cls, cells: pl.Series) -> pl.Series:
        """An empty cell holds no label."""
        return cells.fill_null("")

    @classmethod
    def unusable(cls, cells: pl.Series, column: str) -> list[Unusable]:
        """None is."""
        return []

    @classmethod
    def names_in(cls, cells: list[str], separator: str) -> list[str]:
        """All labels of all cells."""
        return list({label for cell in cells for label in split_labels(cell, separator)})

    @classmethod
    def check(cls, names: list[str], column: str) -> None:
        """One is enough."""
        if not names:
            raise DataError(f"column `{column}` holds no label at all.")

    @property
    def num_outputs(self) -> int:
        """One a label."""
        return len(self.classes)

    def encode(self, cells: pl.Series, places: Places, where: str) -> Array:
        """0/1 floats (N, labels)."""
        number = {name: i for i, name in enumerate(self.classes)}
        hot = np.zeros((len(cells), len(self.classes)), dtype=np.float32)
        for row, cell in enumerate(cells.to_list()):
            for label in split_labels(cell, self.separator):
                if label not in number:
                    raise self._unseen(label, row, places, where)
                hot[row, number[label]] = 1.0
        return hot

    def said(self, answer: Any) -> dict[str, Any]:
        """The labels of at least one half, too."""
        return {"labels": tuple(self._those(answer >= 0.5)), **super().said(answer)}

    def truth(self, value: Any) -> dict[str, Any]:
        """The names of those that are there."""
        return {"true": self._those(value)}

    def _those(self, there: Any) -> list[str]:
        return [name for name, one in zip(self.classes, there.tolist(), strict=True) if one]

    def rows_of_each(self, targets: Array) -> NDArray[np.int64]:
        """With each label."""
        found: NDArray[np.int64] = (np.asarray(targets, dtype=np.float32) >= 0.5).sum(axis=0)
        return found


class NumberTarget(TargetFeature):
    """Numbers to ``(x - mean) / std``.

    Args:
        column: the column's name, for messages.
        mean: of the training numbers.
        std: of the training numbers.
    """

    kind, names, no_value_hint = "number", False, None
    unread = (
        "features.target.separator",
        "data.stratify",
        "training.label_smoothing",
        "training.class_weight",
    )

    @classmethod
    def unusable(cls, cells: pl.Series, column: str) -> list[Unusable]:
        """What is no finite number, each text once."""
        wrong = cells.filter(~is_number(cells)).drop_nulls().unique(maintain_order=True)
        found: list[Unusable] = [(cells == value, f"not a number: {value!r}", None) for value in wrong]
        return [*super().unusable(cells, column), *found]

    def __init__(self, column: str, *, mean: float = 0.0, std: float = 1.0) -> None:
        super().__init__(column)
        self.mean, self.std = mean, std

    @classmethod
    def fitted(cls, cells: pl.Series, recipe: TargetRecipe, column: str) -> TargetFeature:
        """Raises `DataError` where all are the same."""
        numbers = cells.cast(pl.Float64)
        if numbers.n_unique() == 1:
            raise DataError(f"column `{column}` holds one number only: {numbers[0]}. There is nothing to learn.")
        values = numbers.to_numpy()
        return cls(column, mean=float(values.mean()), std=float(values.std()))

    @property
    def num_outputs(self) -> int:
        """One."""
        return 1

    def encode(self, cells: pl.Series, places: Places, where: str) -> Array:
        """Standardised floats (N,)."""
        return ((cells.cast(pl.Float64).to_numpy() - self.mean) / self.std).astype(np.float32)

    def original(self, values: Array) -> NDArray[np.float64]:
        """Standardised numbers on their own scale."""
        return np.asarray(values, dtype=np.float64) * self.std + self.mean

    def usual_answer(self, targets: Array) -> NDArray[np.float64]:
        """The mean, on its own scale."""
        return np.asarray([self.original(targets).mean()])

    def said(self, answer: Any) -> dict[str, Any]:
        """The number."""
        return {"value": float(answer)}

    def truth(self, value: Any) -> dict[str, Any]:
        """The number on its own scale."""
        return {"value_true": float(value) * self.std + self.mean}

    def to_dict(self) -> dict[str, Any]:
        """With the scale."""
        return {**super().to_dict(), "mean": self.mean, "std": self.std}


def missing_in_words(name: str, count: int) -> str:
    """That no validation row has a class."""
    return f"no validation row is `{name}` ({counted(count, 'row')} in training): its figures mean nothing"


def strata_of(cells: pl.Series) -> pl.Series:
    """The class of each row, however it is spelled."""
    return cells.replace_strict({cell: alike(cell) for cell in cells.unique().to_list()}, return_dtype=pl.String)


def split_labels(cell: str, separator: str) -> list[str]:
    """The labels in a cell: a JSON list, or texts between separators."""
    labels = json_list(cell)
    if labels is not None:
        return [label if isinstance(label, str) else json.dumps(label, ensure_ascii=False) for label in labels]
    return [label.strip() for label in cell.split(separator) if label.strip()]


def _class_order(name: str) -> tuple[bool, float, str]:
    """Whole numbers by value, other names alphabetically."""
    whole = name.removeprefix("-").isdecimal()
    return (not whole, float(name) if whole else 0.0, name)
