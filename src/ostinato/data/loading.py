"""Data for features that are fitted: another file, rows given by hand, another text; read as training's file was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ostinato.arrays import Array, Offsets
from ostinato.data.dataset import Examples, Features
from ostinato.data.features import Feature
from ostinato.data.given import drafted
from ostinato.data.io.spool import Spool, steps_of
from ostinato.data.places import Places
from ostinato.data.readers.open import Say, open_data
from ostinato.data.readers.registry import Source
from ostinato.data.reading import Reading
from ostinato.data.rejects import BadRows
from ostinato.data.sequences import Sequences, runs_of
from ostinato.data.targets import TargetFeature
from ostinato.data.vocabulary import END_ID
from ostinato.errors import DataError, RecipeError
from ostinato.recipe import Recipe, Settings, apply_overrides, build_recipe
from ostinato.recipe.dialect import Dialect

READING = ("on_bad_row", "max_characters", "time_format", *Dialect.model_fields)
"""Keys of `data` that may be others for further files than for those of training."""


def reading_as(recipe: Recipe, settings: Settings) -> Recipe:
    """The recipe of a run, with other keys of how files are read.

    Raises:
        RecipeError: for any key but those of `READING`.
    """
    changed = build_recipe(apply_overrides(recipe.model_dump(mode="json"), settings))
    read = recipe.data.model_copy(update={key: getattr(changed.data, key) for key in READING})
    if changed != recipe.model_copy(update={"data": read}):
        given = settings.items() if isinstance(settings, Mapping) else settings
        raise RecipeError(
            f"an existing run keeps its recipe. Received: {', '.join(map(str, given))}.",
            hint=f"only options for reading files may be set: {', '.join(f'data.{key}' for key in READING)}",
        )
    return changed


def load_examples(
    reference: str, features: Features, recipe: Recipe, say: Say = lambda _: None, *, whole: bool = False
) -> Examples:
    """Rows of another file, encoded as the run's training data was. Targets are read if the run has a target. With
    `whole`, the input of each row can be shown in full."""
    bad_rows = BadRows(recipe.data.on_bad_row)
    where = recipe.data.test_where if reference == recipe.data.test else None
    examples = read_examples(reference, features, recipe, bad_rows, say, "data", where, whole=whole)
    _say_left_out(bad_rows, say)
    return examples


def load_documents(reference: str, features: Features, recipe: Recipe, say: Say = lambda _: None) -> Examples:
    """Another text, or documents, for a language model."""
    return documents_of(load_examples(reference, Features(features.input), recipe, say), features.documents)


def documents_of(examples: Examples, documents: bool) -> Examples:
    """Rows as a language model reads them: see `as_documents`."""
    sequences = as_documents(examples.sequences, documents)
    return replace(examples, sequences=sequences, rows=examples.rows[: len(sequences)])


def _say_left_out(bad_rows: BadRows, say: Say) -> None:
    if bad_rows.check():
        say(f"left out, since they can't be used: {bad_rows.how_many}:\n{bad_rows.listed()}")


def as_documents(sequences: Sequences, documents: bool) -> Sequences:
    """Separate documents, a row each, closed by `<end>`; or all pieces of one text as a single row."""
    if not documents:
        return Sequences.from_lengths(sequences.values, np.asarray([len(sequences.values)]))
    spool, offsets = Spool(), sequences.offsets
    for first, last in runs_of(offsets, steps_of(sequences.values)):
        some = sequences.values[offsets[first] : offsets[last]]
        spool.add(np.insert(some, offsets[first + 1 : last + 1] - offsets[first], END_ID))
    return Sequences(spool.finish(), offsets + np.arange(len(offsets)))


def examples_of(rows: Sequence[Any], features: Features, recipe: Recipe) -> Examples:
    """Rows given by hand, encoded as a file's would be.

    Args:
        rows: cells of the input column, or mappings from column to cell where a model reads several.
        features: of the run.
        recipe: of the run.

    Raises:
        RowError: for a row that lacks a column, or can't be used.
    """
    name = str(recipe.data.input)
    columns = {name: features.input, **features.extra}
    encoded = {column: drafted(rows, column, feature, list(columns)).encoded for column, feature in columns.items()}
    extra = {column: encoded[column] for column in features.extra}
    return Examples(encoded[name], None, Places(), np.arange(len(rows)), extra)


def read_examples(
    reference: str,
    features: Features,
    recipe: Recipe,
    bad_rows: BadRows,
    say: Say,
    where: str,
    chosen: str | None = None,
    *,
    whole: bool = False,
) -> Examples:
    """Rows of a file, encoded by fitted features. `where` names the data in messages, `chosen` is SQL; `whole`: inputs
    are kept to be shown in full."""
    source = open_data(reference, recipe, bad_rows, say)
    target, name = features.target, str(recipe.data.target)
    columns: dict[str, Feature] = {str(recipe.data.input): features.input, **features.extra}
    if isinstance(target, Feature):
        columns[name] = target
    reading = Reading(source, recipe, columns, name if isinstance(target, TargetFeature) else None, None, chosen)
    if whole:
        reading.places = Places(longest=None)
    spools = {column: Spool() for column in columns}
    lengths: dict[str, list[Offsets]] = {column: [] for column in columns}
    for drafts, keep in reading.drafts():
        for column, draft in drafts.items():
            content = draft.encoded
            kept = content if keep.all() else content.take(np.flatnonzero(keep))
            spools[column].add(kept.values)
            lengths[column].append(kept.lengths)
    announce(source, [], say)
    if not len(reading.places):
        bad_rows.check()
        raise DataError(f"`{source.name}` holds no usable row.", hint=rejected_hint(bad_rows))
    found = {
        column: Sequences.from_lengths(spools[column].finish(), np.concatenate(lengths[column])) for column in columns
    }
    targets: Array | Sequences | None = found[name] if isinstance(target, Feature) else None
    if isinstance(target, TargetFeature):
        targets = target.encode(reading.all_cells(), reading.places, where)
    extra = {column: found[column] for column in features.extra}
    rows = np.arange(len(reading.places))
    return Examples(found[str(recipe.data.input)], targets, reading.places, rows, extra)


def announce(source: Source, notes: list[str], say: Say) -> None:
    for note in source.notes[:3]:
        say(note)
    notes.extend(source.notes)


def rejected_hint(bad_rows: BadRows) -> str | None:
    return f"{bad_rows.how_many} were set aside; the first: {bad_rows.in_order()[0]}" if bad_rows.rows else None
