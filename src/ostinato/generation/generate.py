"""Text from a language model, token by token, each step from the state the last one left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import polars as pl
import torch

from ostinato.data.dataset import Features
from ostinato.data.sequences import Ids
from ostinato.data.vocabulary import END_ID, UNK_ID
from ostinato.errors import RecipeError, RunError
from ostinato.generation.stream import Sampling, TokenStream
from ostinato.models import LanguageModel

_CHUNK = 64
"""Tokens drawn before Python sees them; the first comes alone, at once."""


def generate_chunks(
    model: LanguageModel,
    prompt: Ids,
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    seed: int = 0,
    precision: str = "full",
) -> Iterator[Ids]:
    """Sampled tokens, some at a time; ends early after `<end>`. `<pad>` and `<unk>` are never drawn.

    Raises `RecipeError` at once, before the first token, for options that describe no distribution, and `BackendError`
    for a precision that can't run.
    """
    if max_new_tokens < 1:
        raise RecipeError(f"`max_new_tokens` must be a positive integer. Received: {max_new_tokens}.")
    sampling = Sampling(temperature, top_k, top_p)
    return _draw(TokenStream(model, precision=precision), prompt, max_new_tokens, sampling, seed)


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
    """As `generate_chunks`, one token at a time."""
    chunks = generate_chunks(
        model, prompt, max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
    )
    return (int(token) for chunk in chunks for token in chunk)


def _draw(stream: TokenStream, prompt: Ids, count: int, sampling: Sampling, seed: int) -> Iterator[Ids]:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.from_numpy(prompt.astype("int64"))
    stream.skip(ids[:-1].unsqueeze(1))
    last, size = ids[-1:], 1
    while count > 0:
        drawn = stream.draw(last, min(size, count), generator, sampling, END_ID)[:, 0]
        yield cast("Ids", drawn.numpy())
        last, count, size = drawn[-1:], count - len(drawn), _CHUNK
        if int(last) == END_ID:
            return


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
