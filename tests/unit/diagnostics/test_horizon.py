"""The memory horizon of models whose memory is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ostinato import nn
from ostinato.diagnostics import Subject, memory_horizon
from ostinato.diagnostics.horizon import isotonic
from ostinato.types import Ragged


def _keeper(decay: float) -> nn.RecurrentStack:
    """One unit, h_t = decay * h_{t-1} + x_t."""
    stack = nn.RNN(1, 1, nonlinearity="relu", bias=False, dtype=torch.float64)
    with torch.no_grad():
        dict(stack.named_parameters())["weight_hh_l0"].fill_(decay)
        dict(stack.named_parameters())["weight_ih_l0"].fill_(1.0)
    return stack


def _subject(decay: float, lengths: list[int], noise: float = 0.0) -> Subject:
    """Rows of random positive numbers; the loss is the distance to what the whole row gives."""
    random = torch.Generator().manual_seed(0)
    stack = _keeper(decay)
    values = torch.rand(sum(lengths), 1, generator=random, dtype=torch.float64)
    rows = Ragged.from_rows(values, np.cumsum([0, *lengths[:-1]]), lengths)
    with torch.no_grad():
        full = stack(rows)[0].select_last()[:, 0]
    wobble = noise * torch.randn(len(lengths), generator=random, dtype=torch.float64)

    def loss(output: Ragged) -> Tensor:
        return (output.select_last()[:, 0] - full).abs() + wobble

    return Subject((stack,), rows, loss, per_step=False)


def test_an_exponential_memory_has_the_horizon_of_its_decay() -> None:
    found = memory_horizon(_subject(0.9, [200] * 400))
    expected = 1 + np.log(0.01) / np.log(0.9)  # what is missing after k steps falls as 0.9^k, from k = 1 on
    assert found.steps == pytest.approx(expected, rel=0.08)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.steps <= found.high
    assert found.context[0] == 1
    assert found.context[-1] == 200
    assert found.excess[-1] == found.error[-1] == 0.0
    assert found.gain == pytest.approx(found.loss[0] - found.full_loss)


def test_noise_that_all_contexts_share_does_not_matter() -> None:
    quiet, noisy = memory_horizon(_subject(0.9, [100] * 50)), memory_horizon(_subject(0.9, [100] * 50, noise=100.0))
    assert noisy.steps == pytest.approx(quiet.steps)
    assert noisy.gain_error == pytest.approx(quiet.gain_error)


def test_a_model_without_memory_has_no_horizon() -> None:
    found = memory_horizon(_subject(0.0, [30] * 20))
    assert (found.gain, found.steps, found.low, found.high) == (0.0, None, None, None)


def test_a_gain_within_noise_is_none() -> None:
    stack = _keeper(0.9)
    random = torch.Generator().manual_seed(0)
    rows = Ragged.from_padded(torch.rand(8, 20, 1, generator=random, dtype=torch.float64))
    found = memory_horizon(Subject((stack,), rows, lambda out: (out.select_last()[:, 0] * 7).sin(), per_step=False))
    assert found.gain_error > 0
    assert found.steps is None


def test_short_rows_count_as_they_are() -> None:
    found = memory_horizon(_subject(0.9, [3, 0, 150, 1]))
    whole = _subject(0.9, [3, 0, 150, 1])
    two = whole.last(2).row_losses().mean()
    assert found.loss[found.context.index(2)] == pytest.approx(float(two))


def test_the_loss_beyond_a_length() -> None:
    found = memory_horizon(_subject(0.9, [64] * 10))
    change = found.change(16)
    assert change is not None
    assert change[0] == pytest.approx(found.full_loss - found.loss[found.context.index(16)])
    assert found.change(64) is None


def test_rows_of_one_step_and_losses_that_are_not_finite() -> None:
    assert memory_horizon(_subject(0.9, [1, 1])).steps is None
    subject = _subject(0.9, [20] * 4)
    broken = Subject(subject.stacks, subject.inputs, lambda out: out.select_last()[:, 0] * np.nan, per_step=False)
    assert memory_horizon(broken).steps is None


def test_isotonic_pools_what_rises() -> None:
    assert isotonic(np.array([3.0, 1.0, 2.0, 0.0])).tolist() == [3.0, 1.5, 1.5, 0.0]
    assert isotonic(np.array([1.0, 2.0, 3.0])).tolist() == [2.0, 2.0, 2.0]
