"""Text from a language model, token by token, each step from the state the last one left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import polars as pl
import torch

from ostinato.arrays import Ids
from ostinato.data.dataset import Features
from ostinato.data.vocabulary import END_ID, UNK_ID
from ostinato.errors import RecipeError, RunError
from ostinato.heads.sampling import Sampling
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.stream import TokenStream

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
    state_reset_interval: int | None = None,
) -> Iterator[Ids]:
    """Sampled tokens, some at a time; ends early after `<end>`. `<pad>` and `<unk>` are never drawn.

    A model trained without carried state is reset at the same interval (`BpttRecipe.state_reset_interval`).

    Raises `RecipeError` at once, before the first token, for options that describe no distribution, and `BackendError`
    for a precision that can't run.
    """
    if max_new_tokens < 1:
        raise RecipeError(f"`max_new_tokens` must be a positive integer. Received: {max_new_tokens}.")
    sampling = Sampling(temperature, top_k, top_p)
    return _draw(TokenStream(model, precision=precision), prompt, max_new_tokens, sampling, seed, state_reset_interval)


def _draw(
    stream: TokenStream, prompt: Ids, count: int, sampling: Sampling, seed: int, state_reset_interval: int | None
) -> Iterator[Ids]:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.from_numpy(prompt.astype("int64"))
    num_read = len(ids) - 1
    stream.skip(ids[num_read - num_read % (state_reset_interval or len(ids)) : -1].unsqueeze(1))
    last, size = ids[-1:], 1
    while count > 0:
        if state_reset_interval:
            size = min(size, state_reset_interval - num_read % state_reset_interval)
            if num_read % state_reset_interval == 0:
                stream.reset()
        drawn = stream.draw(last, min(size, count), generator, sampling, END_ID)[:, 0]
        yield cast("Ids", drawn.numpy())
        last, count, size, num_read = drawn[-1:], count - len(drawn), _CHUNK, num_read + len(drawn)
        if int(last) == END_ID:
            return


def encode_prompt(features: Features, prompt: str) -> Ids:
    """The prompt as integers; an empty one begins a new line.

    Of a model of documents it begins with the `<end>` before a document, as each one did in training.

    Raises `RunError` naming the tokens of the prompt that the model never saw.
    """
    if not prompt and features.documents:
        return np.array([END_ID], dtype=np.int32)
    if not prompt:
        newline = features.input.encode(pl.Series(["\n"])).values
        start = int(newline[0]) if len(newline) and newline[0] != UNK_ID else int(features.text.vocab_size > 3) * 3
        return np.array([start], dtype=np.int32)
    unseen = features.text.unseen(prompt)
    if unseen:
        unit = {"characters": "character", "words": "word"}.get(features.text.recipe.unit or "", "token")
        shown = ", ".join(repr(token) for token in unseen[:10]) + (", …" if len(unseen) > 10 else "")
        verb = f"a {unit}" if len(unseen) == 1 else f"{len(unseen)} {unit}s"
        raise RunError(
            f"the prompt holds {verb} the model never saw: {shown}.",
            hint="leave it out of the prompt, or train on text that contains " + ("it" if len(unseen) == 1 else "them"),
        )
    ids = features.input.encode(pl.Series([prompt])).values
    if not len(ids):
        raise RunError(f"nothing is left of the prompt {prompt!r} after cleaning.")
    return np.insert(ids, 0, END_ID) if features.documents else ids


def decode_chunks(features: Features, chunks: Iterator[Ids], begun: bool) -> Iterator[str]:
    """The text of tokens that come some at a time, as soon as it is whole; `begun`: a text precedes them."""
    between = " " if features.text.recipe.unit == "words" else ""
    ids: list[int] = []
    for chunk in chunks:
        ids.extend(int(token) for token in chunk)
        text = features.text.decode(np.asarray(ids, dtype=np.int32))
        if text.endswith("\ufffd"):  # a byte-level subword may end within a character: wait for the rest of it
            continue
        yield between + text if begun and text else text
        begun = begun or bool(text)
        ids.clear()
