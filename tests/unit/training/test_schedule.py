"""The learning rate and the clipping of gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ostinato.recipe import TrainingRecipe
from ostinato.training.clipping import clip_gradients
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


def _with_gradients(*values: list[float]) -> list[nn.Parameter]:
    parameters = [nn.Parameter(torch.zeros(len(v))) for v in values]
    for parameter, value in zip(parameters, values, strict=True):
        parameter.grad = torch.tensor(value)
    return parameters


def test_clip_by_norm_scales_all_gradients_together() -> None:
    parameters = _with_gradients([3.0, 0.0], [4.0])
    norm, clipped = clip_gradients(parameters, TrainingRecipe(clip="norm", max_norm=1.0))
    assert (norm, clipped) == (pytest.approx(5.0), True)
    assert torch.cat([p.grad for p in parameters if p.grad is not None]).tolist() == pytest.approx([0.6, 0.0, 0.8])


def test_small_gradients_are_left_alone() -> None:
    parameters = _with_gradients([0.3, 0.4])
    norm, clipped = clip_gradients(parameters, TrainingRecipe(clip="norm", max_norm=1.0))
    assert (norm, clipped) == (pytest.approx(0.5), False)
    assert parameters[0].grad is not None
    assert parameters[0].grad.tolist() == pytest.approx([0.3, 0.4])


def test_clip_by_value_and_none() -> None:
    parameters = _with_gradients([3.0, -0.5])
    assert clip_gradients(parameters, TrainingRecipe(clip="none")) == (pytest.approx(9.25**0.5), False)
    _, clipped = clip_gradients(parameters, TrainingRecipe(clip="value", max_norm=1.0))
    assert parameters[0].grad is not None
    assert clipped
    assert parameters[0].grad.tolist() == [1.0, -0.5]


def test_parameters_without_a_gradient_are_passed_over() -> None:
    parameters = [*_with_gradients([3.0]), nn.Parameter(torch.zeros(2))]
    assert clip_gradients(parameters, TrainingRecipe())[0] == pytest.approx(3.0)
