"""From a recipe to encoded training and validation data: read once, infer what was not said, split, encode."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl

from ostinato.data.blocks import Block
from ostinato.data.catalog import resolve_path
from ostinato.data.features import Draft, Mask, TextFeature, TextFeatureBuilder, TrainingPart
from ostinato.data.infer import infer_recipe
from ostinato.data.rejects import BadRows
from ostinato.data.sequences import Array, Ids, Offsets, Places, Sequences, Spool
from ostinato.data.sources import Source, open_source
from ostinato.data.targets import TargetFeature, infer_target
from ostinato.data.vocabulary import END_ID
from ostinato.errors import DataError, RecipeError, RunError
from ostinato.recipe import Recipe

Say = Callable[[str], None]
FORMAT = 1


@dataclass(frozen=True)
class Features:
    """What a run needs to turn raw rows into tensors and back; saved as `features.json`."""

    input: TextFeature
    target: TargetFeature | None = None
    documents: bool = False
    """Language model: whether the data were separate documents, each closed by `<end>`."""

    def save(self, path: Path) -> None:
        """Write JSON."""
        saved = {
            "format": FORMAT,
            "input": self.input.to_dict(),
            "target": self.target.to_dict() if self.target else None,
            "documents": self.documents,
        }
        path.write_text(json.dumps(saved, ensure_ascii=False), encoding="utf-8")

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


@dataclass
class _Reading:
    """One pass over a source: what is kept of each block, and the rows that are not good."""

    source: Source
    recipe: Recipe
    places: Places = field(default_factory=Places)
    cells: list[pl.Series] = field(default_factory=list)
    num_characters: int = 0

    def drafts(self, draft: Callable[[pl.Series], Draft], *, with_target: bool) -> Iterator[tuple[Draft, Mask]]:
        """Each block cut into tokens, with the rows to keep; bad rows are recorded, and neither cut nor kept."""
        data = self.recipe.data
        text_name, target_name = str(data.input), data.target if with_target else None
        names = [text_name, *([target_name] if target_name and target_name != text_name else [])]
        self.source.require(*names)
        for block in self.source.blocks(names):
            block = self._readable(block, text_name, target_name)
            if not len(block.frame):
                continue
            texts = block.frame[text_name]
            piece = draft(texts)
            keep = piece.lengths > 0
            if self.source.format != "text":
                for row in np.flatnonzero(~keep).tolist():
                    file, line = block.location(row)
                    self.source.bad_rows.add(file, line, "nothing is left of the text after cleaning", texts[row])
            mask = pl.Series(keep)
            files = (
                block.files if len(block.files) == 1 else tuple(f for f, k in zip(block.files, keep, strict=True) if k)
            )
            kept = Block(block.frame.filter(mask), files, block.lines[keep])
            self.places.add(kept, kept.frame[text_name])
            self.num_characters += int(texts.str.len_chars().sum())
            if target_name:
                self.cells.append(kept.frame[target_name].rename("target"))
            yield piece, cast("Mask", keep)

    def _readable(self, block: Block, text_name: str, target_name: str | None) -> Block:
        texts, limit = block.frame[text_name], self.recipe.data.max_characters
        lengths = texts.str.len_chars()
        too_long = lengths > limit if self.source.format != "text" else pl.Series([False]).new_from_index(0, len(texts))
        problems = [
            (texts.is_null(), f"no value in column `{text_name}`", None),
            (too_long, f"more than {limit:,} characters", "to allow longer rows: --set data.max_characters=N"),
            (texts.str.contains("\0", literal=True), "holds a NUL character", None),
        ]
        if target_name:
            cells = block.frame[target_name]
            problems.append((cells.is_null(), f"no value in column `{target_name}`", None))
            if self.recipe.features.target.kind == "number":
                numbers = cells.cast(pl.Float64, strict=False)
                problems.append((cells.is_not_null() & ~numbers.is_finite().fill_null(False), "not a number", None))
        bad = pl.Series([False]).new_from_index(0, len(texts))
        for where, reason, hint in problems:
            where = where.fill_null(False) & ~bad
            for row in where.arg_true().to_list():
                file, line = block.location(row)
                said = f"{reason}: {block.frame[target_name][row]!r}" if reason == "not a number" else reason
                self.source.bad_rows.add(file, line, said, texts[row] or "", hint)
            bad = bad | where
        if not bad.any():
            return block
        keep = (~bad).to_numpy()
        files = block.files if len(block.files) == 1 else tuple(f for f, k in zip(block.files, keep, strict=True) if k)
        return Block(block.frame.filter(~bad), files, block.lines[keep])

    def all_cells(self) -> pl.Series:
        return pl.concat(self.cells) if self.cells else pl.Series("target", [], dtype=pl.String)


def prepare(recipe: Recipe, say: Say = lambda _: None) -> Prepared:
    """Read, infer, split and encode the data of a recipe.

    Args:
        recipe: may leave columns, kinds and units open; the returned recipe leaves nothing open.
        say: called with each note a user should see, as it comes up.
    """
    if recipe.data.train is None:
        raise RecipeError("`data.train` is not set.", hint="name a file: --set data.train=reviews.csv")
    bad_rows = BadRows(recipe.data.on_bad_row)
    source = _open(recipe.data.train, recipe, bad_rows, say)
    recipe, notes = infer_recipe(recipe, source)
    for note in notes:
        say(note)
    builder = TextFeatureBuilder(recipe.features.input)
    reading = _Reading(source, recipe)
    for draft, keep in reading.drafts(builder.draft, with_target=recipe.data.target is not None):
        builder.add(draft, keep)
    _announce(source, notes, say)
    num_rows = len(reading.places)
    if not num_rows:
        bad_rows.settle()
        raise DataError(f"`{source.path}` holds no usable row.")
    build = _prepare_language_model if recipe.model.kind == "language_model" else _prepare_classifier
    prepared = build(recipe, reading, builder, notes, say)
    num_rejected = bad_rows.settle()
    if num_rejected:
        say(f"{num_rejected:,} rows set aside in rejected.jsonl")
    return prepared


def load_examples(reference: str, features: Features, recipe: Recipe, say: Say = lambda _: None) -> Examples:
    """Rows of another file, encoded as the run's training data was. Targets are read if the run has a target."""
    bad_rows = BadRows(recipe.data.on_bad_row)
    examples = _read_examples(reference, features, recipe, bad_rows, say, "data")
    num_rejected = bad_rows.settle()
    if num_rejected:
        say(f"{num_rejected:,} rows left out: they can't be read")
    return examples


def load_stream(reference: str, features: Features, recipe: Recipe, say: Say = lambda _: None) -> Ids:
    """The integers of another text, for a language model."""
    bad_rows = BadRows(recipe.data.on_bad_row)
    sequences, _, _ = _read(reference, features, recipe, bad_rows, say, with_target=False)
    bad_rows.settle()
    return join_documents(sequences, features.documents)


def join_documents(sequences: Sequences, documents: bool) -> Ids:
    """All rows one after the other, with `<end>` after each where they are separate documents."""
    if not documents:
        return sequences.values
    return cast("Ids", np.insert(sequences.values, sequences.offsets[1:], END_ID))


def _open(reference: str, recipe: Recipe, bad_rows: BadRows, say: Say) -> Source:
    path = resolve_path(reference, say)
    data = recipe.data
    same = data.format == "auto" or reference == data.train
    return open_source(path, bad_rows, format=data.format if same else "auto", encoding=data.encoding)


def _announce(source: Source, notes: list[str], say: Say) -> None:
    for note in source.notes[:3]:
        say(note)
    notes.extend(source.notes)


def _prepare_classifier(
    recipe: Recipe, reading: _Reading, builder: TextFeatureBuilder, notes: list[str], say: Say
) -> Prepared:
    cells = reading.all_cells()
    if recipe.features.target.kind == "auto":
        kind, reason = infer_target(cells, str(recipe.data.target))
        notes.append(f"target: {kind} ({reason})")
        say(notes[-1])
        recipe = _with_target_kind(recipe, kind)
    fraction = recipe.data.validation
    everything = cast("Offsets", np.arange(len(cells)))
    training, held_out = everything, everything[:0]
    if isinstance(fraction, float):
        training, held_out = split_rows(len(cells), fraction, recipe.data.split_seed)
    target = TargetFeature.fit(cells.gather(pl.Series(training)), recipe.features.target, str(recipe.data.target))
    features_input, sequences = builder.finish(TrainingPart(rows=training if isinstance(fraction, float) else None))
    features = Features(features_input, target)

    def part(rows: Offsets, where: str) -> Examples:
        subset = _Subset(reading.places, rows)
        encoded = target.encode(cells.gather(pl.Series(rows)), subset, where)
        return Examples(sequences.take(rows), encoded, reading.places, rows)

    train = part(training, "training data")
    if isinstance(fraction, float):
        validation = part(held_out, "validation data")
    else:
        validation = _read_examples(fraction, features, recipe, reading.source.bad_rows, say, "validation data")
    return Prepared(recipe, features, train, validation, notes, reading.source.bad_rows, reading.num_characters)


def _prepare_language_model(
    recipe: Recipe, reading: _Reading, builder: TextFeatureBuilder, notes: list[str], say: Say
) -> Prepared:
    documents = reading.source.format != "text"
    fraction = recipe.data.validation
    share = 1.0 - fraction if isinstance(fraction, float) else 1.0
    feature, sequences = builder.finish(TrainingPart(share=share))
    features = Features(feature, None, documents)
    stream = join_documents(sequences, documents)
    if isinstance(fraction, float):
        cut = int(len(stream) * share)
        train, validation = cast("Ids", stream[:cut]), cast("Ids", stream[cut:])
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
    reading = _Reading(source, recipe)
    spool, lengths = Spool(), []

    def draft(column: pl.Series) -> Draft:
        sequences = features.input.encode(column)
        return Draft(sequences.lengths, sequences)

    for piece, keep in reading.drafts(draft, with_target=with_target):
        sequences = cast("Sequences", piece.content).take(cast("Offsets", np.flatnonzero(keep)))
        spool.add(sequences.values)
        lengths.append(sequences.lengths)
    _announce(source, [], say)
    if not lengths:
        bad_rows.settle()
        raise DataError(f"`{source.path}` holds no usable row.")
    return (
        Sequences.from_lengths(spool.finish(), cast("Offsets", np.concatenate(lengths))),
        reading.all_cells(),
        reading.places,
    )


def _read_examples(
    reference: str, features: Features, recipe: Recipe, bad_rows: BadRows, say: Say, where: str
) -> Examples:
    sequences, cells, places = _read(
        reference, features, recipe, bad_rows, say, with_target=features.target is not None
    )
    targets = features.target.encode(cells, places, where) if features.target else None
    return Examples(sequences, targets, places, cast("Offsets", np.arange(len(sequences))))


def split_rows(count: int, fraction: float, seed: int) -> tuple[Offsets, Offsets]:
    """Row numbers of the training and the validation part: a seeded shuffle, the last `fraction` of it held out."""
    held_out = round(count * fraction)
    if held_out == 0 or held_out == count:
        raise DataError(
            f"{count} rows can't be split: `data.validation` = {fraction} leaves {held_out} rows for validation.",
            hint="give more rows, or a validation file: --set data.validation=validation.csv",
        )
    order = np.random.default_rng(seed).permutation(count).astype(np.int64)
    return cast("Offsets", order[: count - held_out]), cast("Offsets", order[count - held_out :])


def _with_target_kind(recipe: Recipe, kind: str) -> Recipe:
    features = recipe.features
    target = features.target.model_copy(update={"kind": kind})
    return recipe.model_copy(update={"features": features.model_copy(update={"target": target})})
