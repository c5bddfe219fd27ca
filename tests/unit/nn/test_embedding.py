"""Embedding: against torch.nn.Embedding, the padding vector, token-type dropout, error texts."""

from __future__ import annotations

import pytest
import torch

from ostinato import nn
from ostinato.errors import RecipeError, ShapeError
from ostinato.types import Ragged


def ids() -> Ragged:
    return Ragged.from_rows(torch.tensor([3, 0, 5, 3, 9]), starts=[0, 2, 2], lengths=[2, 0, 3])


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_same_as_torch(dtype):
    ours = nn.Embedding(10, 4)
    theirs = torch.nn.Embedding(10, 4, padding_idx=0)
    theirs.load_state_dict(ours.state_dict())
    batch = ids()
    found = ours(batch.with_values(batch.values.to(dtype)))
    assert found.lengths is batch.lengths
    assert torch.equal(found.values, theirs(batch.values))
    assert torch.equal(ours(torch.tensor([[1, 2]])), theirs(torch.tensor([[1, 2]])))
    found.values.sum().backward()
    theirs(batch.values).sum().backward()
    assert torch.equal(ours.weight.grad, theirs.weight.grad)
    assert ours.weight.grad[3].tolist() == [2.0] * 4


def test_the_padding_vector_is_zero_and_stays_zero():
    embedding = nn.Embedding(10, 4)
    assert (embedding.weight[0] == 0).all()
    embedding(ids()).values.sum().backward()
    assert (embedding.weight.grad[0] == 0).all()
    free = nn.Embedding(10, 4, padding_idx=None)
    assert (free.weight[0] != 0).any()
    free(ids()).values.sum().backward()
    assert (free.weight.grad[0] != 0).all()


def test_embedding_dropout_drops_token_types():
    torch.manual_seed(0)
    embedding = nn.Embedding(200, 3, padding_idx=None, embedding_dropout=0.5)
    flat = torch.arange(200).repeat(2)
    vectors = embedding(flat)
    assert torch.equal(vectors[:200], vectors[200:])
    dropped = (vectors[:200] == 0).all(dim=1)
    assert 60 < int(dropped.sum()) < 140
    torch.testing.assert_close(vectors[:200][~dropped], 2 * embedding.weight[~dropped])
    assert torch.equal(embedding.eval()(flat[:200]), embedding.weight)
    assert (nn.Embedding(9, 3, embedding_dropout=1.0)(ids().values.clamp(max=8)) == 0).all()


def test_error_texts():
    with pytest.raises(ShapeError, match=r"ids must run from 0 to `vocab_size` - 1 = 8. Received: 0 to 9."):
        nn.Embedding(9, 4)(ids())
    with pytest.raises(ShapeError, match=r"ids must be integers. Received: torch.float32."):
        nn.Embedding(9, 4)(torch.zeros(2))
    with pytest.raises(RecipeError, match=r"`vocab_size` must be a positive integer. Received: 0."):
        nn.Embedding(0, 4)
    with pytest.raises(RecipeError, match=r"an id below `vocab_size` = 9, or None. Received: 9."):
        nn.Embedding(9, 4, padding_idx=9)


def test_repr():
    assert repr(nn.Embedding(9, 4)) == "Embedding(9, 4)"
    text = "Embedding(9, 4, padding_idx=None, embedding_dropout=0.1)"
    assert repr(nn.Embedding(9, 4, padding_idx=None, embedding_dropout=0.1)) == text


def test_one_hot_is_the_unit_matrix_and_learns_nothing() -> None:
    layer = nn.OneHot(4)
    assert list(layer.parameters()) == []
    assert list(layer.state_dict()) == []
    assert layer(torch.tensor([[3, 0]])).tolist() == [[[0, 0, 0, 1], [1, 0, 0, 0]]]
    assert torch.equal(layer.table(), torch.eye(4))


def test_a_layer_reads_one_hot_tokens_as_its_own_weights() -> None:
    layer, ids = nn.build("gru", 5, 3), torch.tensor([[1], [4], [0]])
    read, dense = layer.forward_tokens(ids, nn.OneHot(5).table())[0], layer(torch.eye(5)[ids])[0]
    torch.testing.assert_close(read, dense)
