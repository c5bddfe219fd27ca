"""A second layer that reads every few steps of the first."""

from __future__ import annotations

import pytest
import torch

from ostinato.errors import RecipeError
from ostinato.longrange.model import ModelSettings, make_model, strided
from ostinato.longrange.registry import find
from ostinato.types import Ragged

LENGTHS = [7, 0, 3, 8, 1]


@pytest.mark.parametrize("bidirectional", [False, True])
def test_each_group_is_taken_where_each_direction_has_read_all_of_it(bidirectional: bool) -> None:
    torch.manual_seed(0)
    batch = Ragged.from_padded(torch.randn(len(LENGTHS), 8, 4), LENGTHS)
    found = strided(batch, 3, bidirectional).split_rows()
    for row, groups in zip(batch.split_rows(), found, strict=True):
        expected = []
        for first in range(0, len(row), 3):
            last = min(first + 3, len(row)) - 1
            back = row[first] if bidirectional else row[last]
            expected.append(torch.cat([row[last][:2], back[2:]]))
        assert torch.equal(groups, torch.stack(expected) if expected else torch.zeros(0, 4))


def test_a_strided_model_learns_and_its_rows_stay_apart() -> None:
    settings = ModelSettings("gru", hidden_size=4, bidirectional=True, pooling=("mean", "last"), stride=3, upper_size=5)
    model = make_model(find("adding"), settings, seed=0)
    rows = Ragged.from_padded(torch.randn(3, 10, 2), [10, 4, 7])
    together = model(rows)
    apart = torch.cat([model(Ragged.from_padded(row.unsqueeze(0))) for row in rows.split_rows()])
    torch.testing.assert_close(together, apart, rtol=1e-5, atol=1e-6)
    together.sum().backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_impossible_strides_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"`stride` must be a positive integer. Received: 0"):
        ModelSettings(stride=0)
    with pytest.raises(RecipeError, match=r"`stride` must be 1 for the task parity. Received: 2"):
        make_model(find("parity"), ModelSettings(stride=2), seed=0)
