"""What data is once it is read: features, encoded rows, and both parts of a run's data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ostinato.arrays import Array, Ids, Offsets
from ostinato.data.features import Feature, TextFeature, load_feature
from ostinato.data.places import Places
from ostinato.data.rejects import BadRows
from ostinato.data.sequences import Sequences
from ostinato.data.targets import NamesTarget, TargetFeature
from ostinato.data.vocabulary import END_ID
from ostinato.errors import RunError
from ostinato.recipe import Recipe
from ostinato.storage.files import write_atomically

FORMAT = 1
_NAMED_ROWS = 5


@dataclass(frozen=True)
class Features:
    """What a run needs to turn raw rows into tensors and back; saved as `features.json`.

    input: the column that is read; target: the column to predict, one value a row or a sequence; documents (language
    model): whether the data were separate documents, each closed by `<end>`; extra: further columns, by name.
    """

    input: Feature
    target: TargetFeature | Feature | None = None
    documents: bool = False
    extra: Mapping[str, Feature] = field(default_factory=dict)

    @property
    def text(self) -> TextFeature:
        """The input, which must be text. Raises `RunError` if it is another kind."""
        if not isinstance(self.input, TextFeature):
            raise RunError(f"this needs a model of text; the input of this one is of kind {self.input.kind}.")
        return self.input

    @property
    def sequence_target(self) -> Feature:
        """The target, which must be a sequence. Raises `RunError` if it is one value a row, or there is none."""
        if not isinstance(self.target, Feature):
            raise RunError("this needs a model whose target is a sequence.")
        return self.target

    @property
    def row_target(self) -> TargetFeature:
        """The target, which must be one value a row. Raises `RunError` if it is not."""
        if not isinstance(self.target, TargetFeature):
            raise RunError("this needs a model whose target is a class, labels or a number.")
        return self.target

    def begins(self, values: Ids) -> Offsets | None:
        """Where in a text a document begins, whose first input is the `<end>` before it; none: it is one document."""
        return np.flatnonzero(values == END_ID) if self.documents else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "format": FORMAT,
            "input": self.input.to_dict(),
            "target": self.target.to_dict() if self.target else None,
            "documents": self.documents,
            "extra": {name: feature.to_dict() for name, feature in self.extra.items()},
        }

    def save(self, path: Path) -> None:
        """Write JSON."""
        write_atomically(path, json.dumps(self.to_dict(), ensure_ascii=False).encode())

    @classmethod
    def load(cls, path: Path) -> Features:
        """Read what `save` wrote. Raises `RunError` for a damaged or newer file."""
        try:
            saved: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if saved["format"] > FORMAT:
                raise RunError(
                    f"`{path}` was written by a newer Ostinato (format {saved['format']}, this one reads {FORMAT})."
                )
            extra = {name: load_feature(one) for name, one in saved.get("extra", {}).items()}
            target = _load_target(saved["target"])
            return cls(load_feature(saved["input"]), target, bool(saved["documents"]), extra)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"`{path}` can't be read: {type(error).__name__}: {error}.", hint="the run is damaged"
            ) from error


def _load_target(saved: dict[str, Any] | None) -> TargetFeature | Feature | None:
    if not saved:
        return None
    return load_feature(saved) if "recipe" in saved else TargetFeature.from_dict(saved)


@dataclass(frozen=True)
class Examples:
    """Rows with their targets (none where the data has no target column) and where each came from.

    sequences: of the input column (a column that is no sequence has one value a row); targets: one value a row, (N,)
    or (N, labels), or `Sequences`; rows: for each example its number in `places`; extra: further columns, by name.
    """

    sequences: Sequences
    targets: Array | Sequences | None
    places: Places
    rows: Offsets
    extra: Mapping[str, Sequences] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def target_sequences(self) -> Sequences:
        """The targets, which must be sequences. Raises `RunError` if they are one value a row, or there are none."""
        if not isinstance(self.targets, Sequences):
            raise RunError("these rows have no sequences as targets.")
        return self.targets

    def take(self, rows: Offsets) -> Examples:
        """Some of the examples, in that order."""
        targets = self.targets
        if targets is not None:
            targets = targets.take(rows) if isinstance(targets, Sequences) else targets[rows]
        extra = {name: one.take(rows) for name, one in self.extra.items()}
        return Examples(self.sequences.take(rows), targets, self.places, self.rows[rows], extra)

    def joined(self, later: Examples) -> Examples:
        """Both, of equal places: these, then the others. What stands in `places` is of both."""
        targets: Array | Sequences | None = None
        if isinstance(self.targets, Sequences):
            targets = self.targets.joined(later.target_sequences)
        elif self.targets is not None and later.targets is not None:
            targets = np.concatenate([self.targets, np.asarray(later.targets)])
        extra = {name: one.joined(later.extra[name]) for name, one in self.extra.items()}
        rows = np.concatenate([self.rows, later.rows])
        return Examples(self.sequences.joined(later.sequences), targets, self.places, rows, extra)

    def given(self, index: int) -> bytes:
        """All that is given of an example, the input and further columns; equal for those that are given the same. Of
        rows of a file it is the text of the file, so that no vocabulary makes two of them one."""
        stood = self.places.given(int(self.rows[index]))
        if stood is not None:
            return stood
        parts = (self.sequences, *self.extra.values())
        return b"|".join(np.ascontiguousarray(part.row(index)).tobytes() for part in parts)

    def location(self, index: int) -> str:
        """`file:line` of an example."""
        file, line = self.places.location(int(self.rows[index]))
        return f"{file}:{line}"

    def named(self, rows: Offsets) -> str:
        """The first of some examples by file and line, and how many there are more."""
        shown = ", ".join(self.location(int(row)) for row in rows[:_NAMED_ROWS])
        return f"rows {shown}" + (f" and {len(rows) - _NAMED_ROWS} more" if len(rows) > _NAMED_ROWS else "")

    def preview(self, index: int) -> str:
        """How the text of an example began."""
        return self.places.preview(int(self.rows[index]))


def in_parts(examples: Examples, size: int) -> Iterator[Examples]:
    """Examples some at a time; few of them as they are."""
    if len(examples) <= size:
        yield examples
        return
    for first in range(0, len(examples), size):
        yield examples.take(np.arange(first, min(first + size, len(examples))))


@dataclass(frozen=True)
class Prepared:
    """Everything the model and the loop need: the resolved recipe, the fitted features, and encoded data. Of running
    text a row is a document. groups: of each training row the value of `data.group`."""

    recipe: Recipe
    features: Features
    train: Examples
    validation: Examples
    notes: list[str]
    bad_rows: BadRows
    num_characters: int
    groups: pl.Series | None = None

    @property
    def missing_classes(self) -> list[tuple[str, int]]:
        """Classes or labels that training rows have and no validation row, each with how many rows train it."""
        target = self.features.target
        if not isinstance(target, NamesTarget):
            return []
        there, tested = (target.rows_of_each(np.asarray(part.targets)) for part in (self.train, self.validation))
        return [(target.classes[i], int(there[i])) for i in np.flatnonzero((there > 0) & (tested == 0)).tolist()]

    @property
    def whole(self) -> Examples:
        """Training and validation rows together."""
        return self.train.joined(self.validation)

    @property
    def num_rejected(self) -> int:
        """Rows that were set aside."""
        return len(self.bad_rows.rows)
