"""Target columns that a model is to write: auto-detected, how they are cut, how long they are."""

from __future__ import annotations

import polars as pl

from ostinato.arrays import Offsets
from ostinato.data.features import FEATURES, feature_type
from ostinato.data.inference.kinds import kind_of
from ostinato.data.inference.sample import DataSample
from ostinato.data.tables.list_cells import kind_of_values, lists_of
from ostinato.data.text import resolve_text
from ostinato.errors import RecipeError
from ostinato.recipe import Component, Recipe, TextRecipe, build_recipe
from ostinato.recipe.model import WriterRecipe

_FEWEST = 100
_PARSED = 20
"""Lists that are parsed, to tell numbers and notes from labels."""
_MOST_CLASSES = 20
_FEWEST_WORDS = 20
_FEWEST_OF_A_NAME = 10
"""Rows a different name must have on average."""


def is_written(sample: DataSample, column: str) -> str | None:
    """Why a target column holds texts to write rather than classes; None where it may well hold classes.

    Of at least 100 cells at the head of the data more than half must be different texts that are no numbers and no
    JSON lists.
    """
    cells = sample.cells(column)
    if cells.dtype != pl.String or len(cells) < _FEWEST:
        return None
    distinct = cells.n_unique()
    if distinct <= max(_MOST_CLASSES, len(cells) // 2):
        return None
    if cells.str.starts_with("[").all() or cells.cast(pl.Float64, strict=False).is_not_null().any():
        return None
    return f"{distinct:,} of the first {len(cells):,} cells are different texts: sequences to write, hardly classes"


def frames_of(sample: DataSample, column: str) -> tuple[str, str] | None:
    """The kind of a target column whose cells are sequences of frames, and why; None where they are none."""
    found = kind_of(sample, column)
    feature = None if found is None else FEATURES.get(found[0])
    if found is None or feature is None or not feature.frames_hold:
        return None
    if feature.suffixes:
        return found
    lists = lists_of(sample.cells(column).head(_PARSED).to_list())
    kind = None if lists is None else kind_of_values(lists)
    return (kind, found[1]) if kind is not None and FEATURES[kind].frames_hold else None


def is_given(sample: DataSample, column: str, target: str) -> tuple[str, str] | None:
    """That a column of texts, or of whole numbers, holds names of categories, and why: few different ones, beside
    sequences to write."""
    cells = sample.cells(column)
    distinct = cells.n_unique()
    if cells.dtype != pl.String or distinct > len(cells) // _FEWEST_OF_A_NAME:
        return None
    if is_written(sample, target) is None and frames_of(sample, target) is None:  # texts to write need 100 rows
        return None
    if cells.cast(pl.Float64, strict=False).null_count() < len(cells):
        whole = cells.cast(pl.Int64, strict=False).null_count() == 0
        what = f"{distinct:,} different whole numbers" if whole and distinct <= _MOST_CLASSES else None
    else:
        what = f"{distinct:,} different names"
    if what is None:
        return None
    return "category", f"{what} in the first {len(cells):,} cells, and {target} is to be written"


def is_spelled(sample: DataSample, column: str) -> bool:
    """Whether cells are single words, most of them different: only their spelling says anything."""
    cells = sample.cells(column)
    return len(cells) >= _FEWEST_WORDS and cells.n_unique() > len(cells) / 2 and unit_of(sample, column)[0] != "words"


def unit_of(sample: DataSample, column: str) -> tuple[str, str]:
    """The unit that a text column of a sequence-to-sequence model is cut into, and the reason."""
    cells = sample.cells(column)
    several = 2 * int(cells.str.contains(r"\S\s+\S").sum()) > len(cells)
    return ("words", "most cells hold several words") if several else ("characters", "most cells hold one word")


def resolve_written(recipe: TextRecipe, unit: str) -> TextRecipe:
    """As `resolve_text`, for a text that is written: case, punctuation and markup are kept unless said otherwise."""
    kept = {key: getattr(recipe, key) or "keep" for key in ("markup", "case", "punctuation")}
    return resolve_text(recipe.model_copy(update=kept), unit)


def check_written(component: Component, path: str) -> None:
    """Raise `RecipeError` where frames that are to be written could not be turned back into what they came from.

    Args:
        component: how the column is read.
        path: of it in the recipe, for messages.
    """
    undone = {"deltas": (False, 0), "missing": ("stop", "interpolate"), "normalize": ("none", "global")}
    for name, allowed in undone.items():
        value = getattr(component, name, allowed[0])
        if value not in allowed:
            wanted = " or ".join(str(one).lower() for one in dict.fromkeys(allowed))
            raise RecipeError(
                f"`{path}.{name}` must be {wanted} for frames that are generated: nothing else can be inverted. "
                f"Received: {str(value).lower()}."
            )


def with_lengths(recipe: Recipe, lengths: Offsets) -> tuple[Recipe, str | None]:
    """The recipe with what a decoder of frames must know of training targets of these lengths, (N,); and, in words,
    what was found."""
    decoder = WriterRecipe.of(recipe).decoder
    feature = feature_type(recipe.features.target)
    if feature is None or not feature.frames_hold or not len(lengths):
        return recipe, None
    longest, note = int(lengths.max()), None
    known = {"max_new_tokens": decoder.max_new_tokens or 2 * longest, "length": decoder.length}
    if decoder.length is None:
        same = int(lengths.min()) == longest
        known["length"] = longest if same else "learnt"
        of = recipe.data.target
        note = (
            f"length: {longest:,} (of every {of}; --set model.decoder.length=learnt lets the model decide when to stop)"
            if same
            else f"length: learnt ({of} has {int(lengths.min()):,} to {longest:,} steps)"
        )
    mapping = recipe.model_dump()
    mapping["model"]["decoder"] |= known
    return build_recipe(mapping), note
