"""From a recipe to encoded training and validation data: read once, infer what was not said, split, encode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ostinato.data.arranging import arrangement_of
from ostinato.data.arrays import Array, Ids, Offsets
from ostinato.data.catalog import resolve_path
from ostinato.data.dataset import Examples, Features, Prepared
from ostinato.data.distinct import Distinct
from ostinato.data.features import Draft, Feature, FeatureBuilder, TrainingPart, make_builder
from ostinato.data.infer import infer_recipe
from ostinato.data.meaning import refuse_meaningless
from ostinato.data.places import Places
from ostinato.data.reading import Reading
from ostinato.data.rejects import BadRows, counted
from ostinato.data.sequences import Sequences, Spool
from ostinato.data.series import as_forecaster, inferred_series, load_windows, prepare_series
from ostinato.data.series_feature import ForecastFeature
from ostinato.data.series_future import windows_of
from ostinato.data.sources import Source, open_source
from ostinato.data.split import split_fold, split_rows
from ostinato.data.targets import TargetFeature, infer_target
from ostinato.data.vocabulary import END_ID
from ostinato.errors import DataError, RecipeError, RunError
from ostinato.recipe import Component, Recipe, TargetRecipe

Say = Callable[[str], None]


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
    recipe = as_forecaster(recipe, say)
    if recipe.model.kind == "forecaster":
        return prepare_series(recipe, say)
    bad_rows = BadRows(recipe.data.on_bad_row)
    source = open_data(str(recipe.data.train), recipe, bad_rows, say)
    recipe, notes = infer_recipe(recipe, source)
    for note in notes:
        say(note)
    builders = _builders(recipe)
    plain = recipe.data.target if isinstance(recipe.features.target, TargetRecipe) else None
    reading = Reading(source, recipe, builders, plain, recipe.data.group, recipe.data.where)
    if recipe.data.distinct:
        reading.distinct = Distinct(str(recipe.data.input), recipe.data.target)
    for drafts, keep in reading.drafts():
        for name, builder in builders.items():
            builder.add(drafts[name], keep)
    for note in reading.distinct.notes() if reading.distinct else ():
        say(note)
        notes.append(note)
    _announce(source, notes, say)
    bad_rows.settle()
    if len(reading.places) == 0:
        raise DataError(f"`{source.path}` holds no usable row.", hint=_rejected_hint(bad_rows))
    if recipe.model.kind == "language_model":
        prepared = _prepare_language_model(recipe, reading, builders[str(recipe.data.input)], notes, say)
    else:
        prepared = _prepare_rows(recipe, reading, builders, notes, say)
    num_rejected = bad_rows.settle()
    if num_rejected:
        say(f"set aside in rejected.jsonl: {counted(num_rejected, 'row')}")
    return prepared


def inferred(recipe: Recipe) -> Recipe:
    """The recipe with its columns, kinds and category settled from the head of its data; nothing is trained on.

    Raises:
        RecipeError: for a recipe that contradicts itself or the data.
        DataError: for data that can't be read.
    """
    if recipe.data.train is None:
        return recipe
    recipe = as_forecaster(recipe)
    if recipe.model.kind == "forecaster":
        return inferred_series(recipe)
    return infer_recipe(recipe, open_data(str(recipe.data.train), recipe, BadRows("skip"), lambda _: None))[0]


def load_examples(reference: str, features: Features, recipe: Recipe, say: Say = lambda _: None) -> Examples:
    """Rows of another file, encoded as the run's training data was. Targets are read if the run has a target."""
    if isinstance(features.input, ForecastFeature):
        return load_windows(reference, features.input, recipe, say)
    bad_rows = BadRows(recipe.data.on_bad_row)
    where = recipe.data.test_where if reference == recipe.data.test else None
    examples = _read_examples(reference, features, recipe, bad_rows, say, "data", where)
    num_rejected = bad_rows.settle()
    if num_rejected:
        say(f"left out, since they can't be used: {counted(num_rejected, 'row')}")
    return examples


def examples_of(rows: Sequence[Any], features: Features, recipe: Recipe) -> Examples:
    """Rows given by hand, encoded as a file's would be.

    Args:
        rows: cells of the input column, or mappings from column to cell where a model reads several.
        features: of the run.
        recipe: of the run.

    Raises:
        RunError: for a row that lacks a column, or can't be used.
    """
    if isinstance(features.input, ForecastFeature):
        return windows_of(rows, features.input)
    name = str(recipe.data.input)
    columns = {name: features.input, **features.extra}
    encoded: dict[str, Sequences] = {}
    for column, feature in columns.items():
        found = [_cell(row, column, list(columns)) for row in rows]
        cells = [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in found]
        draft = feature.draft(pl.Series(column, cells))
        empty = np.flatnonzero(draft.lengths == 0).tolist()
        reason = "nothing is left of it after cleaning" if feature.kind == "text" else "it is empty"
        problems = {**dict.fromkeys(empty, reason), **draft.problems}
        if problems:
            first = min(problems)
            raise RunError(f"row {first + 1}, {str(cells[first])[:60]!r}, can't be used: {problems[first]}.")
        encoded[column] = _final(draft)
    extra = {column: encoded[column] for column in features.extra}
    return Examples(encoded[name], None, Places(), np.arange(len(rows)), extra)


def _cell(row: Any, column: str, columns: list[str]) -> Any:
    if isinstance(row, Mapping):
        if column in row:
            return row[column]
        raise RunError(f"a row has no value for `{column}`. Received: {', '.join(map(str, row)) or 'nothing'}.")
    if len(columns) > 1:
        raise RunError(
            f"this model reads several columns: {', '.join(columns)}.", hint="give each row as a mapping by column"
        )
    return row


def _final(draft: Draft) -> Sequences:
    if not isinstance(draft.content, Sequences):
        raise TypeError("a fitted feature must encode for good")
    return draft.content


def load_stream(reference: str, features: Features, recipe: Recipe, say: Say = lambda _: None) -> Ids:
    """The integers of another text, for a language model."""
    bad_rows = BadRows(recipe.data.on_bad_row)
    examples = _read_examples(reference, Features(features.input), recipe, bad_rows, say, "data")
    num_rejected = bad_rows.settle()
    if num_rejected:
        say(f"left out, since they can't be used: {counted(num_rejected, 'row')}")
    return join_documents(examples.sequences, features.documents)


def join_documents(sequences: Sequences, documents: bool) -> Ids:
    """All rows one after the other, with `<end>` after each where they are separate documents."""
    if not documents:
        return sequences.values
    return np.insert(sequences.values, sequences.offsets[1:], END_ID)


def _builders(recipe: Recipe) -> dict[str, FeatureBuilder]:
    """What reads each column whose cells are more than a target's plain value."""
    wanted: list[tuple[str, Component]] = [(str(recipe.data.input), recipe.features.input)]
    wanted += recipe.features.extra.items()
    if recipe.data.target is not None and not isinstance(recipe.features.target, TargetRecipe):
        wanted.append((recipe.data.target, recipe.features.target))
    names = [name for name, _ in wanted]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise RecipeError(f"column `{doubled[0]}` can't be both: input, extra and target must differ.")
    return {name: make_builder(component) for name, component in wanted}


def open_data(reference: str, recipe: Recipe, bad_rows: BadRows, say: Say) -> Source:
    """The reader of a file, folder or catalogue name, as the recipe says how to read it."""
    path = resolve_path(reference, say)
    data = recipe.data
    same = data.format == "auto" or _kin(reference) == _kin(str(data.train))
    format = data.format if same else "auto"
    source = open_source(path, bad_rows, format=format, encoding=data.encoding, header=data.header, names=data.names)
    if data.session or data.time or (data.input and (":" in data.input or "," in data.input)):
        source.arrangement = arrangement_of(data.input, data.session, data.time, source.columns())
    return source


def _kin(reference: str) -> str:
    """What files of one format share: their suffix, or the name of their data set."""
    return Path(reference).suffix or reference.partition(":")[0]


def _rejected_hint(bad_rows: BadRows) -> str | None:
    return f"{len(bad_rows.rows):,} rows were set aside; the first: {bad_rows.in_order()[0]}" if bad_rows.rows else None


def _announce(source: Source, notes: list[str], say: Say) -> None:
    for note in source.notes[:3]:
        say(note)
    notes.extend(source.notes)


def _split(recipe: Recipe, reading: Reading) -> tuple[Offsets, Offsets | None]:
    """The rows for training and those held out; none held out where validation is a file of its own."""
    data, count = recipe.data, len(reading.places)
    groups = pl.concat(reading.groups) if reading.groups else None
    if data.stratify and recipe.features.target.kind != "class":
        raise RecipeError(
            f"`data.stratify` needs a target of classes. Received: a target of kind {recipe.features.target.kind}."
        )
    strata = reading.all_cells() if data.stratify else None
    if data.fold is not None:
        return split_fold(count, *data.fold, data.split_seed, groups, strata)
    if isinstance(data.validation, float):
        return split_rows(count, data.validation, data.split_seed, groups, strata)
    return np.arange(count), None


def _prepare_rows(
    recipe: Recipe, reading: Reading, builders: Mapping[str, FeatureBuilder], notes: list[str], say: Say
) -> Prepared:
    """Rows that are independent of each other: every category but a language model's running text."""
    recipe = _with_target_kind(recipe, reading, notes, say)
    training, held_out = _split(recipe, reading)
    target_recipe, name = recipe.features.target, recipe.data.target
    part = TrainingPart(rows=training if held_out is not None else None)
    plain: TargetFeature | None = None
    cells = reading.all_cells()
    if name is not None and isinstance(target_recipe, TargetRecipe):
        plain = TargetFeature.fit(cells.gather(pl.Series(training)), target_recipe, name)
    fitted: dict[str, Feature] = {}
    encoded: dict[str, Sequences] = {}
    for column, builder in builders.items():
        fitted[column], encoded[column] = builder.finish(part)
    of_input = str(recipe.data.input)
    extra = {column: fitted[column] for column in recipe.features.extra}
    features = Features(fitted[of_input], plain or fitted.get(str(name)), extra=extra)

    def take(rows: Offsets, where: str) -> Examples:
        targets: Array | Sequences | None = encoded[str(name)].take(rows) if str(name) in encoded else None
        if plain is not None:
            targets = plain.encode(cells.gather(pl.Series(rows)), _Subset(reading.places, rows), where)
        others = {column: encoded[column].take(rows) for column in extra}
        return Examples(encoded[of_input].take(rows), targets, reading.places, rows, others)

    train = take(training, "training data")
    if held_out is not None:
        validation = take(held_out, "validation part (a random share of the rows; too few rows of that class?)")
    else:
        validation = _read_examples(
            str(recipe.data.validation),
            features,
            recipe,
            reading.source.bad_rows,
            say,
            "validation data",
            recipe.data.validation_where,
        )
    return Prepared(recipe, features, train, validation, notes, reading.source.bad_rows, reading.num_characters)


def _prepare_language_model(
    recipe: Recipe, reading: Reading, builder: FeatureBuilder, notes: list[str], say: Say
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
        bad_rows, where = reading.source.bad_rows, recipe.data.validation_where
        held_out = _read_examples(fraction, features, recipe, bad_rows, say, "validation data", where)
        train, validation = stream, join_documents(held_out.sequences, documents)
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


def _read_examples(
    reference: str,
    features: Features,
    recipe: Recipe,
    bad_rows: BadRows,
    say: Say,
    where: str,
    chosen: str | None = None,
) -> Examples:
    """Rows of a file, encoded by fitted features. `where` names the data in messages, `chosen` is SQL."""
    source = open_data(reference, recipe, bad_rows, say)
    target, name = features.target, str(recipe.data.target)
    columns: dict[str, Feature] = {str(recipe.data.input): features.input, **features.extra}
    if isinstance(target, Feature):
        columns[name] = target
    reading = Reading(source, recipe, columns, name if isinstance(target, TargetFeature) else None, None, chosen)
    spools = {column: Spool() for column in columns}
    lengths: dict[str, list[Offsets]] = {column: [] for column in columns}
    for drafts, keep in reading.drafts():
        for column, draft in drafts.items():
            content = _final(draft)
            kept = content if keep.all() else content.take(np.flatnonzero(keep))
            spools[column].add(kept.values)
            lengths[column].append(kept.lengths)
    _announce(source, [], say)
    if not len(reading.places):
        bad_rows.settle()
        raise DataError(f"`{source.path}` holds no usable row.", hint=_rejected_hint(bad_rows))
    found = {
        column: Sequences.from_lengths(spools[column].finish(), np.concatenate(lengths[column])) for column in columns
    }
    targets: Array | Sequences | None = found[name] if isinstance(target, Feature) else None
    if isinstance(target, TargetFeature):
        targets = target.encode(reading.all_cells(), reading.places, where)
    extra = {column: found[column] for column in features.extra}
    rows = np.arange(len(reading.places))
    return Examples(found[str(recipe.data.input)], targets, reading.places, rows, extra)


def _with_target_kind(recipe: Recipe, reading: Reading, notes: list[str], say: Say) -> Recipe:
    """What one value a row is, read off all of the training cells."""
    features = recipe.features
    if recipe.data.target is None or not isinstance(features.target, TargetRecipe) or features.target.kind != "auto":
        return recipe
    kind, reason = infer_target(reading.all_cells(), recipe.data.target)
    notes.append(f"target: {kind} ({reason})")
    say(notes[-1])
    target = features.target.model_copy(update={"kind": kind})
    recipe = recipe.model_copy(update={"features": features.model_copy(update={"target": target})})
    refuse_meaningless(recipe)
    return recipe
