"""Outputs of a forecaster against `torch.distributions` and scipy: likelihoods, shifts, quantiles, samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions as td

from ostinato.heads.build import value_head
from ostinato.heads.distributions import Gaussian, NegativeBinomial, Point, Quantiles, StudentT, ValueHead
from ostinato.recipe.forecast import WindowsRecipe

LEVELS = (0.1, 0.5, 0.9)


@pytest.fixture
def raw() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(5, 4, 3, dtype=torch.float64)


def test_gaussian_of_a_shifted_value(raw: torch.Tensor) -> None:
    output, y = Gaussian(), torch.randn(5, 4, dtype=torch.float64)
    loc, scale = torch.full((5, 4), 3.0, dtype=torch.float64), torch.full((5, 4), 2.0, dtype=torch.float64)
    plain = output.parameters(raw[..., :2])
    base = td.Normal(plain[..., 0], plain[..., 1])
    shifted = td.TransformedDistribution(base, td.AffineTransform(loc, scale))
    torch.testing.assert_close(output.nll(output.shifted(plain, loc, scale), y), -shifted.log_prob(y))
    torch.testing.assert_close(output.quantiles(plain, LEVELS)[..., 2], base.icdf(torch.tensor(0.9)))


def test_student_t_of_a_shifted_value(raw: torch.Tensor) -> None:
    output, y = StudentT(), torch.randn(5, 4, dtype=torch.float64)
    loc, scale = torch.full((5, 4), -1.0, dtype=torch.float64), torch.full((5, 4), 0.5, dtype=torch.float64)
    plain = output.parameters(raw)
    base = td.StudentT(plain[..., 2], plain[..., 0], plain[..., 1])
    shifted = td.TransformedDistribution(base, td.AffineTransform(loc, scale))
    torch.testing.assert_close(output.nll(output.shifted(plain, loc, scale), y), -shifted.log_prob(y))
    expected = stats.t.ppf(0.1, plain[..., 2].numpy(), plain[..., 0].numpy(), plain[..., 1].numpy())
    np.testing.assert_allclose(output.quantiles(plain, LEVELS)[..., 0].numpy(), expected, rtol=1e-9)


def test_negative_binomial(raw: torch.Tensor) -> None:
    output, counts = NegativeBinomial(), torch.randint(0, 9, (5, 4)).double()
    plain = output.parameters(raw[..., :2] + 1)
    mean, alpha = plain.unbind(-1)
    same = td.NegativeBinomial(1 / alpha, probs=alpha * mean / (1 + alpha * mean))
    torch.testing.assert_close(output.nll(plain, counts), -same.log_prob(counts))
    torch.testing.assert_close(same.mean, mean)
    torch.testing.assert_close(same.variance, mean + alpha * mean**2)
    expected = stats.nbinom.ppf(0.9, (1 / alpha).numpy(), (1 / (1 + alpha * mean)).numpy())
    np.testing.assert_array_equal(output.quantiles(plain, LEVELS)[..., 2].numpy(), expected)
    scaled = output.shifted(plain, torch.zeros_like(mean), torch.full_like(mean, 4.0))
    torch.testing.assert_close(scaled, torch.stack([4 * mean, alpha / 2], -1))


@pytest.mark.parametrize("output", [Gaussian(), StudentT(), NegativeBinomial()])
def test_draws_follow_the_distribution(output: ValueHead) -> None:
    raw = torch.tensor([2.0, 0.5, 3.0], dtype=torch.float64)[: output.num_parameters].expand(40_000, -1)
    parameters = output.parameters(raw)
    drawn = output.sample(parameters, torch.Generator().manual_seed(0))
    quantiles = output.quantiles(parameters[:1], (0.25, 0.5, 0.75))
    assert quantiles is not None
    for level, quantile in zip((0.25, 0.5, 0.75), quantiles[0].tolist(), strict=True):
        below, at_most = float((drawn < quantile).double().mean()), float((drawn <= quantile).double().mean())
        assert below - 0.015 < level < at_most + 0.015


def test_pinball_and_order_of_quantiles() -> None:
    output = Quantiles((0.1, 0.5, 0.9))
    parameters = torch.tensor([[3.0, 1.0, 2.0]], dtype=torch.float64)
    expected = (max(0.1 * -1, -0.9 * -1) + 0.5 * 1 + 0.0) / 3
    torch.testing.assert_close(output.nll(parameters, torch.tensor([2.0])), torch.tensor([expected]).double())
    assert output.quantiles(parameters, (0.1, 0.9)).tolist() == [[1.0, 3.0]]
    assert output.point(parameters).tolist() == [2.0]


def test_points_and_which_output_a_recipe_asks_for() -> None:
    y, forecast = torch.tensor([0.0]), torch.tensor([[3.0]])
    losses = {kind: float(Point(kind).nll(forecast, y)) for kind in ("mse", "mae", "huber")}
    assert losses == {"mse": 9.0, "mae": 3.0, "huber": 2.5}
    assert isinstance(value_head(WindowsRecipe(output="student_t")), StudentT)
    assert value_head(WindowsRecipe(output="quantiles")).num_parameters == 5
    assert Point("mse").quantiles(forecast, LEVELS) is None
