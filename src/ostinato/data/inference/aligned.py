"""Tagging's conditions: a target that fits its input step for step, and a recipe whose parts agree."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ostinato.arrays import Offsets
from ostinato.data.features import FEATURES, Draft
from ostinato.data.sequences import Sequences
from ostinato.errors import RecipeError
from ostinato.recipe import Recipe, TextRecipe
from ostinato.recipe.kinds import TagsRecipe

Problems = dict[int, tuple[str, str]]
"""By the number of a row in its block: what is wrong, and the column to show."""


def misfits(recipe: Recipe, drafts: Mapping[str, Draft]) -> Problems:
    """Rows of a block whose columns are of unequal lengths, of a tagger or a next-step model; with CTC, of more labels
    than steps.

    CTC needs a step for every label, and one more between two equal ones.
    """
    if recipe.model.kind not in ("tagger", "next_step"):
        return {}
    source, target = str(recipe.data.input), str(recipe.data.target)
    free = recipe.model.tagger.output == "ctc"
    lengths = drafts[source].lengths
    found: Problems = {}
    for name, draft in drafts.items():
        kind = recipe.features.extra[name].kind if name in recipe.features.extra else ""
        if name == source or (kind in FEATURES and not FEATURES[kind].ragged):
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


def check_tagger(recipe: Recipe) -> None:
    """Raise `RecipeError` where the parts of a tagger's recipe contradict each other."""
    model, features = recipe.model, recipe.features
    tagger, target = model.tagger, features.target
    if isinstance(features.input, TextRecipe) and features.input.max_length is not None and tagger.output != "ctc":
        raise RecipeError("`features.input.max_length` does not apply to a tagger: its target would not be cut.")
    if isinstance(features.input, TextRecipe) and features.input.unit == "subwords" and tagger.output != "ctc":
        raise RecipeError("`features.input.unit` must be words or characters for a tagger. Received: subwords.")
    allowed = {"softmax": ("tags", "notes", "series"), "crf": ("tags",), "ctc": ("tags", "tokens", "text")}
    if target.kind not in allowed[tagger.output]:
        raise RecipeError(
            f"`features.target.kind` must be {' or '.join(allowed[tagger.output])} for `model.tagger.output: "
            f"{tagger.output}`. Received: {target.kind}.",
            hint=f"--set features.target.kind={allowed[tagger.output][0]}",
        )
    if tagger.delay and (model.bidirectional or tagger.output == "ctc"):
        why = "a bidirectional network reads what follows anyway" if model.bidirectional else "ctc aligns by itself"
        raise RecipeError(f"`model.tagger.delay` does not apply here: {why}. Received: {tagger.delay}.")
    if isinstance(target, TagsRecipe) and target.ignore and tagger.output == "ctc":
        raise RecipeError(f"`features.target.ignore` does not apply with output: ctc. Received: {target.ignore}.")
    if recipe.training.label_smoothing and (tagger.output != "softmax" or target.kind == "series"):
        what = tagger.output if tagger.output != "softmax" else "a target of numbers"
        raise RecipeError(
            f"`training.label_smoothing` does not apply with {what}. Received: {recipe.training.label_smoothing}."
        )
    words = (features.input.kind, getattr(features.input, "unit", None))
    if model.unknown_words and words not in (("tokens", None), ("text", "words")):
        raise RecipeError(f"`model.unknown_words` needs words as input. Received: {model.unknown_words}.")
