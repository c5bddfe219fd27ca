"""`forward_tokens` is `forward` on the vectors of the tokens: values, gradients, ids, one-hot."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ostinato import cells, nn
from ostinato.errors import ShapeError
from ostinato.kernels import dispatch, native
from ostinato.types import Ragged

BACKENDS = ["reference"] if native.missing_reason() is not None else ["reference", "native"]
ON_BACKENDS = [
    (name, each) for name in cells.names() for each in BACKENDS if each == "reference" or cells.get(name).native
]


def grads(layer: nn.RecurrentStack, table: torch.Tensor, loss: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, [table, *layer.parameters()]))


@pytest.mark.parametrize("vocab_size", [4, 40])  # 40: more rows than a quarter of the tokens
@pytest.mark.parametrize(("name", "backend"), ON_BACKENDS)
def test_values_and_gradients(name: str, backend: str, vocab_size: int) -> None:
    torch.manual_seed(0)
    layer = nn.RecurrentStack(name, 5, 7, num_layers=2, bidirectional=True, backend=backend, dtype=torch.float64)
    table = torch.randn(vocab_size, 5, dtype=torch.float64, requires_grad=True)
    ids = Ragged.from_rows(torch.randint(0, vocab_size, (30,)), starts=[0, 11, 11, 20], lengths=[11, 0, 9, 10])
    mine, state = layer.forward_tokens(ids, table)
    truth, expected = layer(ids.with_values(F.embedding(ids.values, table)))
    torch.testing.assert_close(mine.values, truth.values)
    for found, wanted in zip(state, expected, strict=True):
        torch.testing.assert_close(found, wanted)
    weight = torch.randn_like(truth.values)
    mine_grads = grads(layer, table, (mine.values * weight).sum())
    for found, wanted in zip(mine_grads, grads(layer, table, (truth.values * weight).sum()), strict=True):
        torch.testing.assert_close(found, wanted)


def test_ids_of_any_integer_type() -> None:
    layer, ids = nn.GRU(6, 7), torch.randint(0, 6, (9, 4))
    for dtype in (torch.uint8, torch.int16, torch.int32):
        assert torch.equal(layer.forward_tokens(ids.to(dtype))[0], layer.forward_tokens(ids)[0])


@pytest.mark.parametrize("batch_first", [False, True])
def test_padded_ids_and_one_hot(batch_first: bool) -> None:
    torch.manual_seed(0)
    layer = nn.GRU(6, 7, batch_first=batch_first)
    ids = torch.randint(0, 6, (9, 4))
    mine, state = layer.forward_tokens(ids)
    truth, expected = layer(F.one_hot(ids, 6).float())
    torch.testing.assert_close(mine, truth)
    torch.testing.assert_close(state, expected)


@pytest.mark.skipif(native.missing_reason() is not None, reason="the native core is not installed")
def test_a_small_table_is_projected_once_and_a_large_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    layer = nn.LSTM(5, 7, backend="native")
    project = layer.cell.project
    monkeypatch.setattr(layer.cell, "project", lambda x, weights: seen.append(len(x)) or project(x, weights))
    for vocab_size in (3, 4, 5):
        with dispatch.record() as ran:
            layer.forward_tokens(torch.zeros(8, 2, dtype=torch.long), torch.randn(vocab_size, 5))
        assert ran == ["native"]
    assert seen == [3, 4]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (torch.tensor([[4]]), r"ids must run from 0 to `vocab_size` - 1 = 3. Received: 4 to 4."),
        (torch.tensor([[-1]]), "Received: -1 to -1"),
        (torch.tensor([[1.0]]), "ids must be integers. Received: torch.float32"),
    ],
)
def test_impossible_ids(ids: torch.Tensor, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        nn.RNN(5, 7).forward_tokens(ids, torch.randn(4, 5))
    with pytest.raises(ShapeError, match="must have `input_size` = 5 features"):
        nn.RNN(5, 7).forward_tokens(torch.tensor([[1]]), torch.randn(4, 6))
