"""Distributions of a frame of numbers given the state of a recurrence."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ostinato.heads.distributions import Gaussian, StudentT
from ostinato.heads.frames import FrameHead
from ostinato.heads.sampling import drawn_on, pick
from ostinato.recipe.parts import WrittenNumbersRecipe


class MixtureDensity(FrameHead):
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
        >>> output = MixtureDensity(8, num_values=3, recipe=WrittenNumbersRecipe(components=2))
        >>> output.nll(torch.zeros(5, 8), torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    def __init__(self, input_size: int, num_values: int, recipe: WrittenNumbersRecipe) -> None:
        super().__init__()
        self.recipe, self.num_values = recipe, num_values
        self.each = (StudentT if recipe.distribution == "student_t" else Gaussian)(recipe.least_deviation)
        self.parameters_per_value = self.each.num_parameters + recipe.factors
        self.raw = nn.Linear(input_size, recipe.components * num_values * self.parameters_per_value)
        self.shares = nn.Linear(input_size, recipe.components) if recipe.components > 1 else None

    def nll(self, outputs: Tensor, target: Tensor) -> Tensor:
        """-ln p(v | h) of each frame, (M,), exactly; target: (M, C) numbers."""
        parameters, factors = self._components(outputs)
        mean, deviation, *shape = parameters.unbind(-1)
        z = (target.to(mean.dtype).unsqueeze(1) - mean) / deviation  # (M, K, C)
        log_p = self.each.log_density(z, deviation, *shape).sum(2)
        if self.recipe.factors:
            log_p = log_p + _log_of_factors(z, factors / deviation.unsqueeze(3))
        if self.shares is None:
            return -log_p.squeeze(1)
        mixed: Tensor = log_p + self.shares(outputs).log_softmax(1)
        return -mixed.logsumexp(1)

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        """Frames (M, C) drawn from p(v | h): shares to the power 1 / `temperature`, and what is drawn so many times as
        far from its mean; at 0 the mean of the likeliest component."""
        parameters, factors = self._components(outputs)
        places = torch.zeros(len(outputs), dtype=torch.long, device=outputs.device)
        if self.shares is not None:
            places = pick(self.shares(outputs), generator, temperature)
        rows = torch.arange(len(outputs), device=outputs.device)
        parameters, factors = parameters[rows, places], factors[rows, places]
        mean = parameters[..., 0]
        if temperature == 0:
            return mean
        away = self.each.deviate(parameters, generator)
        if self.recipe.factors:
            size, where = (len(mean), self.recipe.factors), drawn_on(generator, mean)
            shared = torch.randn(size, generator=generator, dtype=mean.dtype, device=where)
            away = away + (factors @ shared.to(mean.device).unsqueeze(2)).squeeze(2)
        return mean + temperature * away

    def _components(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Parameters (M, K, C, P) and factors (M, K, C, R)."""
        raw = self.raw(hidden).view(len(hidden), self.recipe.components, self.num_values, self.parameters_per_value)
        size = self.each.num_parameters
        return self.each.parameters(raw[..., :size]), raw[..., size:]


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
