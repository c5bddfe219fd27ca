"""Draws from logits: tokens, places, zeros and ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ostinato.errors import RecipeError


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn from softmax(logits / temperature), cut to the likeliest.

    Args:
        temperature: > 0 sharpens below 1 and flattens above; 0 takes the likeliest token.
        top_k: keep only so many of the likeliest tokens (Fan et al. 2018, arXiv:1805.04833).
        top_p: in (0, 1]; keep only the fewest tokens whose probability reaches it (Holtzman et al. 2020,
            arXiv:1904.09751).

    Raises:
        RecipeError: for options that describe no distribution.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise RecipeError(f"`temperature` must be at least 0. Received: {self.temperature}.")
        if self.top_k is not None and self.top_k < 1:
            raise RecipeError(f"`top_k` must be a positive integer. Received: {self.top_k}.")
        if not 0 < self.top_p <= 1:
            raise RecipeError(f"`top_p` must be in (0, 1]. Received: {self.top_p}.")


def next_token(logits: Tensor, uniforms: Tensor, sampling: Sampling) -> Tensor:
    """Draw one token a row, (N,), from logits (N, V).

    Inverse transform: the first token at which the running sum of what is left, in the order of the vocabulary, passes
    u times its total. The native core's loop draws the same way, in the same order.

    Args:
        logits: (N, V).
        uniforms: (N,) float64 in [0, 1), u of each row: the source of randomness.
        sampling: how.
    """
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    scores = logits / sampling.temperature
    if sampling.top_k is not None and sampling.top_k < scores.shape[-1]:
        least = scores.topk(sampling.top_k, dim=-1).values[..., -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    if sampling.top_p < 1.0:
        ordered, order = scores.sort(dim=-1, descending=True)
        before = ordered.softmax(dim=-1).cumsum(dim=-1) - ordered.softmax(dim=-1)
        scores = scores.scatter(-1, order, ordered.masked_fill(before >= sampling.top_p, -torch.inf))
    passed = scores.softmax(dim=-1).double().cumsum(dim=-1)
    past = passed > uniforms.to(passed.device).unsqueeze(-1) * passed[..., -1:]
    return past.to(torch.uint8).argmax(dim=-1)


def next_tokens(logits: Tensor, sampling: Sampling, generator: torch.Generator | None = None) -> Tensor:
    """(N,): as `next_token`, u from a generator; none: torch's own."""
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    where = None if generator is None else generator.device
    uniforms = torch.rand(len(logits), dtype=torch.float64, generator=generator, device=where)
    return next_token(logits, uniforms, sampling)


def flip(log_odds: Tensor, generator: torch.Generator | None, temperature: float) -> Tensor:
    """Zeros and ones, uint8; at temperature 0 whatever is likelier."""
    if temperature == 0:
        return (log_odds > 0).to(torch.uint8)
    shares = (log_odds / temperature).sigmoid()
    uniform = torch.rand(shares.shape, generator=generator, dtype=shares.dtype, device=drawn_on(generator, shares))
    return (uniform.to(shares.device) < shares).to(torch.uint8)


def pick(logits: Tensor, generator: torch.Generator | None, temperature: float = 1.0) -> Tensor:
    """(M,) places drawn from softmax(logits / temperature), (M, K); at temperature 0 the likeliest."""
    if temperature == 0:
        return logits.argmax(1)
    shares = (logits / temperature).softmax(1).to(drawn_on(generator, logits))
    return torch.multinomial(shares, 1, generator=generator).squeeze(1).to(logits.device)


def drawn_on(generator: torch.Generator | None, like: Tensor) -> torch.device:
    """Where draws for a tensor are made: a generator draws on its own device alone, wherever the model is."""
    return like.device if generator is None else generator.device
