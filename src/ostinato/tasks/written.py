"""What tasks that write sequences for rows share: what is written, and its figures."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ostinato.data.batching import BucketedBatches
from ostinato.data.dataset import Features
from ostinato.data.features import Feature
from ostinato.data.loading import examples_of
from ostinato.errors import RecipeError
from ostinato.layers.beam_search import sample
from ostinato.layers.frames import Frames
from ostinato.layers.writer import SequenceWriter
from ostinato.nn.modes import evaluating
from ostinato.recipe import Recipe, TextRecipe
from ostinato.recipe.model import WriterRecipe
from ostinato.tasks.generation import DRAWN, GenerateOptions, Generation, OpenRun
from ostinato.tasks.given import refuse_unknown_cell
from ostinato.wording import with_article

_WRITTEN = ("token_error_rate", "sequence_error_rate", "exact")


def figures_of_tokens(recipe: Recipe) -> tuple[str, ...]:
    """What `training.monitor` may name: errors; of words BLEU, too."""
    target = recipe.features.target
    words = isinstance(target, TextRecipe) and target.unit != "characters"
    return (*_WRITTEN, "bleu") if words else _WRITTEN


def written(features: Features, noun: str) -> tuple[int | Frames, Tensor | None]:
    """What the target's steps are: how many different tokens, and how often training had each; or frames."""
    target = features.target
    if isinstance(target, Feature) and target.form == "ids":
        ids = cast("Any", target)
        return ids.vocab_size, torch.from_numpy(ids.counts)
    if isinstance(target, Feature) and target.ragged and target.form in ("vectors", "pictures"):
        return Frames.of(target), None
    kind = target.kind if target is not None else "none"
    raise RecipeError(
        f"`features.target.kind` must be a sequence for {with_article(noun)}. Received: {kind!r}.",
        hint="--set features.target.kind=text writes tokens, =series, =notes, =audio or =video frames",
    )


def draw(
    model: SequenceWriter,
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
        >>> run = ostinato.load("runs/people")
        >>> len(draw(run.model, run.features, run.recipe, "Italian", num=2))
        2
    """
    if num < 1:
        raise RecipeError(f"`num` must be a positive integer. Received: {num}.")
    name = str(recipe.data.input)
    for column, feature in ((name, features.input), *features.extra.items()):
        refuse_unknown_cell(feature, column, given.get(column) if isinstance(given, dict) else given)
    with evaluating(model), torch.inference_mode():
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
    target = features.sequence_target
    return [str(target.decode(np.asarray(ids, dtype=np.int32))) for ids in found]


def draw_texts(run: OpenRun, options: GenerateOptions, noun: str) -> Generation:
    """Texts drawn for what is given."""
    options.refuse(f"{noun} model", "prompt", "precision")
    given = options.cells((str(run.recipe.data.input), *run.features.extra), run.folder)
    texts = draw(
        cast("SequenceWriter", run.model),
        run.features,
        run.recipe,
        given,
        num=DRAWN if options.num is None else options.num,
        max_new_tokens=options.max_new_tokens,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        seed=options.seed,
    )
    return Generation(texts=texts, given=given)
