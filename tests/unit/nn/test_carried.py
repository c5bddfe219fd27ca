"""Layers over pieces of many sequences: bit for bit what each gives alone, whole."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ostinato.errors import RecipeError
from ostinato.kernels.native_stream import Tokens
from ostinato.nn import RecurrentStack
from ostinato.nn.carried import ROWS_AT_ONCE, CarriedLayers
from ostinato.nn.rowwise import RowwiseLinear, rowwise

CELLS = ("elman", "jordan", "lstm", "gru")


def _stacks(cell: str, backend: str, dtype: torch.dtype = torch.float32) -> list[RecurrentStack]:
    torch.manual_seed(3)
    first = RecurrentStack(cell, 5, 12, num_layers=2, backend=backend)
    return [one.to(dtype).eval() for one in (first, RecurrentStack(cell, first.output_size, 7, backend=backend))]


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("cell", CELLS)
def test_pieces_beside_others_give_what_a_sequence_gives_alone(cell: str, backend: str) -> None:
    carried = CarriedLayers(_stacks(cell, backend))
    torch.manual_seed(0)
    lengths = [0, 1, 17, 4, 40, 17, *([3] * ROWS_AT_ONCE)] if backend == "auto" else [0, 1, 9, 4]
    whole = [torch.randn(length, 5) for length in lengths]
    zeros = torch.zeros(len(whole), carried.state_size)
    outputs, states = carried.run(whole, zeros)
    assert not zeros.any()
    for row, one in enumerate(whole):
        state, found, start = torch.zeros(1, carried.state_size), [], 0
        for size in (1, 2, 1, 5, 100):
            (output,), state = carried.run([one[start : start + size]], state)
            found.append(output)
            start += size
        assert torch.equal(torch.cat(found), outputs[row])
        assert torch.equal(state[0], states[row])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cell", CELLS)
def test_it_is_the_layers_own_recurrence(cell: str, dtype: torch.dtype) -> None:
    stacks = _stacks(cell, "auto", dtype)
    carried = CarriedLayers(stacks)
    x = torch.randn(11, 1, 5, dtype=dtype)
    with torch.no_grad():
        expected = stacks[1](stacks[0](x)[0])[0][:, 0]
    (found,), _ = carried.run([x[:, 0]], torch.zeros(1, carried.state_size, dtype=dtype))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_pieces_may_be_tokens(backend: str) -> None:
    stacks, vectors = _stacks("lstm", backend), torch.randn(9, 5)
    tokens = Tokens(vectors, torch.zeros(9, 7), torch.zeros(9), ())
    ids = [torch.tensor([1, 8, 3]), torch.tensor([4])]
    by_id, _ = CarriedLayers(stacks, tokens).run(ids, torch.zeros(2, CarriedLayers(stacks).state_size))
    by_vector, _ = CarriedLayers(stacks).run(
        [vectors[one] for one in ids], torch.zeros(2, CarriedLayers(stacks).state_size)
    )
    for one, other in zip(by_id, by_vector, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=2e-6)


def test_two_directions_are_refused() -> None:
    with pytest.raises(RecipeError, match="a bidirectional layer can't be streamed"):
        CarriedLayers([RecurrentStack("gru", 3, 4, bidirectional=True)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_rowwise_linear_layer_does_not_depend_on_its_rows(dtype: torch.dtype) -> None:
    linear = nn.Linear(37, 21).to(dtype)
    head, x = rowwise(nn.Sequential(linear, nn.ReLU(), nn.Dropout(0.5))), torch.randn(130, 37, dtype=dtype)
    together = head(x)
    torch.testing.assert_close(together, linear(x).relu(), rtol=1e-5, atol=1e-5)
    for size in (1, 2, 3, 64, 65):
        for first in range(0, 130, size):
            assert torch.equal(head(x[first : first + size]), together[first : first + size])
    assert head(x[:0]).shape == (0, 21)
    assert isinstance(linear, nn.Linear)


def test_without_the_core_rows_are_multiplied_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostinato.kernels.native.missing_reason", lambda: "it is not installed")
    linear, x = nn.Linear(5, 3, bias=False), torch.randn(2, 4, 5)
    found = RowwiseLinear(linear)(x)
    torch.testing.assert_close(found, linear(x))
    assert torch.equal(found[1, 2], RowwiseLinear(linear)(x[1, 2]))


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_not_finite_stays_in_its_row(cell: str) -> None:
    torch.manual_seed(0)
    carried = CarriedLayers([RecurrentStack(cell, 5, 20).eval()])  # rows of 20 units lie in slots of more
    x, zero = torch.randn(4, 5), torch.zeros(1, carried.state_size)
    (alone,), _ = carried.run([x], zero)
    carried.run([x], torch.full_like(zero, float("nan")))
    assert torch.equal(carried.run([x], zero)[0][0], alone)
    beside = carried.run([x, x, x], torch.cat([zero, torch.full_like(zero, float("inf")), zero]))[0]
    assert torch.equal(beside[0], alone)
    assert torch.equal(beside[2], alone)
