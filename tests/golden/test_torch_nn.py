"""RNN, LSTM and GRU against float64 torch.nn: outputs, states, gradients, weights from a seed, state_dicts."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

from ostinato import nn
from ostinato.types import Ragged

KINDS = ("RNN", "LSTM", "GRU")
OPTIONS = {
    "plain": {},
    "two layers": {"num_layers": 2},
    "two directions": {"bidirectional": True},
    "deep": {"num_layers": 3, "bidirectional": True},
    "no bias": {"bias": False, "bidirectional": True},
    "batch first": {"batch_first": True, "num_layers": 2},
}
CASES = [(kind, name, {}) for kind in KINDS for name in OPTIONS]
CASES += [("RNN", name, {"nonlinearity": "relu"}) for name in ("plain", "deep")]
CASES += [("LSTM", name, {"proj_size": 3}) for name in ("plain", "deep", "no bias", "batch first")]
BACKENDS = ("reference", "torch")
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def pair(kind: str, options: dict, backend: str = "auto", hidden_size: int = 7):
    """Torch's layer in float64, and ours with its weights."""
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(5, hidden_size, **options, dtype=torch.float64)
    ours = getattr(nn, kind)(5, hidden_size, **options, dtype=torch.float64, backend=backend)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def make_state(layer: nn.RecurrentStack, *num_rows: int):
    sizes = layer.cell.state_sizes(layer.hidden_size, layer.proj_size)
    first = layer.num_layers * layer.num_directions
    state = tuple(torch.randn(first, *num_rows, size, dtype=torch.float64) for size in sizes)
    return state if len(state) > 1 else state[0]


def outcome(layer, source, leaf, hx):
    """Output, states and gradients after one backward pass through all of them."""
    hx = tuple(part.clone().requires_grad_() for part in ((hx,) if isinstance(hx, torch.Tensor) else hx))
    output, state = layer(source, hx if len(hx) > 1 else hx[0])
    states = state if isinstance(state, tuple) else (state,)
    data = output.data if isinstance(output, PackedSequence) else output
    loss = sum((part * torch.linspace(-1, 2, part.numel()).view(part.shape)).sum() for part in (data, *states))
    layer.zero_grad()
    gradients = torch.autograd.grad(loss, [leaf, *hx, *layer.parameters()])
    return [data, *states, *gradients]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("kind", "name", "more"), CASES)
def test_padded_batch(kind, name, more, backend):
    ours, theirs = pair(kind, OPTIONS[name] | more, backend)
    x = torch.randn(6, 4, 5, dtype=torch.float64, requires_grad=True)
    hx = make_state(ours, 6 if ours.batch_first else 4)
    torch.testing.assert_close(outcome(ours, x, x, hx), outcome(theirs, x, x, hx), **CLOSE)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("kind", "name", "more"), CASES)
def test_packed_batch(kind, name, more, backend):
    ours, theirs = pair(kind, OPTIONS[name] | more, backend)
    packed = pack_sequence([torch.randn(length, 5, dtype=torch.float64) for length in (3, 6, 1, 6)], False)
    leaf = packed.data.requires_grad_()
    hx = make_state(ours, 4)
    torch.testing.assert_close(outcome(ours, packed, leaf, hx), outcome(theirs, packed, leaf, hx), **CLOSE)


@pytest.mark.parametrize("kind", KINDS)
def test_packed_batch_that_was_sorted_already(kind):
    ours, theirs = pair(kind, {"bidirectional": True})
    packed = pack_padded_sequence(torch.randn(4, 3, 5, dtype=torch.float64), torch.tensor([4, 2, 1]))
    hx = make_state(ours, 3)
    found, expected = ours(packed, hx), theirs(packed, hx)
    assert found[0].sorted_indices is None
    torch.testing.assert_close(found[0].data, expected[0].data, **CLOSE)
    torch.testing.assert_close(found[1], expected[1], **CLOSE)


@pytest.mark.parametrize(("kind", "name", "more"), CASES)
def test_one_row_without_a_batch_axis(kind, name, more):
    ours, theirs = pair(kind, OPTIONS[name] | more)
    x = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    hx = make_state(ours)
    torch.testing.assert_close(outcome(ours, x, x, hx), outcome(theirs, x, x, hx), **CLOSE)
    torch.testing.assert_close(ours(x), theirs(x), **CLOSE)


@pytest.mark.parametrize("hidden_size", [1, 17, 65])
@pytest.mark.parametrize("kind", KINDS)
def test_odd_sizes_in_float32(kind, hidden_size):
    ours, theirs = pair(kind, {"bidirectional": True}, hidden_size=hidden_size)
    packed = pack_sequence([torch.randn(length, 5) for length in (3, 6, 1, 6)], False)
    found, _ = ours.float()(packed)
    truth, _ = theirs(packed.to(torch.float64))
    torch.testing.assert_close(found.data.double(), truth.data, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kind", "name", "more"), CASES)
def test_same_seed_same_weights(kind, name, more):
    torch.manual_seed(5)
    theirs = getattr(torch.nn, kind)(5, 7, **OPTIONS[name], **more)
    torch.manual_seed(5)
    ours = getattr(nn, kind)(5, 7, **OPTIONS[name], **more)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for mine, yours in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, yours)
    assert [len(weights) for weights in ours.all_weights] == [len(weights) for weights in theirs.all_weights]


@pytest.mark.parametrize(("kind", "name", "more"), CASES)
def test_state_dicts_exchange_both_ways(kind, name, more):
    theirs = getattr(torch.nn, kind)(5, 7, **OPTIONS[name], **more)
    ours = getattr(nn, kind)(5, 7, **OPTIONS[name], **more)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    again = getattr(nn, kind)(5, 7, **OPTIONS[name], **more)
    again.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(3, 2, 5)
    assert torch.equal(again(x)[0], ours(x)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_positional_arguments_and_repr(kind):
    arguments = (5, 7, 2, *(["relu"] if kind == "RNN" else []), False, True, 0.5, True)
    theirs, ours = getattr(torch.nn, kind)(*arguments), getattr(nn, kind)(*arguments)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert (ours.batch_first, ours.dropout, ours.bias) == (theirs.batch_first, theirs.dropout, theirs.bias)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_first_and_second_derivatives(kind, backend):
    layer = getattr(nn, kind)(2, 3, bidirectional=True, dtype=torch.float64, backend=backend)
    ragged = Ragged.from_rows(torch.randn(5, 2, dtype=torch.float64), [0, 0, 2], [2, 0, 3])

    def run(values):
        output, state = layer(ragged.with_values(values))
        return output.values, *(state if isinstance(state, tuple) else (state,))

    values = ragged.values.requires_grad_()
    assert torch.autograd.gradcheck(run, (values,))
    assert torch.autograd.gradgradcheck(run, (values,))
