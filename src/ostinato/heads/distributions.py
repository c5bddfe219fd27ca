"""What a forecast says of a value: a number, quantiles, or a distribution; loss, shift, mean and quantiles of each.

Raw outputs (..., P) of a network become parameters (..., P), `parameters`, in units that a row was normalised to;
`shifted` brings them into the units of the target.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.errors import MissingLibraryError
from ostinato.recipe.forecast import WindowsRecipe

_LEAST = 1e-4
"""Added to scales, so that no likelihood is unbounded."""


class Output(ABC):
    """P parameters for each value that is forecast."""

    num_parameters: int = 1

    def parameters(self, raw: Tensor) -> Tensor:
        """Parameters (..., P) out of what a network puts out."""
        return raw

    def shifted(self, parameters: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
        """The parameters of `y * scale + loc`; `loc` and `scale` (...) without the last axis."""
        return parameters * scale.unsqueeze(-1) + loc.unsqueeze(-1)

    @abstractmethod
    def loss(self, parameters: Tensor, target: Tensor) -> Tensor:
        """(...): the loss of each value."""

    def point(self, parameters: Tensor) -> Tensor:
        """(...): the number that is forecast."""
        return parameters[..., 0]

    def quantiles(self, parameters: Tensor, levels: tuple[float, ...]) -> Tensor | None:
        """(..., len(levels)); None where there is only a number."""
        return None

    def sample(self, parameters: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(...): one draw."""
        return self.point(parameters)


class Point(Output):
    """A number: the mean (`mse`), the median (`mae`), or between the two (`huber`, delta 1)."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def loss(self, parameters: Tensor, target: Tensor) -> Tensor:
        """Squared, absolute or Huber's error."""
        if self.kind == "mse":
            return F.mse_loss(parameters[..., 0], target, reduction="none")
        if self.kind == "mae":
            return F.l1_loss(parameters[..., 0], target, reduction="none")
        return F.huber_loss(parameters[..., 0], target, reduction="none")


class Quantiles(Output):
    r"""Quantiles by the pinball loss, :math:`\max(q (y - \hat y), (q - 1)(y - \hat y))`, mean over levels.

    Source: Koenker & Bassett 1978. Quantiles that cross are put in order when they are read, not when learnt.
    """

    def __init__(self, levels: tuple[float, ...]) -> None:
        self.levels = levels
        self.num_parameters = len(levels)

    def loss(self, parameters: Tensor, target: Tensor) -> Tensor:
        """Mean pinball loss over the levels."""
        return pinball(parameters, target, self.levels).mean(-1)

    def point(self, parameters: Tensor) -> Tensor:
        """The median."""
        return parameters.sort(-1).values[..., self.levels.index(0.5)]

    def quantiles(self, parameters: Tensor, levels: tuple[float, ...]) -> Tensor:
        """Those that were learnt; `levels` must be among them."""
        return parameters.sort(-1).values[..., [self.levels.index(level) for level in levels]]


class Gaussian(Output):
    """Mean and deviation."""

    num_parameters = 2

    def parameters(self, raw: Tensor) -> Tensor:
        """Deviation by softplus."""
        return torch.stack([raw[..., 0], F.softplus(raw[..., 1]) + _LEAST], -1)

    def shifted(self, parameters: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
        """Mean shifted and scaled, deviation scaled."""
        return torch.stack([parameters[..., 0] * scale + loc, parameters[..., 1] * scale.abs()], -1)

    def distribution(self, parameters: Tensor) -> torch.distributions.Distribution:
        """As `torch.distributions`."""
        return torch.distributions.Normal(parameters[..., 0], parameters[..., 1], validate_args=False)

    def loss(self, parameters: Tensor, target: Tensor) -> Tensor:
        """-ln p(target), nats."""
        return -self._log_prob(parameters, target)

    def _log_prob(self, parameters: Tensor, target: Tensor) -> Tensor:
        found: Tensor = self.distribution(parameters).log_prob(target)
        return found

    def quantiles(self, parameters: Tensor, levels: tuple[float, ...]) -> Tensor:
        """Exact."""
        z: Tensor = torch.special.ndtri(torch.tensor(levels, dtype=torch.float64)).to(parameters)
        return parameters[..., :1] + parameters[..., 1:2] * z

    def sample(self, parameters: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One draw."""
        return torch.normal(parameters[..., 0], parameters[..., 1], generator=generator)


class StudentT(Gaussian):
    """Location, scale and degrees of freedom (above 2): as the Gaussian, with tails that forgive outliers."""

    num_parameters = 3

    def parameters(self, raw: Tensor) -> Tensor:
        """Scale and degrees of freedom by softplus."""
        return torch.stack([raw[..., 0], F.softplus(raw[..., 1]) + _LEAST, F.softplus(raw[..., 2]) + 2.0], -1)

    def shifted(self, parameters: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
        """Degrees of freedom stay."""
        return torch.cat([super().shifted(parameters, loc, scale), parameters[..., 2:]], -1)

    def distribution(self, parameters: Tensor) -> torch.distributions.Distribution:
        """As `torch.distributions`."""
        loc, scale, freedom = parameters.unbind(-1)
        return torch.distributions.StudentT(freedom, loc, scale, validate_args=False)

    def quantiles(self, parameters: Tensor, levels: tuple[float, ...]) -> Tensor:
        """Exact, by scipy."""
        special = scipy_special()
        found = [special.stdtrit(parameters[..., 2].double().cpu().numpy(), level) for level in levels]
        z = torch.stack([torch.as_tensor(one) for one in found], -1).to(parameters)
        return parameters[..., :1] + parameters[..., 1:2] * z

    def sample(self, parameters: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One draw: a normal over the root of a chi-squared, both by inverse transform or torch's gamma."""
        loc, scale, freedom = parameters.unbind(-1)
        normal = torch.randn(loc.shape, generator=generator, dtype=loc.dtype, device=loc.device)
        half = torch._standard_gamma(freedom / 2, generator=generator)
        return loc + scale * normal / (2 * half / freedom).sqrt()


class NegativeBinomial(Output):
    r"""Counts of mean μ and variance :math:`\mu + \alpha \mu^2` (Salinas et al. 2020, eq. 4: both by softplus)."""

    num_parameters = 2

    def parameters(self, raw: Tensor) -> Tensor:
        """μ and α."""
        return F.softplus(raw) + _LEAST

    def shifted(self, parameters: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
        """μ scaled, α over the root of the scale (DeepAR, section 3.3); `loc` is zero."""
        return torch.stack([parameters[..., 0] * scale, parameters[..., 1] / scale.sqrt()], -1)

    def distribution(self, parameters: Tensor) -> torch.distributions.NegativeBinomial:
        """As `torch.distributions`: 1 / α failures, logits ln(α μ)."""
        mean, alpha = parameters.unbind(-1)
        return torch.distributions.NegativeBinomial(1 / alpha, logits=(alpha * mean).log(), validate_args=False)

    def loss(self, parameters: Tensor, target: Tensor) -> Tensor:
        """-ln p(target), nats."""
        found: Tensor = self.distribution(parameters).log_prob(target)  # type: ignore[no-untyped-call]
        return -found

    def quantiles(self, parameters: Tensor, levels: tuple[float, ...]) -> Tensor:
        """The least count whose cumulated probability reaches each level, by scipy."""
        special = scipy_special()
        mean, alpha = parameters.double().cpu().unbind(-1)
        failures, success = (1 / alpha).numpy(), (1 / (1 + alpha * mean)).numpy()
        found = []
        for level in levels:
            count = torch.as_tensor(special.nbdtrik(level, failures, success)).nan_to_num(0.0).ceil().clamp(min=0.0)
            found.append(count)
        return torch.stack(found, -1).to(parameters)

    def sample(self, parameters: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One draw: a Poisson whose rate is drawn from a gamma."""
        mean, alpha = parameters.unbind(-1)
        rate = torch._standard_gamma(1 / alpha, generator=generator) * alpha * mean
        return torch.poisson(rate, generator=generator)


def pinball(quantiles: Tensor, target: Tensor, levels: tuple[float, ...]) -> Tensor:
    """(..., Q): the pinball loss of quantiles (..., Q) at these levels for a target (...)."""
    error = target.unsqueeze(-1) - quantiles
    q = torch.tensor(levels, dtype=error.dtype, device=error.device)
    return torch.maximum(q * error, (q - 1) * error)


def output_of(recipe: WindowsRecipe) -> Output:
    """The output that a recipe asks for.

    Raises:
        MissingLibraryError: for a distribution whose quantiles need scipy, without it: better now than after training.
    """
    kinds: dict[str, Any] = {"gaussian": Gaussian, "student_t": StudentT, "negative_binomial": NegativeBinomial}
    if recipe.output == "quantiles":
        return Quantiles(recipe.quantiles)
    if recipe.output in ("student_t", "negative_binomial"):
        scipy_special()
    found: Output = kinds[recipe.output]() if recipe.output in kinds else Point(recipe.output)
    return found


def scipy_special() -> Any:
    """`scipy.special`, for quantiles of distributions that torch has none of."""
    try:
        from scipy import special
    except ImportError as error:
        raise MissingLibraryError(
            "quantiles of this distribution need scipy, which is not installed.",
            hint="pip install 'ostinato[baselines]'",
        ) from error
    return special
