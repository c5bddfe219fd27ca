"""Choosing the next token from a model's scores."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ostinato.errors import RecipeError


def next_token(
    logits: Tensor,
    uniforms: Tensor,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
) -> Tensor:
    """Draw one token a row from softmax(logits / temperature), cut to the likeliest.

    Inverse transform: the first token at which the running sum of what is left, in the order of the vocabulary, passes
    u times its total. The native core's loop draws the same way, in the same order.

    Args:
        logits: (N, V).
        uniforms: (N,) float64 in [0, 1), u of each row: the source of randomness.
        temperature: > 0 sharpens below 1 and flattens above; 0 takes the likeliest token.
        top_k: keep only so many of the likeliest tokens (Fan et al. 2018, arXiv:1805.04833).
        top_p: in (0, 1]; keep only the fewest tokens whose probability reaches it (Holtzman et al. 2020,
            arXiv:1904.09751).

    Returns:
        (N,) token numbers.
    """
    check_sampling(temperature=temperature, top_k=top_k, top_p=top_p)
    if temperature == 0:
        return logits.argmax(dim=-1)
    scores = logits / temperature
    if top_k is not None and top_k < scores.shape[-1]:
        least = scores.topk(top_k, dim=-1).values[..., -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    if top_p < 1.0:
        ordered, order = scores.sort(dim=-1, descending=True)
        before = ordered.softmax(dim=-1).cumsum(dim=-1) - ordered.softmax(dim=-1)
        scores = scores.scatter(-1, order, ordered.masked_fill(before >= top_p, -torch.inf))
    passed = scores.softmax(dim=-1).double().cumsum(dim=-1)
    past = passed > uniforms.to(passed.device).unsqueeze(-1) * passed[..., -1:]
    return past.to(torch.uint8).argmax(dim=-1)


def check_sampling(*, temperature: float, top_k: int | None, top_p: float) -> None:
    """Raise `RecipeError` for options that describe no distribution."""
    if not temperature >= 0:
        raise RecipeError(f"`temperature` must be at least 0. Received: {temperature}.")
    if top_k is not None and top_k < 1:
        raise RecipeError(f"`top_k` must be a positive integer. Received: {top_k}.")
    if not 0 < top_p <= 1:
        raise RecipeError(f"`top_p` must be in (0, 1]. Received: {top_p}.")


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn; see `next_token`.

    Raises:
        RecipeError: for options that describe no distribution.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0

    def __post_init__(self) -> None:
        check_sampling(temperature=self.temperature, top_k=self.top_k, top_p=self.top_p)
