"""What is shared by tasks that write a sequence for a row: targets, metrics, sampling."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ostinato.data.dataset import Features
from ostinato.data.features import Feature
from ostinato.errors import RecipeError
from ostinato.layers.beam_search import sample
from ostinato.layers.frames import Frames
from ostinato.layers.writer import SequenceWriter
from ostinato.nn.modes import evaluating
from ostinato.recipe import Recipe, TextRecipe
from ostinato.recipe.model import WriterRecipe
from ostinato.tasks.generation import DRAWN, GenerateOptions, Generation, OpenRun
from ostinato.tasks.given import given_batch
from ostinato.wording import with_article

_WRITTEN = ("token_error_rate", "sequence_error_rate", "exact")


def figures_of_tokens(recipe: Recipe) -> tuple[str, ...]:
    """What `training.monitor` may name: errors; for words also BLEU."""
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
        hint="tokens: --set features.target.kind=text; numbers: --set features.target.kind=series; others are notes, "
        "audio and video",
    )


def draw_texts(run: OpenRun, options: GenerateOptions, noun: str) -> Generation:
    """Texts drawn for what is given, each on its own: the same seed draws the same ones; by default at most as many
    tokens each as the recipe's decoder says.

    Raises:
        RunError: for a cell that can't be used, such as a name that training never showed.
        RecipeError: for options out of range, or that don't apply.
    """
    options.refuse(f"{noun} model", "prompt", "precision")
    given = options.cells((str(run.recipe.data.input), *run.features.extra), run.folder)
    model, num = cast("SequenceWriter", run.model), options.count(DRAWN)
    longest = WriterRecipe.of(run.recipe).decoder.longest
    with evaluating(model), torch.inference_mode():
        batch = given_batch(run, given, 1)
        found = sample(
            model.tokens,
            model.begin(batch.inputs, batch.extra).spread(num),
            max_new_tokens=longest if options.max_new_tokens is None else options.max_new_tokens,
            temperature=options.temperature,
            top_k=options.top_k,
            top_p=options.top_p,
            seed=options.seed,
        )
    target = run.features.sequence_target
    return Generation(texts=[str(target.decode(np.asarray(ids, dtype=np.int32))) for ids in found], given=given)
