"""What must hold for every registered cell on every backend that can run it, on batches drawn by hypothesis."""

from __future__ import annotations

import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato import cells, nn
from ostinato.kernels import dispatch
from ostinato.types import Ragged, State

INPUT_SIZE = 3
CLOSE = {"rtol": 1e-9, "atol": 1e-9}
PAIRS = [
    (name, backend)
    for name in cells.names()
    for backend, reason in dispatch.available(cells.get(name), dtype=torch.float64).items()
    if reason is None
]
every_cell = pytest.mark.parametrize(("name", "backend"), PAIRS)
examples = settings(max_examples=12, deadline=None, derandomize=True, database=None)
lengths_of_rows = st.lists(st.integers(0, 6), min_size=1, max_size=5)
seeds = st.integers(0, 2**16)


def make(name: str, backend: str, seed: int, **options) -> nn.RecurrentStack:
    torch.manual_seed(seed)
    return nn.RecurrentStack(name, INPUT_SIZE, 5, dtype=torch.float64, backend=backend, batch_first=True, **options)


def make_padded(lengths: list[int], extra: int = 0) -> torch.Tensor:
    padded = torch.full((len(lengths), max(lengths) + extra, INPUT_SIZE), torch.nan, dtype=torch.float64)
    for row, length in enumerate(lengths):
        padded[row, :length] = torch.randn(length, INPUT_SIZE)
    return padded


def as_tuple(state: torch.Tensor | State) -> State:
    return (state,) if isinstance(state, torch.Tensor) else state


def assert_states(found, expected) -> None:
    for part, truth in zip(as_tuple(found), as_tuple(expected), strict=True):
        torch.testing.assert_close(part, truth, **CLOSE)


@every_cell
@examples
@given(num_steps=st.integers(2, 8), data=st.data(), seed=seeds)
def test_causality(name, backend, num_steps, data, seed):
    """No output depends on a later input, and every output depends on the input of its own step."""
    layer = make(name, backend, seed, num_layers=2)
    cut = data.draw(st.integers(1, num_steps - 1))
    x = torch.randn(2, num_steps, INPUT_SIZE, dtype=torch.float64)
    changed = x.clone()
    changed[:, cut:] += 1.0
    before, after = layer(x)[0], layer(changed)[0]
    torch.testing.assert_close(after[:, :cut], before[:, :cut], **CLOSE)
    assert not torch.allclose(after[:, cut], before[:, cut], **CLOSE)


@every_cell
@examples
@given(lengths=lengths_of_rows, extra=st.integers(1, 4), bidirectional=st.booleans(), seed=seeds)
def test_padding_invariance(name, backend, lengths, extra, bidirectional, seed):
    """More padding, whatever it holds, changes nothing."""
    layer = make(name, backend, seed, num_layers=2, bidirectional=bidirectional)
    padded = make_padded(lengths, extra)
    output, state = layer(padded, lengths=lengths)
    tight, tight_state = layer(padded[:, : max(lengths)], lengths=lengths)
    torch.testing.assert_close(output[:, : max(lengths)], tight, **CLOSE)
    assert output.isfinite().all()
    assert (output[:, max(lengths) :] == 0).all()
    assert_states(state, tight_state)


@every_cell
@examples
@given(lengths=lengths_of_rows, bidirectional=st.booleans(), seed=seeds)
def test_batch_permutation(name, backend, lengths, bidirectional, seed):
    """Rows don't see each other: permuted rows give permuted outputs and states."""
    layer = make(name, backend, seed, num_layers=2, bidirectional=bidirectional)
    padded = make_padded(lengths)
    order = torch.randperm(len(lengths))
    output, state = layer(padded, lengths=lengths)
    permuted, permuted_state = layer(padded[order], lengths=torch.tensor(lengths)[order])
    torch.testing.assert_close(permuted, output[order], **CLOSE)
    assert_states(permuted_state, tuple(part[:, order] for part in as_tuple(state)))


@every_cell
@examples
@given(lengths=lengths_of_rows, bptt=st.integers(1, 4), seed=seeds)
def test_chunked_with_carried_state_is_the_whole(name, backend, lengths, bptt, seed):
    """Windows of ``bptt`` steps with the state carried on, rows ending on the way, equal one long run."""
    layer = make(name, backend, seed, num_layers=2)
    padded = make_padded(lengths)
    whole, whole_state = layer(padded, lengths=lengths)
    state, outputs = None, []
    for start in range(0, max(lengths), bptt):
        window = padded[:, start : start + bptt]
        left = (torch.tensor(lengths) - start).clamp(0, window.shape[1])
        output, state = layer(window, state, lengths=left)
        outputs.append(output)
    if outputs:
        torch.testing.assert_close(torch.cat(outputs, dim=1), whole, **CLOSE)
        assert_states(state, whole_state)


@every_cell
@examples
@given(lengths=lengths_of_rows, bidirectional=st.booleans(), bias=st.booleans(), seed=seeds)
def test_save_and_load_change_nothing(name, backend, lengths, bidirectional, bias, seed):
    """A state_dict written, read and loaded into a fresh layer gives the same bits."""
    options = {"num_layers": 2, "bidirectional": bidirectional, "bias": bias}
    layer = make(name, backend, seed, **options)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    fresh = make(name, backend, seed + 1, **options)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    ragged = Ragged.from_padded(make_padded(lengths), lengths)
    assert torch.equal(fresh(ragged)[0].values, layer(ragged)[0].values)


@every_cell
@examples
@given(lengths=lengths_of_rows, seed=seeds)
def test_reverse_direction_reads_each_row_from_its_end(name, backend, lengths, seed):
    """The second direction is the first one of a layer with its weights, on rows turned round."""
    layer = make(name, backend, seed, bidirectional=True)
    forward = make(name, backend, seed)
    reverse = {k.removesuffix("_reverse"): w for k, w in layer.state_dict().items() if k.endswith("_reverse")}
    forward.load_state_dict(reverse)
    ragged = Ragged.from_padded(make_padded(lengths), lengths)
    output, state = layer(ragged)
    expected, expected_state = forward(ragged.reversed())
    torch.testing.assert_close(output.values[:, 5:], expected.reversed().values, **CLOSE)
    assert_states(tuple(part[1:] for part in as_tuple(state)), expected_state)
