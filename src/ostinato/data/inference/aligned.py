"""Columns that must fit the input step for step."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ostinato.arrays import Offsets
from ostinato.data.features import Draft, is_fixed
from ostinato.data.sequences import Sequences
from ostinato.recipe import Recipe

Problems = dict[int, tuple[str, str]]
"""By the number of a row in its block: what is wrong, and the column to show."""


def misfits(recipe: Recipe, drafts: Mapping[str, Draft]) -> Problems:
    """Rows of a block whose columns are of unequal lengths, of a tagger or a next-step model; with CTC, of more labels
    than steps.

    CTC needs a step for every label, and one more between two equal ones.
    """
    model = recipe.model
    if model.rows != "independent" or model.answers != "step":
        return {}
    source, target = str(recipe.data.input), str(recipe.data.target)
    free = not model.aligned
    lengths = drafts[source].lengths
    found: Problems = {}
    for name, draft in drafts.items():
        if name == source or (name in recipe.features.extra and is_fixed(recipe.features.extra[name])):
            continue
        if free and name == target:
            needed = draft.lengths + _repeats(draft)
            for row in np.flatnonzero(needed > lengths).tolist():
                text = f"{draft.lengths[row]} labels need {needed[row]} steps, and `{source}` has {lengths[row]}"
                found.setdefault(row, (text, name))
            continue
        for row in np.flatnonzero((draft.lengths != lengths) & (draft.lengths > 0) & (lengths > 0)).tolist():
            text = f"unequal lengths: `{source}` has {lengths[row]} steps, `{name}` has {draft.lengths[row]}"
            found.setdefault(row, (text, source))
    return found


def _repeats(draft: Draft) -> Offsets:
    """How many values of each row equal the one before them."""
    content = draft.content
    if not isinstance(content, Sequences) or not len(content.values):
        return np.zeros_like(draft.lengths)
    same = np.zeros(len(content.values) + 1, dtype=np.int64)
    same[2:] = np.cumsum(content.values[1:] == content.values[:-1])
    starts, ends = content.offsets[:-1], content.offsets[1:]
    return np.where(ends > starts, same[ends] - same[np.minimum(starts + 1, ends)], 0)
