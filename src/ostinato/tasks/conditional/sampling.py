"""Sequences drawn for what is given or read: names of a language, the words of a picture, a translation."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch

from ostinato.data.batching import BucketedBatches
from ostinato.data.dataset import Examples, Features
from ostinato.data.features import Feature
from ostinato.data.features.category import CategoryFeature
from ostinato.data.loading import examples_of
from ostinato.data.vocabulary import UNK_ID
from ostinato.errors import RecipeError, RunError
from ostinato.layers.beam_search import sample
from ostinato.recipe import Recipe
from ostinato.recipe.model import WriterRecipe
from ostinato.tasks.conditional.model import Conditional
from ostinato.tasks.seq2seq.model import Seq2Seq

_LISTED = 30


def draw(
    model: Conditional | Seq2Seq,
    features: Features,
    recipe: Recipe,
    given: Any,
    *,
    num: int = 10,
    max_new_tokens: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    seed: int = 0,
) -> list[str]:
    """Texts drawn for what is given, each on its own: the same seed draws the same ones.

    Args:
        model: of the run.
        features: of the run.
        recipe: of the run.
        given: the input's cell (a name, a number, pixels, a path), or a mapping by column where there are several.
        num: texts, at least 1.
        max_new_tokens: of each; none: as the recipe's decoder says.
        temperature: below 1 safer, above wilder; 0: the likeliest token each time, so that all are alike.
        top_k: draw only from so many of the likeliest tokens.
        top_p: draw only from the likeliest tokens that make up this share.
        seed: of the draws.

    Raises:
        RunError: for a cell that can't be used, such as a name that training never showed.
        RecipeError: for options out of range.

    Example:
        >>> draw(run.model, run.features, run.recipe, "Italian", num=2)
        ['Bellini', 'Marchetti']
    """
    if num < 1:
        raise RecipeError(f"`num` must be a positive integer. Received: {num}.")
    name = str(recipe.data.input)
    for column, feature in ((name, features.input), *features.extra.items()):
        refuse_unknown_cell(feature, column, given.get(column) if isinstance(given, dict) else given)
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        examples = examples_of([given], features, recipe)
        batch = BucketedBatches(examples, 1).batch(np.zeros(1, dtype=np.int64))
        batch = batch.to(next(model.parameters()).device)
        found = sample(
            model.tokens,
            model.begin(batch.inputs, batch.extra).spread(num),
            max_new_tokens=WriterRecipe.of(recipe).decoder.longest if max_new_tokens is None else max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
        )
    model.train(was_training)
    target = cast("Feature", features.target)
    return [str(target.decode(np.asarray(ids, dtype=np.int32))) for ids in found]


def refuse_unknown(examples: Examples, features: Features) -> None:
    """Raise `RunError` for the first row that is given a name training never showed: nothing was learnt of it."""
    columns: list[tuple[Feature, Any]] = [(features.input, examples.sequences)]
    columns += [(feature, examples.extra[name]) for name, feature in features.extra.items()]
    for feature, sequences in columns:
        if isinstance(feature, CategoryFeature):
            unknown = np.flatnonzero(sequences.values == UNK_ID).tolist()
            if unknown:
                raise RunError(
                    f"row {unknown[0] + 1} is given a name that training never showed. It showed "
                    f"{_listed(feature.names)}."
                )


def refuse_unknown_cell(feature: Feature, column: str, cell: Any) -> None:
    """Raise `RunError` for the name of a category that training never showed."""
    if isinstance(feature, CategoryFeature) and cell is not None and str(cell).strip() not in feature.names:
        near = difflib.get_close_matches(str(cell).strip(), feature.names, n=1)
        raise RunError(
            f"`{column}` must be one of {_listed(feature.names)}. Received: {cell!r}.",
            hint=f"did you mean {near[0]}?" if near else None,
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
