"""Targets with a value for each step of their input, auto-detected from their first cells."""

from __future__ import annotations

import numpy as np
import polars as pl

from ostinato.arrays import Offsets
from ostinato.data.features import feature_type, is_fixed, make_builder
from ostinato.data.inference.sample import DataSample
from ostinato.data.io.blocks import Block, located
from ostinato.data.tables.list_cells import MOST_LABELS, kind_of_values, lists_of
from ostinato.recipe import Component, Recipe, TextRecipe

_LOOKED_AT = 20
_FILES_LOOKED_AT = 5
"""Of media, which must be decoded."""
_MOST = 0.9


def stepwise(sample: DataSample, recipe: Recipe) -> tuple[dict[str, str], str] | None:
    """How to read a target that holds a value for each step of the input, and why; None where it holds none.

    The steps of the input are those its feature makes of the first cells (of a text: its words, or its characters if
    the recipe says so). A target is lists as long, or texts of as many words or letters that are far fewer different
    ones than the input's.
    """
    inputs = recipe.features.input
    if is_fixed(inputs):
        return None
    frame, steps = _head(sample, recipe)
    read, cells = (frame[name].to_list() for name in (str(recipe.data.input), str(recipe.data.target)))
    lists = lists_of(cells)
    if lists is not None:
        kind = kind_of_values(lists)
        found = {"kind": kind} if kind and _fits(steps, [len(row) for row in lists]) else None
    else:
        found = _text_tags(read, cells, steps, words=_is_words(inputs))
    if found is None:
        return None
    return found, f"a value for each {'word' if _is_words(inputs) else 'step'} of {recipe.data.input}"


def answers_steps(sample: DataSample, recipe: Recipe) -> bool:
    """Whether a target has a value for each step of the input: as its kind says (`Feature.per_step`), else if in half
    of the first rows or more it has as many values; rows that don't fit are bad ones then."""
    feature = feature_type(recipe.features.target)
    if feature is None or feature.per_step is not None:
        return feature is not None and bool(feature.per_step)
    if sample.source.arrangement:
        return True
    frame, steps = _head(sample, recipe)
    lists = lists_of(frame[str(recipe.data.target)].to_list())
    if lists is None or not len(steps):
        return lists is None
    good = steps > 0
    same = (steps == np.asarray([len(row) for row in lists], dtype=np.int64)) & good
    return bool(2 * same.sum() >= good.sum())


def _is_words(inputs: Component) -> bool:
    return isinstance(inputs, TextRecipe) and inputs.unit in (None, "words")


def _head(sample: DataSample, recipe: Recipe) -> tuple[pl.DataFrame, Offsets]:
    """The first rows with input and target, and the steps of each, (N,): 0 where a cell can't be read."""
    names, inputs = (str(recipe.data.input), str(recipe.data.target)), recipe.features.input
    frame = sample.rows(*names).drop_nulls().head(_LOOKED_AT)
    key = (*names, sample.source.arrangement, inputs.model_dump_json())
    steps = sample.once(key, lambda: _steps(sample, frame[names[0]], inputs))
    return frame.head(len(steps)), steps


def _steps(sample: DataSample, cells: pl.Series, inputs: Component) -> Offsets:
    if isinstance(inputs, TextRecipe):
        found = [len(cell.split()) if _is_words(inputs) else len(cell.strip()) for cell in cells.to_list()]
        return np.asarray(found, dtype=np.int64)
    builder = make_builder(inputs)
    if builder.reads_files:
        cells = cells.head(_FILES_LOOKED_AT)
        lines = np.arange(len(cells), dtype=np.int64)
        cells = located(Block(cells.to_frame(), (str(sample.path),), lines), cells)
    return builder.draft(cells).lengths


def _fits(steps: Offsets, lengths: list[int]) -> bool:
    """Whether nearly all rows that can be read have as many values as steps, and most more than one."""
    good = steps > 0
    same = (steps == np.asarray(lengths, dtype=np.int64)) & good
    return bool(good.any() and same.sum() >= _MOST * good.sum() and (steps > 1).sum() > good.sum() / 2)


def _text_tags(inputs: list[str], cells: list[str], steps: Offsets, *, words: bool) -> dict[str, str] | None:
    """Texts of as many words, or letters, as there are steps: tags, if there are few different ones, and the texts are
    not a few classes whose names happen to be as long."""
    for split, cut in (("blanks", str.split),) if words else (("blanks", str.split), ("characters", _letters)):
        rows = [cut(cell) for cell in cells]
        lengths = {len(row) for row in rows}
        if not _fits(steps, [len(row) for row in rows]) or (len(lengths) < 3 and 2 * len(set(cells)) <= len(cells)):
            continue
        different = len({piece for row in rows for piece in row})
        read = [cut(cell) for cell in inputs]
        discrete = all(len(row) == count for row, count in zip(read, steps.tolist(), strict=True))
        most = len({piece for row in read for piece in row}) / 2 if discrete else MOST_LABELS
        return {"kind": "tags", "split": split} if 1 < different <= most else None
    return None


def _letters(cell: str) -> list[str]:
    return list(cell.strip())
