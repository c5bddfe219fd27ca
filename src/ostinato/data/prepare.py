"""From a recipe to encoded training and validation data: read once, infer what was not said, split, encode."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import polars as pl

from ostinato.arrays import Array, Offsets
from ostinato.data.dataset import Examples, Features, Prepared
from ostinato.data.distinct import Distinct
from ostinato.data.features import Feature, FeatureBuilder, TrainingPart, make_builder
from ostinato.data.inference.applicability import applies, refuse_inapplicable
from ostinato.data.inference.resolve import infer_recipe
from ostinato.data.inference.sample import DataSample
from ostinato.data.inference.target import infer_target
from ostinato.data.inference.written import with_lengths
from ostinato.data.loading import announce, as_documents, documents_of, read_examples, rejected_hint
from ostinato.data.places import Places
from ostinato.data.readers.open import Say
from ostinato.data.reading import Reading
from ostinato.data.rejects import counted
from ostinato.data.sequences import Sequences
from ostinato.data.split import split_fold, split_rows
from ostinato.data.targets import TargetFeature, missing_in_words, strata_of
from ostinato.errors import DataError, RecipeError
from ostinato.recipe import Component, Recipe, TargetRecipe


def prepare_rows(recipe: Recipe, sample: DataSample, say: Say = lambda _: None) -> Prepared:
    """Rows that are independent of each other: read, split, fitted on the training part, encoded.

    Args:
        recipe: with its task resolved; may leave columns, kinds and units open; the returned one leaves nothing open.
        sample: of the training data, its columns arranged.
        say: called with each note a user should see, as it comes up.

    Raises:
        RecipeError: for a recipe that contradicts itself or the data.
        DataError: for data that can't be used; with `on_bad_row: stop` also for any bad row, all of a file listed.
    """
    return _prepare(recipe, sample, say, _rows)


def prepare_text(recipe: Recipe, sample: DataSample, say: Say = lambda _: None) -> Prepared:
    """As `prepare_rows`, of running text: a document a row, of which the last share validates."""
    return _prepare(recipe, sample, say, _text)


_NAMED = 5
"""Classes that are named of those missing."""
_Encode = Callable[[Recipe, Reading, Mapping[str, FeatureBuilder], list[str], Say], Prepared]


def _prepare(recipe: Recipe, sample: DataSample, say: Say, encode: _Encode) -> Prepared:
    source, bad_rows = sample.source, sample.source.bad_rows
    recipe, notes = infer_recipe(recipe, sample)
    sample.close()
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
    announce(source, notes, say)
    bad_rows.check()
    if len(reading.places) == 0:
        raise DataError(f"`{source.name}` holds no usable row.", hint=rejected_hint(bad_rows))
    prepared = encode(recipe, reading, builders, notes, say)
    if bad_rows.check():
        say(f"set aside in rejected.jsonl: {bad_rows.how_many}")
    return prepared


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


def _split(recipe: Recipe, reading: Reading, groups: pl.Series | None) -> tuple[Offsets, Offsets | None]:
    """The rows for training and those held out; none held out where validation is a file of its own."""
    data, count = recipe.data, len(reading.places)
    strata = strata_of(reading.all_cells()) if data.stratify else None
    if strata is not None and strata.n_unique() == count > 1:
        raise DataError(
            f"column `{data.target}` holds another class in each of its {count:,} rows: none can be held out.",
            hint="is it the right `--target`? A text to be written for each row: --set model.task=seq2seq "
            "--set features.target.kind=text",
        )
    if data.fold is not None:
        return split_fold(count, *data.fold, data.split_seed, groups, strata)
    if isinstance(data.validation, float):
        return split_rows(count, data.validation, data.split_seed, groups, strata, each=data.stratify == "each")
    return np.arange(count), None


def _with_stratify(recipe: Recipe) -> Recipe:
    """Whether the validation share is drawn class by class: where the target is classes."""
    data = recipe.data
    if data.stratify != "auto":
        return recipe
    share = data.fold is not None or isinstance(data.validation, float)
    wanted = "each" if share and applies("data.stratify", recipe) else False
    return recipe.model_copy(update={"data": data.model_copy(update={"stratify": wanted})})


def _rows(
    recipe: Recipe, reading: Reading, builders: Mapping[str, FeatureBuilder], notes: list[str], say: Say
) -> Prepared:
    recipe = _with_stratify(_with_target_kind(recipe, reading, notes, say))
    groups = pl.concat(reading.groups) if reading.groups else None
    training, held_out = _split(recipe, reading, groups)
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
    if recipe.model.writes == "target" and isinstance(train.targets, Sequences):
        recipe, found = with_lengths(recipe, train.targets.lengths)
        if found is not None:
            notes.append(found)
            say(found)
    bad_rows, asked = reading.source.bad_rows, recipe.data.validation_where
    if held_out is not None:
        validation = take(held_out, "validation part (a random share of the rows; too few rows of that class?)")
    else:
        path = str(recipe.data.validation)
        validation = read_examples(path, features, recipe, bad_rows, say, "validation data", asked)
    learnt_from = None if groups is None else groups.gather(pl.Series(training))
    ready = Prepared(recipe, features, train, validation, notes, bad_rows, reading.num_characters, learnt_from)
    for missing, times in ready.missing_classes[:_NAMED]:
        notes.append(missing_in_words(missing, times))
        say(notes[-1])
    return ready


def _text(
    recipe: Recipe, reading: Reading, builders: Mapping[str, FeatureBuilder], notes: list[str], say: Say
) -> Prepared:
    """Documents, each closed by `<end>`, or a single text."""
    documents = reading.source.format != "text"
    fraction, bad_rows = recipe.data.validation, reading.source.bad_rows
    share = 1.0 - fraction if isinstance(fraction, float) else 1.0
    feature, sequences = builders[str(recipe.data.input)].finish(TrainingPart(share=share))
    features = Features(feature, None, documents)
    closed = as_documents(sequences, documents)
    if isinstance(fraction, float):
        cut = int(len(sequences.values) * share)  # where the vocabulary's part ends, too
        if documents:  # the document it falls into is cut
            cut += int(np.searchsorted(sequences.offsets[1:], cut, side="right"))
        train, validation = cut_text(closed, reading.places, cut)
    else:
        held_out = read_examples(
            fraction, features, recipe, bad_rows, say, "validation data", recipe.data.validation_where
        )
        train = Examples(closed, None, reading.places, np.arange(len(closed)))
        validation = documents_of(held_out, documents)
    for name, part in (("training", train), ("validation", validation)):
        if len(part.sequences.values) < 2:
            raise DataError(
                f"the {name} text has {len(part.sequences.values)} tokens; a language model needs at least 2."
            )
    most = max(1, len(train.sequences.values) // 2)
    if most < recipe.training.batch_size:
        notes.append(
            f"training.batch_size: {counted(most, 'stream')} instead of {recipe.training.batch_size}: a stream has at "
            f"least two tokens, and the training text {len(train.sequences.values)}"
        )
        say(notes[-1])
    return Prepared(recipe, features, train, validation, notes, bad_rows, reading.num_characters)


def cut_text(sequences: Sequences, places: Places, cut: int) -> tuple[Examples, Examples]:
    """What precedes a token, and what follows from it on; a row that contains it is in both parts."""
    ends = sequences.offsets[1:]
    last = int(np.searchsorted(ends, cut, side="left"))  # the row that reaches the cut
    first = np.append(sequences.offsets[: last + 1], cut)
    begins = int(np.searchsorted(ends, cut, side="right"))
    second = np.concatenate([[0], ends[begins:] - cut])
    parts = (Sequences(sequences.values[:cut], first), Sequences(sequences.values[cut:], second))
    rows = (np.arange(len(first) - 1), begins + np.arange(len(second) - 1))
    train, validation = (Examples(part, None, places, of) for part, of in zip(parts, rows, strict=True))
    return train, validation


class _Subset(Places):
    """Places of some rows only, for messages about a part of the data."""

    def __init__(self, places: Places, rows: Offsets) -> None:
        super().__init__()
        self._of, self._rows = places, rows

    def location(self, row: int) -> tuple[str, int]:
        return self._of.location(int(self._rows[row]))


def _with_target_kind(recipe: Recipe, reading: Reading, notes: list[str], say: Say) -> Recipe:
    """What one value a row is, read off all of the training cells."""
    features = recipe.features
    if recipe.data.target is None or not isinstance(features.target, TargetRecipe) or not features.target.undecided:
        return recipe
    kind, reason = infer_target(reading.all_cells(), recipe.data.target)
    notes.append(f"target: {kind} ({reason})")
    say(notes[-1])
    target = features.target.model_copy(update={"kind": kind})
    recipe = recipe.model_copy(update={"features": features.model_copy(update={"target": target})})
    refuse_inapplicable(recipe)
    return recipe
