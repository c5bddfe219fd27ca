"""Noise on what is read: in training only, one factor a row, one number a value."""

from __future__ import annotations

import pytest
import torch

from ostinato.errors import ShapeError
from ostinato.nn.jitter import Jitter
from ostinato.types import Ragged


def _rows() -> Ragged:
    return Ragged.from_rows(torch.ones(7, 2, dtype=torch.float64), starts=[0, 3], lengths=[3, 4])


def test_nothing_happens_in_evaluation_or_without_settings() -> None:
    rows = _rows()
    assert Jitter(0.5, 0.5).eval()(rows) is rows
    assert Jitter().train()(rows) is rows


def test_a_row_has_one_factor() -> None:
    torch.manual_seed(0)
    rows = _rows()
    scaled = Jitter(scale=0.3)(rows)
    of_row = scaled.rows_index()
    factors = [scaled.values[of_row == row].unique() for row in (0, 1)]
    assert [len(found) for found in factors] == [1, 1]
    assert float(factors[0]) != float(factors[1])
    assert all(float(found) > 0 for found in factors)


def test_every_number_has_its_own_noise() -> None:
    torch.manual_seed(0)
    values = Jitter(noise=0.1)(torch.zeros(2000, 3, 2, dtype=torch.float64))
    assert values.unique().numel() == values.numel()
    assert float(values.std()) == pytest.approx(0.1, rel=0.03)
    again = Jitter(noise=0.1, scale=0.2)(torch.ones(4, 3, 2))
    assert again.shape == (4, 3, 2)


def test_negative_settings_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"must be at least 0\. Received: -0\.1 and 0\.0\."):
        Jitter(-0.1)
