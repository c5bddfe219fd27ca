"""Text from a language model, token by token, each step from the state the last one left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import polars as pl
import torch
from torch import Tensor

from ostinato.data.dataset import Features
from ostinato.data.sequences import Ids
from ostinato.data.vocabulary import END_ID, PAD_ID, UNK_ID
from ostinato.errors import RecipeError, RunError
from ostinato.generation.sampling import check_sampling, next_token
from ostinato.models import LanguageModel
from ostinato.types import State

Choose = Callable[[Tensor, torch.Generator], Tensor]


def generate_ids(
    model: LanguageModel,
    prompt: Ids,
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    seed: int = 0,
) -> Iterator[int]:
    """Sampled tokens, one at a time; ends early after `<end>`. `<pad>` and `<unk>` are never drawn.

    Raises `RecipeError` at once, before the first token, for options that describe no distribution.
    """
    if max_new_tokens < 1:
        raise RecipeError(f"`max_new_tokens` must be a positive integer. Received: {max_new_tokens}.")
    check_sampling(temperature=temperature, top_k=top_k, top_p=top_p)

    def choose(logits: Tensor, generator: torch.Generator) -> Tensor:
        return next_token(logits, generator, temperature=temperature, top_k=top_k, top_p=top_p)

    return _draw(model, prompt, max_new_tokens, choose, seed)


def _draw(model: LanguageModel, prompt: Ids, count: int, choose: Choose, seed: int) -> Iterator[int]:
    device = next(model.parameters()).device
    generator = torch.Generator(device=device).manual_seed(seed)
    states: list[State] | None = None
    step = torch.from_numpy(prompt.astype("int64")).to(device).unsqueeze(1)  # (L, 1)
    model.eval()
    with torch.inference_mode():
        for _ in range(count):
            logits, states = model(step, states)
            last: Tensor = logits[-1]  # (1, V)
            last[:, [PAD_ID, UNK_ID]] = -torch.inf
            token = choose(last, generator)
            yield int(token)
            if int(token) == END_ID:
                return
            step = token.unsqueeze(0)


def encode_prompt(features: Features, prompt: str) -> Ids:
    """The prompt as integers; an empty one begins a new line (or document).

    Raises `RunError` naming the tokens of the prompt that the model never saw.
    """
    if not prompt:
        start = END_ID if features.documents else None
        if start is None:
            newline = features.input.encode(pl.Series(["\n"])).values
            start = int(newline[0]) if len(newline) and newline[0] != UNK_ID else int(features.input.vocab_size > 3) * 3
        return cast("Ids", torch.tensor([start], dtype=torch.int32).numpy())
    unseen = features.input.unseen(prompt)
    if unseen:
        unit = {"characters": "character", "words": "word"}.get(features.input.recipe.unit or "", "token")
        shown = ", ".join(repr(token) for token in unseen[:10]) + (", …" if len(unseen) > 10 else "")
        verb = f"a {unit}" if len(unseen) == 1 else f"{len(unseen)} {unit}s"
        raise RunError(
            f"the prompt holds {verb} the model never saw: {shown}.",
            hint="write the prompt without, or train on text that has " + ("it" if len(unseen) == 1 else "them"),
        )
    ids = features.input.encode(pl.Series([prompt])).values
    if not len(ids):
        raise RunError(f"nothing is left of the prompt {prompt!r} after cleaning.")
    return ids
