"""Distributions of frames of numbers: those of torch, exactly; what is drawn has the right mean and spread."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import (
    Categorical,
    Independent,
    LowRankMultivariateNormal,
    MixtureSameFamily,
    Normal,
    StudentT,
)
from torch.nn import functional as F

from ostinato.heads.mixture import MixtureDensity
from ostinato.recipe.parts import WrittenNumbersRecipe

LEAST = 0.05
KINDS = [("gaussian", 1, 0), ("gaussian", 3, 0), ("student_t", 1, 0), ("student_t", 3, 0), ("gaussian", 3, 2)]


@pytest.fixture(autouse=True)
def _double() -> Any:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _output(distribution: str, components: int, factors: int, num_values: int = 4) -> MixtureDensity:
    recipe = WrittenNumbersRecipe.model_validate(
        {"distribution": distribution, "components": components, "factors": factors, "least_deviation": LEAST}
    )
    output = MixtureDensity(5, num_values, recipe)
    for parameter in output.parameters():
        nn.init.normal_(parameter)
    return output


def _reference(output: MixtureDensity, hidden: Tensor) -> MixtureSameFamily:
    """The same distribution, made of torch's from the raw outputs of the layer."""
    recipe, count, values = output.recipe, output.recipe.components, output.num_values
    raw = output.raw(hidden).view(len(hidden), count, values, -1)
    mean, deviation = raw[..., 0], F.softplus(raw[..., 1]) + LEAST
    if recipe.factors:
        each: Any = LowRankMultivariateNormal(mean, raw[..., 2:], deviation.square())
    elif recipe.distribution == "student_t":
        each = Independent(StudentT(F.softplus(raw[..., 2]) + 2, mean, deviation), 1)
    else:
        each = Independent(Normal(mean, deviation), 1)
    logits = torch.zeros(len(hidden), 1) if output.shares is None else output.shares(hidden)
    return MixtureSameFamily(Categorical(logits=logits), each)


@pytest.mark.parametrize(("distribution", "components", "factors"), [*KINDS, ("gaussian", 1, 2)])
def test_nats_are_those_of_torch(distribution: str, components: int, factors: int) -> None:
    output, hidden, frames = _output(distribution, components, factors), torch.randn(7, 5), 2 * torch.randn(7, 4)
    wanted = -_reference(output, hidden).log_prob(frames)
    torch.testing.assert_close(output.nll(hidden, frames), wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("distribution", "components", "factors"), KINDS)
def test_the_density_of_one_number_integrates_to_one(distribution: str, components: int, factors: int) -> None:
    output, hidden = _output(distribution, components, factors, num_values=1), torch.randn(1, 5)
    angle = torch.linspace(-torch.pi / 2, torch.pi / 2, 200_001)[1:-1]
    grid = torch.tan(angle)  # of the whole line, so that heavy tails count
    density = (-output.nll(hidden.expand(len(grid), 5), grid.unsqueeze(1))).exp()
    assert torch.trapezoid(density, grid).item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("distribution", "components", "factors"), KINDS)
def test_draws_have_the_mean_and_spread_of_torch(distribution: str, components: int, factors: int) -> None:
    output, hidden = _output(distribution, components, factors, num_values=3), torch.randn(1, 5)
    if distribution == "student_t":  # seven degrees of freedom: the fourth moment is there, too
        with torch.no_grad():
            output.raw.weight.view(components, 3, 3, 5)[:, :, 2] = 0
            output.raw.bias.view(components, 3, 3)[:, :, 2] = 5
    reference = _reference(output, hidden)
    drawn = output.sample(hidden.expand(60_000, 5), torch.Generator().manual_seed(1))
    spread = reference.variance
    torch.testing.assert_close(drawn.mean(0), reference.mean[0], rtol=0, atol=0.03 * spread.max().sqrt().item())
    torch.testing.assert_close(drawn.var(0), spread[0], rtol=0.1, atol=0)


def test_factors_move_numbers_together() -> None:
    output, hidden = _output("gaussian", 1, 2, num_values=3), torch.randn(1, 5)
    reference: Any = _reference(output, hidden).component_distribution
    drawn = output.sample(hidden.expand(60_000, 5), torch.Generator().manual_seed(1))
    wanted = reference.covariance_matrix[0, 0]
    assert wanted[0, 1].abs() > 0.1
    torch.testing.assert_close(drawn.T.cov(), wanted, rtol=0, atol=0.03 * wanted.max().item())


@pytest.mark.parametrize(("distribution", "components", "factors"), KINDS)
def test_at_temperature_0_the_likeliest_mean(distribution: str, components: int, factors: int) -> None:
    output, hidden = _output(distribution, components, factors), torch.randn(20, 5)
    means = output.raw(hidden).view(20, components, 4, -1)[..., 0]
    likeliest = torch.zeros(20, dtype=torch.long) if output.shares is None else output.shares(hidden).argmax(1)
    assert components == 1 or len(likeliest.unique()) > 1
    assert torch.equal(output.sample(hidden, temperature=0.0), means[torch.arange(20), likeliest])


@pytest.mark.parametrize(("distribution", "factors"), [("gaussian", 0), ("gaussian", 2), ("student_t", 0)])
def test_at_temperature_2_the_same_draws_are_twice_as_far(distribution: str, factors: int) -> None:
    output, hidden = _output(distribution, 1, factors), torch.randn(50, 5)
    mean = output.sample(hidden, temperature=0.0)
    near, far = (output.sample(hidden, torch.Generator().manual_seed(4), heat) - mean for heat in (1.0, 2.0))
    assert near.abs().min() > 0
    torch.testing.assert_close(far, 2 * near)


def test_temperature_evens_out_the_shares_of_a_mixture() -> None:
    output, hidden = _output("gaussian", 2, 0, num_values=1), torch.zeros(20_000, 5)
    assert output.shares is not None
    with torch.no_grad():
        output.shares.bias.copy_(torch.tensor([2.0, 0.0]))
        output.raw.bias.copy_(torch.tensor([-50.0, -9.0, 50.0, -9.0]))
    for heat in (0.5, 1.0, 2.0):
        drawn = output.sample(hidden, torch.Generator().manual_seed(2), heat)
        share = float((drawn < 0).double().mean())
        assert share == pytest.approx(torch.sigmoid(torch.tensor(2 / heat)).item(), abs=0.01)


def test_no_deviation_goes_below_the_least() -> None:
    output = _output("gaussian", 1, 0, num_values=1)
    with torch.no_grad():
        output.raw.weight.zero_()
        output.raw.bias.copy_(torch.tensor([0.0, -1000.0]))
    found = output.nll(torch.zeros(1, 5), torch.zeros(1, 1))
    assert found.item() == pytest.approx(-Normal(0.0, LEAST).log_prob(torch.tensor(0.0)).item())


def test_gradients_of_nats_are_those_of_finite_differences() -> None:
    for distribution, components, factors in KINDS:
        output = _output(distribution, components, factors, num_values=2)
        hidden, frames = torch.randn(2, 5, requires_grad=True), torch.randn(2, 2)
        assert torch.autograd.gradcheck(lambda h, one=output, v=frames: one.nll(h, v), (hidden,))
