"""Drawing the next token: temperature, top-k, top-p, seeds."""

from __future__ import annotations

import pytest
import torch

from ostinato.errors import RecipeError
from ostinato.heads.sampling import Sampling, next_token

LOGITS = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))


def _shares(count: int = 4000, **options: object) -> list[float]:
    generator = torch.Generator().manual_seed(0)
    uniforms = torch.rand(count, dtype=torch.float64, generator=generator)
    drawn = next_token(LOGITS.expand(count, -1), uniforms, Sampling(**options))  # type: ignore[arg-type]
    return (torch.bincount(drawn, minlength=4) / count).tolist()


def test_temperature_one_draws_the_models_distribution() -> None:
    assert _shares() == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)


def test_low_temperature_sharpens_as_the_power_says() -> None:
    powers = [p**2 for p in (0.5, 0.3, 0.15, 0.05)]
    assert _shares(temperature=0.5) == pytest.approx([p / sum(powers) for p in powers], abs=0.03)


def test_temperature_zero_is_the_likeliest() -> None:
    assert _shares(temperature=0.0) == [1.0, 0.0, 0.0, 0.0]


def test_top_k_keeps_k_and_renormalises() -> None:
    assert _shares(top_k=2) == pytest.approx([0.625, 0.375, 0.0, 0.0], abs=0.03)
    assert _shares(top_k=9) == _shares()


def test_top_p_keeps_the_fewest_that_reach_it() -> None:
    assert _shares(top_p=0.5) == [1.0, 0.0, 0.0, 0.0]
    assert _shares(top_p=0.7) == pytest.approx([0.625, 0.375, 0.0, 0.0], abs=0.03)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "`temperature` must be at least 0. Received: -1.0."),
        ({"temperature": float("nan")}, "`temperature` must be at least 0. Received: nan."),
        ({"top_k": 0}, "`top_k` must be a positive integer. Received: 0."),
        ({"top_p": 0.0}, r"`top_p` must be in \(0, 1\]. Received: 0.0."),
    ],
)
def test_options_that_describe_no_distribution(options: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        _shares(**options)
