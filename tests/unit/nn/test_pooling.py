"""Pooling against a plain loop over the rows."""

from __future__ import annotations

import pytest
import torch

from ostinato import nn
from ostinato.errors import RecipeError, ShapeError
from ostinato.types import Ragged

LENGTHS = [2, 0, 5, 1, 5]


def make_batch(features: int = 4) -> Ragged:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(sum(LENGTHS), features, generator=generator, dtype=torch.float64)
    return Ragged.from_offsets(values, torch.tensor([0, *LENGTHS]).cumsum(0))


def by_row(ragged: Ragged, pool) -> torch.Tensor:
    zero = torch.zeros(ragged.values.shape[1], dtype=torch.float64)
    return torch.stack([pool(row) if len(row) else zero for row in ragged.split_rows()])


POOLS = {
    "last": (nn.pool_last, lambda row: row[-1]),
    "sum": (nn.pool_sum, lambda row: row.sum(0)),
    "mean": (nn.pool_mean, lambda row: row.mean(0)),
    "max": (nn.pool_max, lambda row: row.max(0).values),
    "both ends": (lambda ragged: nn.pool_last(ragged, True), lambda row: torch.cat([row[-1, :2], row[0, 2:]])),
}


@pytest.mark.parametrize("kind", POOLS)
def test_against_a_loop_over_rows(kind):
    pool, plain = POOLS[kind]
    ragged = make_batch()
    ragged = ragged.with_values(ragged.values - 3)  # every value negative: an empty row's zero must not win a maximum
    torch.testing.assert_close(pool(ragged), by_row(ragged, plain))
    assert torch.autograd.gradcheck(lambda v: pool(ragged.with_values(v)), (ragged.values.requires_grad_(),))


@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_attention(shift):
    torch.manual_seed(0)
    pool = nn.AttentionPooling(4).double()
    ragged = make_batch()
    with torch.no_grad():
        pool.query.weight.add_(shift)

    def plain(row):
        return torch.softmax(pool.query(torch.tanh(pool.key(row))), dim=0).mul(row).sum(0)

    torch.testing.assert_close(pool(ragged), by_row(ragged, plain))
    totals = nn.pool_sum(ragged.with_values(pool.scores(ragged).values.unsqueeze(1))).flatten()
    torch.testing.assert_close(totals, (torch.tensor(LENGTHS) > 0).double())
    if not shift:
        assert torch.autograd.gradcheck(lambda v: pool(ragged.with_values(v)), (ragged.values.requires_grad_(),))


def test_several_kinds_side_by_side():
    ragged = make_batch()
    pool = nn.Pooling(["mean", "attention", "last"], 4, bidirectional=True).double()
    parts = pool(ragged).split(4, dim=1)
    assert pool.output_size == 12
    assert torch.equal(parts[0], nn.pool_mean(ragged))
    assert torch.equal(parts[1], pool.attention(ragged))
    assert torch.equal(parts[2], nn.pool_last(ragged, bidirectional=True))
    assert repr(nn.Pooling("max", 4)) == "Pooling(max, 4)"


def test_last_of_a_layer_is_its_final_state():
    layer = nn.GRU(4, 3, bidirectional=True, dtype=torch.float64)
    output, h_n = layer(make_batch())
    ended = torch.cat([h_n[0], h_n[1]], dim=1)
    torch.testing.assert_close(nn.Pooling("last", 6, bidirectional=True)(output), ended)


@pytest.mark.parametrize("kind", ["last", "mean", "max", "attention"])
def test_only_empty_rows_give_zeros(kind):
    ragged = Ragged.from_rows(torch.zeros(0, 4), [0, 0], [0, 0])
    assert torch.equal(nn.Pooling(kind, 4)(ragged), torch.zeros(2, 4))


@pytest.mark.parametrize("kinds", ["median", [], ["max", "max"]])
def test_unknown_kinds(kinds):
    with pytest.raises(RecipeError) as error:
        nn.Pooling(kinds, 4)
    assert str(error.value) == f"`pooling` must be one or several of last, mean, max, attention. Received: {kinds!r}."


def test_sizes_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"the values must have shape \(sum L, 3\). Received: \(13, 4\)."):
        nn.Pooling("max", 3)(make_batch())
    with pytest.raises(RecipeError, match=r"`input_size` must be even with `bidirectional`. Received: 3."):
        nn.Pooling("last", 3, bidirectional=True)
