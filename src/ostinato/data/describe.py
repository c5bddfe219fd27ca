"""What is in a file, column by column, read a block at a time: for `ostinato data describe`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from ostinato.data.places import preview_of
from ostinato.data.readers.base import Source
from ostinato.data.readers.open import open_stored
from ostinato.data.rejects import BadRows
from ostinato.recipe import Settings, apply_overrides, build_recipe

_MOST_DISTINCT = 1_000
_EXAMPLE_CHARACTERS = 48
_SHOWN_BAD_ROWS = 20


@dataclass
class _Column:
    """Running figures of one column."""

    name: str
    values: int = 0
    characters: int = 0
    longest: int = 0
    example: str = ""
    noun: str = "characters"
    seen: set[str] = field(default_factory=set)

    def add(self, cells: pl.Series) -> None:
        there = cells.drop_nulls()
        if there.dtype.is_nested():
            self.noun = "values"
            lengths = values_of(there)
            there = preview_of(there)
        else:
            there = there.cast(pl.String)
            lengths = there.str.len_chars()
        self.values += len(there)
        self.characters += int(lengths.sum())
        longest = lengths.max()
        self.longest = max(self.longest, longest if isinstance(longest, int) else 0)
        if not self.example and len(there):
            self.example = " ".join(str(there[0])[: 4 * _EXAMPLE_CHARACTERS].split())[:_EXAMPLE_CHARACTERS]
        if len(self.seen) <= _MOST_DISTINCT:
            self.seen.update(there.unique().head(_MOST_DISTINCT + 1).to_list())

    def to_dict(self) -> dict[str, Any]:
        many = len(self.seen) > _MOST_DISTINCT
        return {
            "name": self.name,
            "values": self.values,
            "distinct": f"over {_MOST_DISTINCT:,}" if many else f"{len(self.seen):,}",
            "mean_characters": self.characters / self.values if self.values else 0.0,
            "longest": self.longest,
            "of": self.noun,
            "example": self.example,
        }


def values_of(cells: pl.Series) -> pl.Series:
    """How many values each list holds; of pictures, all of the same shape, how many numbers."""
    if isinstance(cells.dtype, pl.Array):
        return pl.Series([math.prod(cells.dtype.shape)], dtype=pl.Int64).new_from_index(0, len(cells))
    return cells.list.len()


def describe(reference: str, say: Callable[[str], None] = lambda _: None, settings: Settings = ()) -> dict[str, Any]:
    """Format, encoding, rows, bad rows, and for each column: values, distinct values, characters, an example.

    Args:
        reference: a path or a name of the catalogue.
        say: called with what a user should know (encoding, a download).
        settings: how the file is read, as recipe keys: `data.separator=;`.

    Raises:
        DataError: for a file that can't be read at all.
        RecipeError: for a setting that a recipe does not have.
    """
    bad_rows = BadRows("skip")
    recipe = build_recipe(apply_overrides({"data": {"train": reference}}, settings))
    source = open_stored(reference, recipe, bad_rows, say)
    names = source.columns()
    columns = [_Column(name) for name in names]
    rows = 0
    for block in source.blocks(names):
        rows += len(block.table)
        for column in columns:
            column.add(block.table[column.name])
    if source.format == "text":  # its blocks are one document
        rows = 1
        for column in columns:
            column.values, column.longest, column.seen = 1, column.characters, {column.example}
    for note in source.notes:
        say(note)
    problems = [str(row) for row in bad_rows.in_order()[:_SHOWN_BAD_ROWS]]
    if len(bad_rows.rows) > _SHOWN_BAD_ROWS:
        problems.append(f"… and {len(bad_rows.rows) - _SHOWN_BAD_ROWS:,} more")
    return {
        "path": source.name,
        "format": source.format,
        "encoding": source.found_encoding,
        "rows": rows,
        "columns": [*_row_numbers(source, rows), *(column.to_dict() for column in columns)],
        "num_bad_rows": len(bad_rows.rows),
        "bad_rows": problems,
    }


def _row_numbers(source: Source, rows: int) -> list[dict[str, Any]]:
    """A column without a name that numbers the rows, which is none of the source's columns."""
    start = source.numbers_rows_from()
    if start is None or not rows:
        return []
    column = _Column("(unnamed)", values=rows, example=f"a row number, {start} to {start + rows - 1}")
    return [{**column.to_dict(), "distinct": f"{rows:,}"}]
