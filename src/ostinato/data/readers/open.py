"""The reader of what a recipe names, and how columns are made where it does not have them as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl

from ostinato.data.catalog import resolve_path
from ostinato.data.inference.sample import DataSample
from ostinato.data.readers.registry import Source, open_source
from ostinato.data.rejects import BadRows
from ostinato.data.tables.list_cells import MOST_LABELS
from ostinato.data.tables.reshape import arrangement_of
from ostinato.recipe import Recipe, build_recipe
from ostinato.recipe.base import named_by
from ostinato.recipe.dialect import Dialect

Say = Callable[[str], None]
_LOOKED_AT = 8
"""Blocks of a long table, to see whether its target changes within a session."""


def open_data(reference: str, recipe: Recipe, bad_rows: BadRows, say: Say) -> Source:
    """The reader of a file, folder or catalogue name, as the recipe says how to read it, its columns arranged."""
    source = open_stored(reference, recipe, bad_rows, say)
    arrange(DataSample(source), recipe)
    return source


def open_stored(reference: str, recipe: Recipe, bad_rows: BadRows, say: Say) -> Source:
    """As `open_data`, with the columns as they are stored."""
    path = resolve_path(reference, say)
    data = recipe.data
    same = data.format == "auto" or _kin(reference) == _kin(str(data.train))
    format = data.format if same else "auto"
    names = () if recipe.model.rows == "series" else data.names
    dialect = Dialect.of(data) if same else Dialect(encoding=data.encoding)
    return open_source(path, bad_rows, format=format, dialect=dialect, names=names, target=data.target)


def arrange(sample: DataSample, recipe: Recipe) -> None:
    """Let the sampled source make the columns that the recipe spells, or puts together from rows."""
    data, source = recipe.data, sample.source
    if recipe.model.rows == "series":  # it reads tables as they are
        return
    if data.session or data.time or (data.input and (":" in data.input or "," in data.input)):
        source.require(*named_by(data.session), *named_by(data.time))
        found = arrangement_of(data.input, data.session, data.time, source.columns(), data.time_format)
        labels, numeric = _step_labels(sample, recipe)
        source.arrangement = (
            None if found is None else replace(found, labels=labels, numeric=numeric, on_duplicate=data.on_duplicate)
        )


def with_usual_session(recipe: Recipe, source: Source, say: Say) -> Recipe:
    """The recipe, with the sessions that the files themselves are, where it names neither sessions nor an input."""
    data = recipe.data
    named = data.session or data.input or data.time or recipe.model.rows == "series"
    found = None if named else source.usual_session(data.target)
    if found is None:
        return recipe
    session, channels = found
    say(f"input: {channels} (columns of numbers){f', session: {session}, a file a row' if session else ''}")
    target = data.target or source.usual_target
    columns = {"session": session, "input": channels, "target": target}
    return build_recipe({**recipe.model_dump(), "data": {**recipe.model_dump()["data"], **columns}})


def _step_labels(sample: DataSample, recipe: Recipe) -> tuple[str | None, bool]:
    """The target of a long table, if it has a value a step, and whether these are numbers.

    The recipe's category and kind of target say so, or, where they are open, the first rows.
    """
    session, target, model = named_by(recipe.data.session), recipe.data.target, recipe.model
    if not session or target is None or target in session or not (model.undecided or model.labels_steps):
        return None, False
    if not {*session, target} <= set(sample.columns()):
        return None, False
    head = sample.rows(*session, target, num_blocks=_LOOKED_AT)
    changing = head.group_by(*session).agg((pl.col(target).n_unique() > 1).alias("changes"))["changes"]
    if model.undecided and not changing.any():
        return None, False
    kind = recipe.features.target.kind
    values = head[target].drop_nulls()
    return target, kind == "series" or (kind == "auto" and _is_measured(values))


def _is_measured(values: pl.Series) -> bool:
    """Whether values are numbers that are no labels."""
    numbers = values.cast(pl.Float64, strict=False)
    if numbers.null_count():
        return False
    return numbers.n_unique() > MOST_LABELS or bool((numbers != numbers.round()).any())


def _kin(reference: str) -> str:
    """What files of one format share: their suffix, or the name of their data set."""
    return Path(reference).suffix or reference.partition(":")[0]
