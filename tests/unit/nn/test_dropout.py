"""Dropout: which entries share a mask, the scale, and silence in evaluation."""

from __future__ import annotations

import pytest
import torch

from ostinato import nn
from ostinato.errors import RecipeError, ShapeError
from ostinato.types import Ragged

LENGTHS = [2, 0, 6, 1]


def ones(features: int = 40) -> Ragged:
    return Ragged.from_offsets(torch.ones(sum(LENGTHS), features), torch.tensor([0, *LENGTHS]).cumsum(0))


def test_locked_dropout_has_one_mask_a_row():
    torch.manual_seed(0)
    rows = nn.LockedDropout(0.5)(ones()).split_rows()
    for row in rows:
        assert set(row.unique().tolist()) <= {0.0, 2.0}
        assert (row == row[:1]).all()
    assert 0.2 < torch.cat(rows).mean() / 2 < 0.8
    assert not torch.equal(rows[0][0], rows[2][0])


@pytest.mark.parametrize("batch_first", [True, False])
def test_locked_dropout_on_padded_tensors(batch_first):
    torch.manual_seed(0)
    out = nn.LockedDropout(0.25, batch_first)(torch.ones(5, 7, 30))
    first = out[:, :1] if batch_first else out[:1]
    assert (out == first).all()
    rows = first.squeeze(1 if batch_first else 0)
    assert not torch.equal(rows[0], rows[1])
    torch.testing.assert_close(rows.unique(), torch.tensor([0.0, 4 / 3]))


def test_the_mask_does_not_depend_on_the_packing():
    torch.manual_seed(3)
    ragged = nn.LockedDropout()(ones())
    torch.manual_seed(3)
    padded = nn.LockedDropout()(torch.ones(4, 6, 40))
    assert torch.equal(torch.cat(ragged.split_rows()), Ragged.from_padded(padded, LENGTHS).row_major())


@pytest.mark.parametrize("make", [ones, lambda: torch.ones(5, 60, 3)])
def test_word_dropout_drops_whole_positions(make):
    torch.manual_seed(0)
    out = nn.WordDropout(0.2)(make())
    values = out if isinstance(out, torch.Tensor) else out.values
    assert (values == values[..., :1]).all()
    assert set(values.unique().tolist()) <= {0.0, 1.25}
    if isinstance(out, torch.Tensor):
        assert 0.1 < (values[..., 0] == 0).float().mean() < 0.3


@pytest.mark.parametrize("kind", [nn.LockedDropout, nn.WordDropout])
def test_nothing_in_evaluation_everything_at_one(kind):
    ragged = ones()
    assert kind(0.5).eval()(ragged) is ragged
    assert kind(0.0)(ragged) is ragged
    assert (kind(1.0)(ragged).values == 0).all()
    assert repr(kind(0.5)) == f"{kind.__name__}(p=0.5)"
    with pytest.raises(RecipeError, match=r"`p` must be a probability from 0 to 1. Received: -0.1."):
        kind(-0.1)


def test_locked_dropout_wants_a_feature_axis():
    with pytest.raises(ShapeError, match=r"Received: Tensor of shape \(2, 3\)."):
        nn.LockedDropout()(torch.ones(2, 3))
