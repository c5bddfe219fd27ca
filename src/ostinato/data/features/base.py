"""What every feature is: a column becomes sequences, fitted on training rows, saved with the run, unchanged after."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import polars as pl

from ostinato.arrays import Array, Mask, Offsets
from ostinato.data.features.drawn import bars_text, write_numbers
from ostinato.data.io.spool import Spool, spooled, stretches
from ostinato.data.sequences import Sequences
from ostinato.errors import DataError
from ostinato.recipe import Component

if TYPE_CHECKING:
    from ostinato.data.features.sound_front import SoundFront


@dataclass(frozen=True)
class Draft:
    """A block of cells, decoded but not yet encoded for good.

    lengths: (N,) steps of each row, 0 where nothing is left of it; content: the rows themselves (text that waits for
    its tokenizer is still text); problems: why a row can't be used, by its number in the block; remedies: options of
    the column's kind with which it can, by the same; notes: what a user should be told once, such as that sounds were
    resampled.
    """

    lengths: Offsets
    content: Sequences | pl.Series
    problems: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    remedies: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def encoded(self) -> Sequences:
        """The rows. Raises `TypeError` where they are text that still waits for its tokenizer."""
        if not isinstance(self.content, Sequences):
            raise TypeError("this draft holds text, not encoded rows")
        return self.content


@dataclass(frozen=True)
class TrainingPart:
    """Which of what was read is training data and may shape a feature: some rows, or the first share of a text."""

    rows: Offsets | None = None
    share: float = 1.0

    def values(self, sequences: Sequences) -> Array:
        """The values of the training part."""
        if self.rows is not None:
            return sequences.take(self.rows).values
        return sequences.values[: int(len(sequences.values) * self.share)]

    def texts(self, texts: pl.Series) -> list[str]:
        """The cleaned text of the training part."""
        if self.rows is not None:
            return list(texts.gather(pl.Series(self.rows)))
        joined = "".join(texts.to_list())
        return [joined[: int(len(joined) * self.share)]]


class Feature(ABC):
    """A column's fitted encoding. Rows are `Sequences`, whose values are (sum L, ...): one value or frame a step.

    `form` says what a value is, and so which layer reads it (`layers.inputs`): "ids" (integers below `vocab_size`),
    "vectors" (C numbers), "words" (a word and its characters, integers), "pictures" ((C, H, W) numbers).
    A feature that is no sequence (`ragged` false) has exactly one value a row.
    """

    form: ClassVar[str]
    recipe_type: ClassVar[type[Component]]
    """The component of a recipe that says how a column is read; the default of its `kind` is the feature's name."""
    ragged: ClassVar[bool] = True
    predicted: ClassVar[bool] = False
    """Whether a column to predict may be read so."""
    per_step: ClassVar[bool | None] = False
    """Whether, predicted, it has a value for each step of the input; None: where there are as many."""
    answer: ClassVar[str] = "value"
    """What it has for a step then."""
    frames_hold: ClassVar[Literal["", "numbers", "notes"]] = ""
    """What its steps hold where they are written as frames; none: they are not."""
    letters: ClassVar[bool] = False
    """Whether its cells spell letters, which a language model reads as those of any text."""
    ngrams: ClassVar[bool] = False
    """Whether a score of its n-grams may be added to a network (`model.ngrams`)."""
    suffixes: ClassVar[tuple[str, ...]] = ()
    """How the names of files end that its cells may name; none: cells hold the sequence itself."""
    empty: ClassVar[str] = "it is empty"
    """What to say of a cell of which no step is left."""
    recipe: Any
    """The component it was made from; its `kind` names the feature."""
    reads_files: bool = False
    """Whether its cells name files, which may lie next to the table that names them."""
    usual_suffix: ClassVar[str] = ""
    """Of the file that drawn frames are written to where nobody names one; none: they are only shown."""

    cell_type: ClassVar[type] = object
    """What a cell given in Python must be."""

    @classmethod
    def form_of(cls, recipe: Any) -> str:
        """The `form` it will have, known before anything is fitted."""
        return cls.form

    @classmethod
    def builder(cls, recipe: Any) -> FeatureBuilder:
        """What reads a column as a resolved recipe says."""
        raise NotImplementedError

    @property
    def kind(self) -> str:
        """Of the feature, as recipes spell it."""
        return str(self.recipe.kind)

    @property
    def step_noun(self) -> str:
        """What one value is called."""
        return "step" if self.ragged else "value"

    @property
    def timed_noun(self) -> str:
        """What one value is called on an axis: with its length, where that is known."""
        return self.step_noun

    @property
    def longest_ngram(self) -> int:
        """How many values, one after the other, simple baselines count: fewer, the more each of them says."""
        return 5

    @property
    def value_shape(self) -> tuple[int, ...]:
        """The shape of one value: () for ids, (C,) for vectors, (C, H, W) for pictures."""
        return ()

    @property
    def whole_row_reason(self) -> str | None:
        """Why a row can't be encoded piece by piece, as it comes; None: it can."""
        return None

    @property
    def front(self) -> SoundFront | None:
        """What makes its values of samples of sound, as they come; None: it doesn't read sound."""
        return None

    def values_of(self, cell: Any) -> Array | None:
        """The values of one good cell, as `draft` has them, where that goes without a column; None: it doesn't."""
        return None

    @abstractmethod
    def draft(self, cells: pl.Series) -> Draft:
        """Cells of new data, encoded for good, and what is wrong with those that can't be."""

    def encode(self, cells: pl.Series) -> Sequences:
        """Cells of new data. Raises `DataError` for the first that can't be encoded."""
        draft = self.draft(cells)
        for row, problem in draft.problems.items():
            raise DataError(f"row {row + 1} can't be used: {problem}.")
        return draft.content if isinstance(draft.content, Sequences) else self.encode(draft.content)

    def decode(self, values: Array) -> Any:
        """The values of one row as a user knows them."""
        return values.tolist()

    def pieces(self, values: Array) -> tuple[Any, ...]:
        """The values of a row that was written, each as it is compared with `pieces_of`."""
        return tuple(values.tolist())

    def pieces_of(self, texts: Sequence[str]) -> list[tuple[Any, ...]]:
        """Cells as in the file, cut as this feature cuts them, but with nothing cleaned, folded or unknown."""
        found = self.encode(pl.Series(texts, dtype=pl.String))
        return [tuple(found.row(row).tolist()) for row in range(len(found))]

    def known(self, values: Array) -> list[Any]:
        """Drawn frames, (T, ...) as `encode` gives them, as a user knows them: numbers on their own scale."""
        return list(self.decode(values))

    def as_json(self, drawn: list[Array], files: list[Path]) -> dict[str, Any]:
        """Drawn sequences, and the files that they were written to, for machines."""
        return {"sequences": [self.known(values) for values in drawn]} | (
            {"files": list(map(str, files))} if files else {}
        )

    def in_words(self, values: Array) -> str:
        """Drawn frames as text for a terminal: a line of bars for each of the first channels."""
        return bars_text(self._rows(values), self.step_noun)

    def write(self, values: Array, path: Path) -> str:
        """Write drawn frames to a file of their kind: numbers as CSV, a row a step.

        Returns:
            What to know of the file, in words; nothing: "".

        Raises:
            RunError: for a suffix that can't hold them.
        """
        write_numbers(path, self._rows(values))
        return ""

    def _rows(self, values: Array) -> Array:
        found = self.known(values)
        return np.asarray(found, dtype=np.float64).reshape(len(found), -1)

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """What `features.json` holds; `recipe` with its `kind` among it."""

    @classmethod
    @abstractmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """The inverse of `to_dict`."""


class FeatureBuilder(ABC):
    """Reads and decodes a column once: `draft` a block, `add` its rows that are good, then `finish`."""

    @property
    def reads_files(self) -> bool:
        """Whether cells name files."""
        return False

    @abstractmethod
    def draft(self, cells: pl.Series) -> Draft:
        """A block of cells, decoded."""

    @abstractmethod
    def add(self, draft: Draft, keep: Mask) -> None:
        """Take the rows of `draft` where `keep` is true."""

    @abstractmethod
    def finish(self, part: TrainingPart) -> tuple[Feature, Sequences]:
        """The feature, fitted on `part`, and all rows added, encoded for good."""


class FittedFeature(Feature):
    """A feature whose cells are decoded without knowing other rows (`read`), and then, perhaps, scaled or numbered by
    what training rows were like (`fit`, `transform`). Most kinds are of this sort: write these, `to_dict`, `form`
    and `recipe_type`.
    """

    @classmethod
    @abstractmethod
    def read(cls, recipe: Any, cells: pl.Series) -> Draft:
        """Cells as raw values, and why some can't be read."""

    @classmethod
    @abstractmethod
    def fit(cls, recipe: Any, values: Array) -> Self:
        """The feature for these raw values of training rows, (sum L, ...). Raises `DataError` if there's none."""

    @classmethod
    def builder(cls, recipe: Any) -> FeatureBuilder:
        """A `FittedBuilder`."""
        return FittedBuilder(cls, recipe)

    def transform(self, values: Array) -> Array:
        """Raw values as the model reads them, each on its own (what depends on a whole row belongs into `read`)."""
        return values

    def draft(self, cells: pl.Series) -> Draft:
        """Cells of new data, encoded for good."""
        raw = self.read(self.recipe, cells)
        values = self.transform(raw.encoded.values)
        return Draft(raw.lengths, Sequences(values, raw.encoded.offsets), raw.problems, raw.notes)


class FittedBuilder(FeatureBuilder):
    """The builder of any `FittedFeature`; much of raw values waits in a mapped file."""

    def __init__(self, feature: type[FittedFeature], recipe: Component) -> None:
        self._feature, self._recipe = feature, recipe
        self._spool = Spool()
        self._lengths: list[Offsets] = []
        self._shape: tuple[int, ...] | None = None

    @property
    def reads_files(self) -> bool:
        """As the feature says."""
        return self._feature.reads_files

    def draft(self, cells: pl.Series) -> Draft:
        """A block of cells as raw values; all blocks must have values of one shape."""
        draft = self._feature.read(self._recipe, cells)
        values = draft.encoded.values
        shape = values.shape[1:]
        if self._shape is None and len(values):
            self._shape = shape
        if self._shape is None or shape == self._shape:
            return draft
        problem = f"has values of shape {shape}, rows before it of {self._shape}"
        lengths = np.zeros(len(cells), dtype=np.int64)
        empty = Sequences.from_lengths(np.zeros((0, *self._shape), dtype=values.dtype), lengths)
        return Draft(lengths, empty, {**dict.fromkeys(range(len(cells)), problem), **draft.problems}, draft.notes)

    def add(self, draft: Draft, keep: Mask) -> None:
        """Take the good rows."""
        rows = self._kept(draft, keep)
        self._spool.add(rows.values)
        self._lengths.append(rows.lengths)

    @staticmethod
    def _kept(draft: Draft, keep: Mask) -> Sequences:
        return draft.encoded if keep.all() else draft.encoded.take(np.flatnonzero(keep))

    def finish(self, part: TrainingPart) -> tuple[Feature, Sequences]:
        """Fit on the training part, transform everything."""
        raw = Sequences.from_lengths(self._spool.finish(), np.concatenate(self._lengths))
        feature = self._feature.fit(self._recipe, part.values(raw))
        values = spooled(feature.transform(raw.values[some]) for some in stretches(raw.values))
        return feature, Sequences(values, raw.offsets)
