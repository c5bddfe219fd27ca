"""Predictions of a value: a number, quantiles, or a distribution; loss, shift, mean and quantiles of each.

Raw outputs (..., P) of a network become parameters (..., P), `parameters`, in units that a row was normalised to;
`shifted` brings them into the units of the target.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.errors import MissingLibraryError, RecipeError
from ostinato.heads.base import OutputHead
from ostinato.heads.sampling import drawn_on
from ostinato.metrics.classification import Metrics, regression
from ostinato.metrics.resampling import Units
from ostinato.metrics.steps import number_metrics

_LEAST = 1e-4
"""Added to scales, so that no likelihood is unbounded."""
_LEAST_FREEDOM = 2.0


class ValueHead(OutputHead):
    """P parameters (..., P) for each value (...)."""

    num_parameters: int = 1

    def parameters(self, raw: Tensor) -> Tensor:
        """Parameters (..., P) out of what a network puts out."""
        return raw

    def shifted(self, parameters: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
        """The parameters of `y * scale + loc`; `loc` and `scale` (...) without the last axis."""
        return parameters * scale.unsqueeze(-1) + loc.unsqueeze(-1)

    def point(self, outputs: Tensor) -> Tensor:
        """(...): the predicted number."""
        return outputs[..., 0]

    def quantiles(self, parameters: Tensor, levels: tuple[float, ...]) -> Tensor | None:
        """(..., len(levels)); None where there is only a number."""
        return None


class Point(ValueHead):
    """A number: the mean (`mse`), the median (`mae`), or between the two (`huber`, delta 1).

    Args:
        error: which.
        mean: of the numbers, before they were standardised.
        std: likewise.
    """

    def __init__(self, error: str, mean: float = 0.0, std: float = 1.0) -> None:
        errors: dict[str, Callable[..., Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}
        self._error = errors[error]
        self.mean, self.std = mean, std

    def nll(self, outputs: Tensor, target: Tensor) -> Tensor:
        return self._error(outputs[..., 0], target.to(outputs.dtype), reduction="none")

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        """Nothing is drawn: the number."""
        return self.point(outputs)

    def answers(self, outputs: Tensor) -> Tensor:
        """(M,) on the numbers' own scale."""
        return self.point(outputs) * self.std + self.mean

    def metrics(self, said: Any, truth: Any, units: Units | None = None) -> Metrics:
        """Of numbers on their own scale, and standardised ones."""
        return regression(said, truth * self.std + self.mean)

    def mixture(self, outputs: Tensor) -> Tensor:
        """(E, M, 1) of E models to their mean."""
        return outputs.mean(0)

    def members(self, targets: Tensor) -> Tensor:
        """(M, 1), 1 for numbers above the mean."""
        return (targets > 0).unsqueeze(1).long()


class Series(Point):
    """C numbers an item, (M, C); its loss is the mean of theirs."""

    def nll(self, outputs: Tensor, target: Tensor) -> Tensor:
        return super().nll(outputs.unsqueeze(-1), target).mean(1)

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        return outputs

    def point(self, outputs: Tensor) -> Tensor:
        return outputs

    def metrics(self, said: Any, truth: Any, units: Units | None = None) -> Metrics:
        return number_metrics(said, truth, units)


class Quantiles(ValueHead):
    r"""Quantiles by the pinball loss, :math:`\max(q (y - \hat y), (q - 1)(y - \hat y))`, mean over levels.

    Source: Koenker & Bassett 1978. Crossing quantiles are sorted when they are read, not in training.
    """

    def __init__(self, levels: tuple[float, ...]) -> None:
        self.levels = levels
        self.num_parameters = len(levels)

    def nll(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Mean pinball loss over the levels."""
        error = target.unsqueeze(-1) - outputs
        q = torch.tensor(self.levels, dtype=error.dtype, device=error.device)
        return torch.maximum(q * error, (q - 1) * error).mean(-1)

    def point(self, outputs: Tensor) -> Tensor:
        return outputs.sort(-1).values[..., self.levels.index(0.5)]

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        """Raises: quantiles give no distribution to draw from."""
        raise RecipeError("`model.output: quantiles` can't be drawn from step by step.")

    def quantiles(self, parameters: Tensor, levels: tuple[float, ...]) -> Tensor:
        """Those that were learnt; `levels` must be among them."""
        return parameters.sort(-1).values[..., [self.levels.index(level) for level in levels]]


class Gaussian(ValueHead):
    """Mean and deviation.

    Args:
        least: deviation.
    """

    num_parameters = 2

    def __init__(self, least: float = _LEAST) -> None:
        self.least = least

    def parameters(self, raw: Tensor) -> Tensor:
        return torch.stack([raw[..., 0], F.softplus(raw[..., 1]) + self.least], -1)

    def shifted(self, parameters: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
        """Mean shifted and scaled, deviation scaled."""
        return torch.stack([parameters[..., 0] * scale + loc, parameters[..., 1] * scale.abs()], -1)

    def nll(self, outputs: Tensor, target: Tensor) -> Tensor:
        loc, scale, *shape = outputs.unbind(-1)
        return -self.log_density((target - loc) / scale, scale, *shape)

    @staticmethod
    def log_density(z: Tensor, scale: Tensor) -> Tensor:
        """ln p of standardised values z."""
        return -0.5 * z.square() - 0.5 * math.log(2 * math.pi) - scale.log()

    def quantiles(self, parameters: Tensor, levels: tuple[float, ...]) -> Tensor:
        z: Tensor = torch.special.ndtri(torch.tensor(levels, dtype=torch.float64)).to(parameters)
        return parameters[..., :1] + parameters[..., 1:2] * z

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        """(...), `temperature` times as far from the mean."""
        if temperature == 0:
            return self.point(outputs)
        return outputs[..., 0] + temperature * self.deviate(outputs, generator)

    def deviate(self, parameters: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(...): how far from its mean a value is drawn."""
        return parameters[..., 1] * _standard_normal(parameters[..., 0], generator)


class StudentT(Gaussian):
    """Location, scale and degrees of freedom (above 2): as the Gaussian, with tails that forgive outliers."""

    num_parameters = 3

    def parameters(self, raw: Tensor) -> Tensor:
        return torch.cat([super().parameters(raw), F.softplus(raw[..., 2:]) + _LEAST_FREEDOM], -1)

    def shifted(self, parameters: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
        """Degrees of freedom stay."""
        return torch.cat([super().shifted(parameters, loc, scale), parameters[..., 2:]], -1)

    @staticmethod
    def log_density(z: Tensor, scale: Tensor, freedom: Tensor) -> Tensor:  # type: ignore[override]
        """ln p of standardised values z."""
        half = (freedom + 1) / 2
        norm = torch.lgamma(half) - torch.lgamma(freedom / 2) - 0.5 * (freedom * math.pi).log()
        return norm - half * (z.square() / freedom).log1p() - scale.log()

    def quantiles(self, parameters: Tensor, levels: tuple[float, ...]) -> Tensor:
        """Exact, by scipy."""
        special = scipy_special()
        found = [special.stdtrit(parameters[..., 2].double().cpu().numpy(), level) for level in levels]
        z = torch.stack([torch.as_tensor(one) for one in found], -1).to(parameters)
        return parameters[..., :1] + parameters[..., 1:2] * z

    def deviate(self, parameters: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A normal over the root of a chi-squared, both by inverse transform or torch's gamma."""
        loc, scale, freedom = parameters.unbind(-1)
        z = _standard_normal(loc, generator)
        halves = torch._standard_gamma((freedom / 2).to(drawn_on(generator, loc)), generator=generator).to(loc.device)
        return scale * (z / (2 * halves / freedom).sqrt())


class NegativeBinomial(ValueHead):
    r"""Counts of mean μ and variance :math:`\mu + \alpha \mu^2` (Salinas et al. 2020, eq. 4: both by softplus)."""

    num_parameters = 2

    def parameters(self, raw: Tensor) -> Tensor:
        """μ and α."""
        return F.softplus(raw) + _LEAST

    def shifted(self, parameters: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
        """μ scaled, α over the root of the scale (DeepAR, section 3.3); `loc` is zero."""
        return torch.stack([parameters[..., 0] * scale, parameters[..., 1] / scale.sqrt()], -1)

    def nll(self, outputs: Tensor, target: Tensor) -> Tensor:
        """-ln p(target), nats: of 1 / α failures, logits ln(α μ)."""
        mean, alpha = outputs.unbind(-1)
        logits = (alpha * mean).log()
        counts = torch.distributions.NegativeBinomial(1 / alpha, logits=logits, validate_args=False)
        found: Tensor = counts.log_prob(target)  # type: ignore[no-untyped-call]
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

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        """One draw, at a temperature of 1 alone: a Poisson whose rate is drawn from a gamma."""
        mean, alpha = outputs.unbind(-1)
        rate = torch._standard_gamma(1 / alpha, generator=generator) * alpha * mean
        return torch.poisson(rate, generator=generator)


def _standard_normal(like: Tensor, generator: torch.Generator | None) -> Tensor:
    where = drawn_on(generator, like)
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=where).to(like.device)


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
