"""Attention: its scores, its mask, and the way from padded rows back to packed ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ostinato.errors import RecipeError
from ostinato.nn.attention import Attention, pack_like
from ostinato.types import Ragged

LENGTHS = [3, 0, 5, 1]


def _memory(size: int) -> Ragged:
    values = torch.randn(sum(LENGTHS), size, dtype=torch.float64)
    return Ragged.from_offsets(values, [0, 3, 3, 8, 9])


def _score(attention: Attention, query: Tensor, step: Tensor) -> Tensor:
    """One query and one step, as the equation says."""
    if attention.score == "dot":
        return query @ step
    if attention.score == "general":
        return query @ (attention.key.weight @ step)
    inner = attention.query.weight @ query + attention.key.weight @ step
    if attention.score == "additive":
        inner = inner + attention.query.bias
    return (attention.weight.weight @ torch.tanh(inner))[0]


@pytest.mark.parametrize("score", ["dot", "general", "concat", "additive"])
def test_context_and_weights_are_those_of_the_equation(score: str) -> None:
    torch.manual_seed(0)
    memory = _memory(4)
    attention = Attention(score, 4, 4, attention_size=6).double()
    queries = torch.randn(4, 2, 4, dtype=torch.float64)
    context, weights = attention(queries, attention.remember(memory))
    for row, steps in enumerate(memory.split_rows()):
        for time in range(2):
            if not len(steps):
                assert not context[row, time].any()
                assert not weights[row, time].any()
                continue
            scores = torch.stack([_score(attention, queries[row, time], step) for step in steps])
            torch.testing.assert_close(weights[row, time, : len(steps)], scores.softmax(0))
            torch.testing.assert_close(context[row, time], scores.softmax(0) @ steps)
            assert not weights[row, time, len(steps) :].any()


@pytest.mark.parametrize("score", ["general", "additive"])
def test_gradients(score: str) -> None:
    torch.manual_seed(0)
    attention = Attention(score, 2, 3, attention_size=2).double()
    memory = _memory(3)
    queries = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)

    def context(values: Tensor, queries: Tensor) -> Tensor:
        found: Tensor = attention(queries, attention.remember(memory.with_values(values)))[0]
        return found

    assert torch.autograd.gradcheck(context, (memory.values.clone().requires_grad_(), queries))


def test_pack_like_is_the_inverse_of_to_padded_with_its_gradient() -> None:
    rows = _memory(2)
    padded = rows.to_padded(padding_value=7.0)[0].requires_grad_()
    packed = pack_like(padded, rows)
    assert torch.equal(packed.values, rows.values)
    (packed.values * rows.values).sum().backward()
    assert torch.equal(padded.grad, rows.to_padded()[0])


def test_sizes_that_do_not_fit() -> None:
    with pytest.raises(RecipeError, match="the decoder's have 3 units and the source's 4"):
        Attention("dot", 3, 4)
    with pytest.raises(RecipeError, match="`score` must be dot, general, concat or additive"):
        Attention("cosine", 4, 4)
