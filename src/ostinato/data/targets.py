"""The target column: one class of several, any number of labels, or a number."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl

from ostinato.arrays import Array
from ostinato.data.places import Places
from ostinato.data.rejects import counted
from ostinato.data.tables.list_cells import MOST_LABELS, json_list, kind_of_values, lists_of
from ostinato.errors import DataError
from ostinato.recipe import TargetRecipe

_SHOWN = 10
_RARE = (
    "; are they no classes? --set features.target.kind=text writes them, tags (a label for each word) or number "
    "predicts them"
)


class TargetFeature:
    """Class names to integers, labels to 0/1 vectors, numbers to standardised numbers, and back.

    Args:
        kind: "class", "labels" or "number".
        column: the column's name, for messages.
        classes: class or label names in order of their integers.
        separator: between the labels of a cell that is no JSON list.
        mean: of the training numbers.
        std: of the training numbers; targets are `(x - mean) / std`.
    """

    def __init__(
        self,
        kind: str,
        column: str,
        *,
        classes: tuple[str, ...] = (),
        separator: str = ",",
        mean: float = 0.0,
        std: float = 1.0,
    ) -> None:
        self.kind = kind
        self.column = column
        self.classes = classes
        self.separator = separator
        self.mean = mean
        self.std = std

    @classmethod
    def fit(cls, cells: pl.Series, recipe: TargetRecipe, column: str) -> TargetFeature:
        """From the training cells. Raises `DataError` for one class only or numbers that are all the same."""
        kind = recipe.kind if recipe.kind != "auto" else infer_target(cells, column)[0]
        if kind == "number":
            numbers = cells.cast(pl.Float64)
            if numbers.n_unique() == 1:
                raise DataError(f"column `{column}` holds one number only: {numbers[0]}. There is nothing to learn.")
            values = numbers.to_numpy()
            return cls(kind, column, mean=float(values.mean()), std=float(values.std()))
        names = cells.unique().to_list()
        if kind == "labels":
            names = list({label for cell in names for label in split_labels(cell, recipe.separator)})
        if len(names) < 2 and kind == "class":
            raise DataError(
                f"column `{column}` holds one class only in the training data: `{names[0]}`.",
                hint="give rows of at least two classes (is the file sorted, and only its head given?)",
            )
        if not names:
            raise DataError(f"column `{column}` holds no label at all.")
        return cls(kind, column, classes=tuple(sorted(names, key=_class_order)), separator=recipe.separator)

    @property
    def num_outputs(self) -> int:
        """Outputs of the model's head: one for a number and for two classes, else one a class or label."""
        if self.kind == "number" or (self.kind == "class" and len(self.classes) == 2):
            return 1
        return len(self.classes)

    def encode(self, cells: pl.Series, places: Places, where: str) -> Array:
        """Integers (N,), 0/1 floats (N, labels) or standardised floats (N,).

        Raises `DataError` for a class that training never saw; `where` names the data ("validation data").
        """
        if self.kind == "number":
            return ((cells.cast(pl.Float64).to_numpy() - self.mean) / self.std).astype(np.float32)
        if self.kind == "labels":
            number = {name: i for i, name in enumerate(self.classes)}
            hot = np.zeros((len(cells), len(self.classes)), dtype=np.float32)
            for row, cell in enumerate(cells.to_list()):
                for label in split_labels(cell, self.separator):
                    if label not in number:
                        raise self._unseen(label, row, places, where)
                    hot[row, number[label]] = 1.0
            return hot
        codes = cells.cast(pl.Enum(list(self.classes)), strict=False).to_physical().cast(pl.Int64)
        if codes.null_count():
            row = int(codes.is_null().arg_true()[0])
            raise self._unseen(str(cells[row]), row, places, where)
        return codes.to_numpy()

    def _unseen(self, label: str, row: int, places: Places, where: str) -> DataError:
        shown = ", ".join(self.classes[:_SHOWN]) + (", …" if len(self.classes) > _SHOWN else "")
        file, line = places.location(row)
        return DataError(
            f"the {where} holds `{label}` in column `{self.column}` ({file}:{line}), "
            "which the training data never showed.",
            hint=f"training classes: {shown}{_RARE if len(self.classes) > MOST_LABELS else ''}",
        )

    def to_dict(self) -> dict[str, Any]:
        """What `features.json` holds."""
        saved: dict[str, Any] = {"kind": self.kind, "column": self.column}
        if self.kind == "number":
            return {**saved, "mean": self.mean, "std": self.std}
        return {**saved, "classes": list(self.classes), "separator": self.separator}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> TargetFeature:
        """The inverse of `to_dict`."""
        rest = {key: value for key, value in saved.items() if key not in ("kind", "column", "classes")}
        return cls(saved["kind"], saved["column"], classes=tuple(saved.get("classes", ())), **rest)


def infer_target(cells: pl.Series, column: str) -> tuple[str, str]:
    """The kind of a target column and the reason for it. Raises `DataError` where numbers and text are mixed."""
    if len(cells) and cells.str.starts_with("[").all() and all(json_list(cell) is not None for cell in cells.unique()):
        _refuse_sequences(cells, column)
        return "labels", f"`{column}` holds JSON lists"
    if (shared := _shared_labels(cells)) is not None:
        return "labels", f"`{column}` holds {counted(shared, 'name')} between commas, each in several combinations"
    numbers = cells.cast(pl.Float64, strict=False)
    distinct = cells.n_unique()
    if numbers.null_count() == len(cells):
        if distinct > max(MOST_LABELS, len(cells) // 2) and len(cells) >= 100:
            raise DataError(
                f"column `{column}` holds {distinct:,} different texts in {len(cells):,} rows: hardly a class column.",
                hint="name another --target, or say --set features.target.kind=class",
            )
        return "class", f"`{column}` holds {counted(distinct, 'different text')}"
    if numbers.null_count():
        text, number = cells.filter(numbers.is_null()), cells.filter(numbers.is_not_null())
        raise DataError(
            f"column `{column}` mixes types: {counted(len(number), 'number')} (such as {number[0]}) "
            f"and {counted(len(text), 'text')} (such as {text[0]!r}).",
            hint="if each is a class name: --set features.target.kind=class; if texts are mistakes: "
            "--set features.target.kind=number names their rows",
        )
    if not is_number(cells).all():
        odd = cells.filter(~is_number(cells))
        raise DataError(
            f"column `{column}` holds numbers and {len(odd):,} cells such as {odd[0]!r}, which is none to learn from.",
            hint="--set features.target.kind=number names their rows",
        )
    whole = bool((numbers == numbers.round()).all())
    if whole and distinct <= MOST_LABELS:
        return "class", f"`{column}` holds {counted(distinct, 'different whole number')}"
    return "number", f"`{column}` holds {counted(distinct, 'different number')}"


def _refuse_sequences(cells: pl.Series, column: str) -> None:
    """Raise `DataError` for lists of numbers that can't be names of labels."""
    lists = lists_of(cells.unique().to_list())
    kind = None if lists is None else kind_of_values(lists)
    if kind in ("series", "notes"):
        what = "numbers" if kind == "series" else "frames of notes"
        raise DataError(
            f"column `{column}` holds lists of {what}, and not one for each step of the input.",
            hint="a sequence of another length is written: --set model.task=seq2seq; if they are names of labels: "
            "--set features.target.kind=labels",
        )


def _shared_labels(cells: pl.Series) -> int | None:
    """How many names stand between commas, where every one that stands beside others is in different cells."""
    cells = cells.unique()
    if not cells.str.contains(",", literal=True).any():
        return None
    pieces = cells.str.split(",").explode().str.strip_chars()
    times = pieces.value_counts()
    together = cells.filter(cells.str.contains(",", literal=True)).str.split(",").explode().str.strip_chars().unique()
    shared = times.filter(pl.col(pieces.name).is_in(together.implode()))["count"] > 1
    return len(times.filter(pl.col(pieces.name) != "")) if shared.all() else None


def is_number(cells: pl.Series) -> pl.Series:
    """Which cells are finite numbers."""
    return cells.cast(pl.Float64, strict=False).is_finite().fill_null(False)


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
