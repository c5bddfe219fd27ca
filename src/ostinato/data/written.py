"""Text columns that a model is to write: told from columns of classes, and how they are cut into tokens."""

from __future__ import annotations

import polars as pl

from ostinato.data.sources import Source
from ostinato.data.text import resolve_text
from ostinato.recipe import TextRecipe

_FEWEST = 100
_MOST_CLASSES = 20
_FEWEST_WORDS = 20
_FEWEST_OF_A_NAME = 10
"""Rows a different name must have on average."""


def is_written(source: Source, column: str) -> str | None:
    """Why a target column holds texts to write rather than classes; None where it may well hold classes.

    Of at least 100 cells at the head of the data more than half must be different texts that are no numbers and no
    JSON lists.
    """
    cells = source.sample([column])[column].drop_nulls()
    if cells.dtype != pl.String or len(cells) < _FEWEST:
        return None
    distinct = cells.n_unique()
    if distinct <= max(_MOST_CLASSES, len(cells) // 2):
        return None
    if cells.str.starts_with("[").all() or cells.cast(pl.Float64, strict=False).is_not_null().any():
        return None
    return f"{distinct:,} of the first {len(cells):,} cells are different texts: sequences to write, hardly classes"


def is_given(source: Source, column: str, target: str) -> tuple[str, str] | None:
    """That a column of texts holds names of categories, and why: few different ones, beside texts to write."""
    cells = source.sample([column])[column].drop_nulls()
    distinct = cells.n_unique()
    if cells.dtype != pl.String or len(cells) < _FEWEST or distinct > len(cells) // _FEWEST_OF_A_NAME:
        return None
    if is_written(source, target) is None:
        return None
    return "category", f"{distinct:,} different names in the first {len(cells):,} cells, and {target} is to be written"


def is_spelled(source: Source, column: str) -> bool:
    """Whether cells are single words, most of them different: only their spelling says anything."""
    cells = source.sample([column])[column].drop_nulls()
    return len(cells) >= _FEWEST_WORDS and cells.n_unique() > len(cells) / 2 and unit_of(source, column)[0] != "words"


def unit_of(source: Source, column: str) -> tuple[str, str]:
    """The unit that a text column of a sequence-to-sequence model is cut into, and the reason."""
    cells = source.sample([column])[column].drop_nulls()
    several = 2 * int(cells.str.contains(r"\S\s+\S").sum()) > len(cells)
    return ("words", "most cells hold several words") if several else ("characters", "most cells hold one word")


def resolve_written(recipe: TextRecipe, unit: str) -> TextRecipe:
    """As `resolve_text`, for a text that is written: case, punctuation and markup are kept unless said otherwise."""
    kept = {key: getattr(recipe, key) or "keep" for key in ("markup", "case", "punctuation")}
    return resolve_text(recipe.model_copy(update=kept), unit)
