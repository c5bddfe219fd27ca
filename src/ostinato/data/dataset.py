"""From a recipe to encoded training and validation data: read once, infer what was not said, split, encode."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl

from ostinato.data.arrays import Array, Ids, Offsets
from ostinato.data.catalog import resolve_path
from ostinato.data.features import Draft, TextFeature, TextFeatureBuilder, TrainingPart
from ostinato.data.infer import infer_recipe
from ostinato.data.places import Places
from ostinato.data.reading import Reading
from ostinato.data.rejects import BadRows, counted
from ostinato.data.sequences import Sequences, Spool
from ostinato.data.sources import Source, open_source
from ostinato.data.split import split_rows
from ostinato.data.targets import TargetFeature, infer_target
from ostinato.data.vocabulary import END_ID
from ostinato.errors import DataError, RecipeError, RunError
from ostinato.recipe import Recipe
from ostinato.storage.files import write_atomically

Say = Callable[[str], None]
FORMAT = 1
_NAMED_ROWS = 5


@dataclass(frozen=True)
class Features:
    """What a run needs to turn raw rows into tensors and back; saved as `features.json`."""

    input: TextFeature
    target: TargetFeature | None = None
    documents: bool = False
    """Language model: whether the data were separate documents, each closed by `<end>`."""

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
            target = TargetFeature.from_dict(saved["target"]) if saved["target"] else None
            return cls(TextFeature.from_dict(saved["input"]), target, bool(saved["documents"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"`{path}` can't be read: {type(error).__name__}: {error}.", hint="the run is damaged"
            ) from error


@dataclass(frozen=True)
class Examples:
    """Rows with their targets (none where the data has no target column) and where each came from."""

    sequences: Sequences
    targets: Array | None
    places: Places
    rows: Offsets
    """For each example its number in `places`."""

    def __len__(self) -> int:
        return len(self.sequences)

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


@dataclass(frozen=True)
class Prepared:
    """Everything the model and the loop need: the resolved recipe, the fitted features, and encoded data.

    `train` and `validation` are `Examples` for a classifier, one long sequence of integers for a language model.
    """

    recipe: Recipe
    features: Features
    train: Examples | Ids
    validation: Examples | Ids
    notes: list[str]
    bad_rows: BadRows
    num_characters: int

    @property
    def num_rejected(self) -> int:
        """Rows that were set aside."""
        return len(self.bad_rows.rows)


def prepare(recipe: Recipe, say: Say = lambda _: None) -> Prepared:
    """Read, infer, split and encode the data of a recipe.

    Args:
        recipe: may leave columns, kinds and units open; the returned recipe leaves nothing open.
        say: called with each note a user should see, as it comes up.

    Raises:
        RecipeError: for a recipe that contradicts itself or the data.
        DataError: for data that can't be used; with `on_bad_row: stop` also for any bad row, all of a file listed.
    """
    if recipe.data.train is None:
        raise RecipeError("`data.train` is not set.", hint="name a file: --set data.train=reviews.csv")
    bad_rows = BadRows(recipe.data.on_bad_row)
    source = _open(recipe.data.train, recipe, bad_rows, say)
    recipe, notes = infer_recipe(recipe, source)
    for note in notes:
        say(note)
    builder = TextFeatureBuilder(recipe.features.input)
    reading = Reading(source, recipe, recipe.data.group)
    for draft, keep in reading.drafts(builder.draft, with_target=recipe.data.target is not None):
        builder.add(draft, keep)
    _announce(source, notes, say)
    bad_rows.settle()
    if not len(reading.places):
        raise DataError(f"`{source.path}` holds no usable row.", hint=_rejected_hint(bad_rows))
    build = _prepare_language_model if recipe.model.kind == "language_model" else _prepare_classifier
    prepared = build(recipe, reading, builder, notes, say)
    num_rejected = bad_rows.settle()
    if num_rejected:
        say(f"set aside in rejected.jsonl: {counted(num_rejected, 'row')}")
    return prepared


def load_examples(reference: str, features: Features, recipe: Recipe, say: Say = lambda _: None) -> Examples:
    """Rows of another file, encoded as the run's training data was. Targets are read if the run has a target."""
    bad_rows = BadRows(recipe.data.on_bad_row)
    examples = _read_examples(reference, features, recipe, bad_rows, say, "data")
    num_rejected = bad_rows.settle()
    if num_rejected:
        say(f"left out, since they can't be used: {counted(num_rejected, 'row')}")
    return examples


def load_stream(reference: str, features: Features, recipe: Recipe, say: Say = lambda _: None) -> Ids:
    """The integers of another text, for a language model."""
    bad_rows = BadRows(recipe.data.on_bad_row)
    sequences, _, _ = _read(reference, features, recipe, bad_rows, say, with_target=False)
    num_rejected = bad_rows.settle()
    if num_rejected:
        say(f"left out, since they can't be used: {counted(num_rejected, 'row')}")
    return join_documents(sequences, features.documents)


def join_documents(sequences: Sequences, documents: bool) -> Ids:
    """All rows one after the other, with `<end>` after each where they are separate documents."""
    if not documents:
        return sequences.values
    return np.insert(sequences.values, sequences.offsets[1:], END_ID)


def _open(reference: str, recipe: Recipe, bad_rows: BadRows, say: Say) -> Source:
    path = resolve_path(reference, say)
    data = recipe.data
    same = data.format == "auto" or reference == data.train
    return open_source(path, bad_rows, format=data.format if same else "auto", encoding=data.encoding)


def _rejected_hint(bad_rows: BadRows) -> str | None:
    return f"{len(bad_rows.rows):,} rows were set aside; the first: {bad_rows.in_order()[0]}" if bad_rows.rows else None


def _announce(source: Source, notes: list[str], say: Say) -> None:
    for note in source.notes[:3]:
        say(note)
    notes.extend(source.notes)


def _prepare_classifier(
    recipe: Recipe, reading: Reading, builder: TextFeatureBuilder, notes: list[str], say: Say
) -> Prepared:
    cells = reading.all_cells()
    if recipe.features.target.kind == "auto":
        kind, reason = infer_target(cells, str(recipe.data.target))
        notes.append(f"target: {kind} ({reason})")
        say(notes[-1])
        recipe = _with_target_kind(recipe, kind)
    fraction = recipe.data.validation
    training = held_out = np.arange(len(cells))
    if isinstance(fraction, float):
        groups = pl.concat(reading.groups) if reading.groups else None
        training, held_out = split_rows(len(cells), fraction, recipe.data.split_seed, groups)
    target = TargetFeature.fit(cells.gather(pl.Series(training)), recipe.features.target, str(recipe.data.target))
    features_input, sequences = builder.finish(TrainingPart(rows=training if isinstance(fraction, float) else None))
    features = Features(features_input, target)

    def part(rows: Offsets, where: str) -> Examples:
        subset = _Subset(reading.places, rows)
        encoded = target.encode(cells.gather(pl.Series(rows)), subset, where)
        return Examples(sequences.take(rows), encoded, reading.places, rows)

    train = part(training, "training data")
    if isinstance(fraction, float):
        validation = part(held_out, "validation part (a random share of the rows; too few rows of that class?)")
    else:
        validation = _read_examples(fraction, features, recipe, reading.source.bad_rows, say, "validation data")
    return Prepared(recipe, features, train, validation, notes, reading.source.bad_rows, reading.num_characters)


def _prepare_language_model(
    recipe: Recipe, reading: Reading, builder: TextFeatureBuilder, notes: list[str], say: Say
) -> Prepared:
    documents = reading.source.format != "text"
    fraction = recipe.data.validation
    share = 1.0 - fraction if isinstance(fraction, float) else 1.0
    feature, sequences = builder.finish(TrainingPart(share=share))
    features = Features(feature, None, documents)
    stream = join_documents(sequences, documents)
    if isinstance(fraction, float):
        cut = int(len(sequences.values) * share)  # where the vocabulary's part ends, too
        if documents:
            cut += int(np.searchsorted(sequences.offsets[1:], cut, side="right"))
        train, validation = stream[:cut], stream[cut:]
    else:
        held_out, _, _ = _read(fraction, features, recipe, reading.source.bad_rows, say, with_target=False)
        train, validation = stream, join_documents(held_out, documents)
    for name, ids in (("training", train), ("validation", validation)):
        if len(ids) < 2:
            raise DataError(f"the {name} text has {len(ids)} tokens; a language model needs at least 2.")
    return Prepared(recipe, features, train, validation, notes, reading.source.bad_rows, reading.num_characters)


class _Subset(Places):
    """Places of some rows only, for messages about a part of the data."""

    def __init__(self, places: Places, rows: Offsets) -> None:
        super().__init__()
        self._of, self._rows = places, rows

    def location(self, row: int) -> tuple[str, int]:
        return self._of.location(int(self._rows[row]))


def _read(
    reference: str, features: Features, recipe: Recipe, bad_rows: BadRows, say: Say, *, with_target: bool
) -> tuple[Sequences, pl.Series, Places]:
    source = _open(reference, recipe, bad_rows, say)
    reading = Reading(source, recipe)
    spool, lengths = Spool(), []

    def draft(column: pl.Series) -> Draft:
        sequences = features.input.encode(column)
        return Draft(sequences.lengths, sequences)

    for piece, keep in reading.drafts(draft, with_target=with_target):
        sequences = cast("Sequences", piece.content)
        sequences = sequences if keep.all() else sequences.take(np.flatnonzero(keep))
        spool.add(sequences.values)
        lengths.append(sequences.lengths)
    _announce(source, [], say)
    if not lengths:
        bad_rows.settle()
        raise DataError(f"`{source.path}` holds no usable row.", hint=_rejected_hint(bad_rows))
    return Sequences.from_lengths(spool.finish(), np.concatenate(lengths)), reading.all_cells(), reading.places


def _read_examples(
    reference: str, features: Features, recipe: Recipe, bad_rows: BadRows, say: Say, where: str
) -> Examples:
    sequences, cells, places = _read(
        reference, features, recipe, bad_rows, say, with_target=features.target is not None
    )
    targets = features.target.encode(cells, places, where) if features.target else None
    return Examples(sequences, targets, places, np.arange(len(sequences)))


def _with_target_kind(recipe: Recipe, kind: str) -> Recipe:
    features = recipe.features
    target = features.target.model_copy(update={"kind": kind})
    return recipe.model_copy(update={"features": features.model_copy(update={"target": target})})
