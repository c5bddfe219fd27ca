"""What tasks that write sequences for rows share: what is written, and its figures."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from ostinato.data.dataset import Features
from ostinato.data.features import Feature, TextFeature
from ostinato.errors import RecipeError
from ostinato.layers.frame_decoder import Frames
from ostinato.tasks.generation import DRAWN, GenerateOptions, Generation, OpenRun

_WRITTEN = ("token_error_rate", "sequence_error_rate", "exact")


def figures_of_tokens(features: Features) -> tuple[str, ...]:
    """What `training.monitor` may name: errors; of words BLEU, too."""
    words = isinstance(features.target, TextFeature) and features.target.recipe.unit != "characters"
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
        f"`features.target.kind` must be a sequence for a {noun}. Received: {kind!r}.",
        hint="--set features.target.kind=text writes tokens, =series, =notes, =audio or =video frames",
    )


def draw_texts(run: OpenRun, options: GenerateOptions, noun: str) -> Generation:
    """Texts drawn for what is given."""
    from ostinato.tasks.conditional.sampling import draw

    options.refuse(f"{noun} model", "prompt", "precision")
    given = options.cells((str(run.recipe.data.input), *run.features.extra), run.folder)
    texts = draw(
        cast("Any", run.model),
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
