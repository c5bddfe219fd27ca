"""The learning rate."""

from __future__ import annotations

import pytest

from ostinato.recipe import TrainingRecipe
from ostinato.training.schedule import learning_rate


def test_constant_rate_after_warm_up() -> None:
    recipe = TrainingRecipe(learning_rate=0.1, warmup_steps=4)
    rates = [learning_rate(recipe, step, 0.0) for step in range(6)]
    assert rates == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1])


def test_linear_and_cosine_reach_zero() -> None:
    linear = TrainingRecipe(learning_rate=1.0, schedule="linear")
    cosine = TrainingRecipe(learning_rate=1.0, schedule="cosine")
    assert [learning_rate(linear, 0, p) for p in (0.0, 0.25, 1.0, 2.0)] == pytest.approx([1.0, 0.75, 0.0, 0.0])
    assert [learning_rate(cosine, 0, p) for p in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([1.0, 0.8535534, 0.5, 0.0])
