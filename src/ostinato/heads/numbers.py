"""Distributions of a frame of numbers given the state of a recurrence."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.heads.notes import FrameOutput, drawn_on, pick
from ostinato.recipe.parts import WrittenNumbersRecipe

_LEAST_FREEDOM = 2.0


class Numbers(FrameOutput):
    r"""A mixture of K distributions over frames :math:`v \in R^C`.

    .. math:: p(v \mid h) = \sum_k \pi_k \, p(v; \mu_k, \Sigma_k), \quad
        \Sigma_k = \mathrm{diag}(\sigma_k^2) + F_k F_k^T
    .. math:: \pi = \mathrm{softmax}(W_\pi h + b_\pi), \quad \mu = W_\mu h + b_\mu, \quad
        \sigma = \mathrm{softplus}(W_\sigma h + b_\sigma) + \sigma_0, \quad F = W_F h + b_F

    p is a normal distribution, with R `factors` F (C, R) along which the numbers of a frame move together; without
    them they are independent, and p may be Student's t of each number with
    :math:`\nu = \mathrm{softplus}(W_\nu h + b_\nu) + 2` degrees of freedom.

    With K above 1 it is the mixture density network of Bishop 1994 ("Mixture density networks", eqs. 22-27), which
    Graves 2013 (arXiv:1308.0850, section 4.1) put on a recurrence: what may go one way or another then does, where one
    mean would go between. The least deviation :math:`\sigma_0` keeps numbers that are rounded, or often the same, from
    an unbounded likelihood. With factors, determinant and inverse are those of R x R matrices (Woodbury).

    Args:
        input_size: H.
        num_values: C.
        recipe: K, p, R and the least deviation, in the scale of the feature's numbers.

    Example:
        >>> output = Numbers(8, num_values=3, recipe=WrittenNumbersRecipe(components=2))
        >>> output.nll(torch.zeros(5, 8), torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    def __init__(self, input_size: int, num_values: int, recipe: WrittenNumbersRecipe) -> None:
        super().__init__()
        self.recipe, self.num_values = recipe, num_values
        self.parameters_per_value = (3 if recipe.distribution == "student_t" else 2) + recipe.factors
        self.raw = nn.Linear(input_size, recipe.components * num_values * self.parameters_per_value)
        self.shares = nn.Linear(input_size, recipe.components) if recipe.components > 1 else None

    def nll(self, hidden: Tensor, frames: Tensor) -> Tensor:
        """As `FrameOutput.nll`, of frames (M, C) of numbers."""
        mean, deviation, rest = self._components(hidden)
        z = (frames.to(mean.dtype).unsqueeze(1) - mean) / deviation  # (M, K, C)
        if self.recipe.distribution == "student_t":
            log_p = (_log_student(z, _freedom(rest)) - deviation.log()).sum(2)
        else:
            log_p = (_log_normal(z) - deviation.log()).sum(2)
        if self.recipe.factors:
            log_p = log_p + _log_of_factors(z, rest / deviation.unsqueeze(3))
        if self.shares is None:
            return -log_p.squeeze(1)
        mixed: Tensor = log_p + self.shares(hidden).log_softmax(1)
        return -mixed.logsumexp(1)

    def draw(self, hidden: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        """Frames (M, C) drawn from p(v | h): shares to the power 1 / `temperature`, and what is drawn so many times as
        far from its mean; at 0 the mean of the likeliest component."""
        mean, deviation, rest = self._components(hidden)
        kept = self._kept(hidden, generator, temperature)
        mean, deviation, rest = mean[kept], deviation[kept], rest[kept]
        if temperature == 0:
            return mean
        where = drawn_on(generator, mean)
        z = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=where).to(mean.device)
        if self.recipe.distribution == "student_t":
            freedom = _freedom(rest)
            halves = torch._standard_gamma((freedom / 2).to(where), generator=generator).to(mean.device)
            z = z / (2 * halves / freedom).sqrt()
        away = deviation * z
        if self.recipe.factors:
            size = (len(mean), self.recipe.factors)
            shared = torch.randn(size, generator=generator, dtype=mean.dtype, device=where)
            away = away + (rest @ shared.to(mean.device).unsqueeze(2)).squeeze(2)
        return mean + temperature * away

    def _kept(self, hidden: Tensor, generator: torch.Generator | None, temperature: float) -> tuple[Tensor, Tensor]:
        """Which component of each frame is drawn from: an index into (M, K)."""
        rows = torch.arange(len(hidden), device=hidden.device)
        if self.shares is None:
            return rows, torch.zeros_like(rows)
        logits = self.shares(hidden)
        if temperature == 0:
            return rows, logits.argmax(1)
        return rows, pick((logits / temperature).softmax(1), generator)

    def _components(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Means and deviations, (M, K, C) each, and what else a number has, (M, K, C, R or 1 or 0)."""
        raw = self.raw(hidden).view(len(hidden), self.recipe.components, self.num_values, self.parameters_per_value)
        return raw[..., 0], F.softplus(raw[..., 1]) + self.recipe.least_deviation, raw[..., 2:]


def _freedom(rest: Tensor) -> Tensor:
    return F.softplus(rest[..., 0]) + _LEAST_FREEDOM


def _log_normal(z: Tensor) -> Tensor:
    return -0.5 * z.square() - 0.5 * math.log(2 * math.pi)


def _log_student(z: Tensor, freedom: Tensor) -> Tensor:
    half = (freedom + 1) / 2
    norm = torch.lgamma(half) - torch.lgamma(freedom / 2) - 0.5 * (freedom * math.pi).log()
    return norm - half * (z.square() / freedom).log1p()


def _log_of_factors(z: Tensor, factors: Tensor) -> Tensor:
    """(M, K): what factors (M, K, C, R), over the deviations, add to ln p of independent numbers z (M, K, C): of
    A = I + F^T F, (ln p) += (|L^-1 F^T z|^2 - ln det A) / 2, with A = L L^T."""
    size = factors.shape[-1]
    inner = factors.transpose(2, 3) @ factors + torch.eye(size, dtype=z.dtype, device=z.device)
    lower = torch.linalg.cholesky(inner)
    seen = torch.linalg.solve_triangular(lower, factors.transpose(2, 3) @ z.unsqueeze(3), upper=False)
    log_det = 2 * lower.diagonal(dim1=2, dim2=3).log().sum(2)
    found: Tensor = 0.5 * (seen.square().sum((2, 3)) - log_det)
    return found
