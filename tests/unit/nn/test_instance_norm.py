"""Instance normalisation: what it does to a row, and that its shift undoes it."""

from __future__ import annotations

import pytest
import torch

from ostinato.errors import RecipeError
from ostinato.nn.instance_norm import MODES, InstanceNorm


@pytest.fixture
def rows() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(11, 3, dtype=torch.float64) * 5 + 2, torch.tensor([4, 1, 6])


@pytest.mark.parametrize("mode", MODES)
def test_the_shift_undoes_it(mode: str, rows: tuple[torch.Tensor, torch.Tensor]) -> None:
    values, lengths = rows
    norm = InstanceNorm(mode, 3).double()
    if mode == "revin":
        with torch.no_grad():
            norm.gain.uniform_(0.5, 2.0)
            norm.bias.normal_()
    normalised, shift = norm(values, lengths)
    of = torch.repeat_interleave(torch.arange(3), lengths)
    torch.testing.assert_close(normalised * shift.scale[of] + shift.loc[of], values, atol=1e-8, rtol=1e-8)


def test_what_each_mode_does(rows: tuple[torch.Tensor, torch.Tensor]) -> None:
    values, lengths = rows
    last, _ = InstanceNorm("last", 3)(values, lengths)
    torch.testing.assert_close(last[5:], values[5:] - values[10])
    scaled, _ = InstanceNorm("scale", 3)(values, lengths)
    torch.testing.assert_close(scaled[:4], values[:4] / (1 + values[:4].abs().mean(0)))
    standard, _ = InstanceNorm("revin", 3).double()(values, lengths)
    torch.testing.assert_close(standard[5:].mean(0), torch.zeros(3, dtype=torch.float64), atol=1e-7, rtol=0)
    torch.testing.assert_close(standard[5:].std(0, correction=0), torch.ones(3, dtype=torch.float64), atol=1e-4, rtol=0)


def test_what_is_not_there_counts_nowhere(rows: tuple[torch.Tensor, torch.Tensor]) -> None:
    values, lengths = rows
    mask = torch.ones_like(values)
    mask[1:3, 0] = 0.0
    poisoned = torch.where(mask > 0, values, 1e6)
    for mode in ("revin", "scale"):
        norm = InstanceNorm(mode, 3).double()
        torch.testing.assert_close(norm(values, lengths, mask)[1].loc, norm(poisoned, lengths, mask)[1].loc)
        torch.testing.assert_close(norm(values, lengths, mask)[1].scale, norm(poisoned, lengths, mask)[1].scale)


def test_an_unknown_mode() -> None:
    with pytest.raises(RecipeError, match=r"`mode` must be one of none, last, revin, scale. Received: 'first'"):
        InstanceNorm("first", 1)
