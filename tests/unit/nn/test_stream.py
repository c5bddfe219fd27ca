"""Streaming: step by step is the layer's own recurrence; states can be taken and given back; int8 rounds a little."""

from __future__ import annotations

import pytest
import torch

from ostinato import cells, nn
from ostinato.errors import BackendError, RecipeError, ShapeError
from ostinato.kernels import native

needs_core = pytest.mark.skipif(native.missing_reason() is not None, reason="the native core is not installed")
BACKENDS = ["reference", pytest.param("native", marks=needs_core)]
ON_BACKENDS = [pytest.param(name, "reference") for name in cells.names()]
ON_BACKENDS += [
    pytest.param(name, "native", marks=needs_core) for name in cells.names() if cells.get(name).native is not None
]


def layers(name: str, backend: str, **options: object) -> nn.RecurrentStack:
    torch.manual_seed(0)
    return nn.RecurrentStack(name, 5, 17, num_layers=2, backend=backend, dtype=torch.float64, **options).eval()


@pytest.mark.parametrize(("name", "backend"), ON_BACKENDS)
def test_step_by_step_is_the_whole(name: str, backend: str) -> None:
    stack = layers(name, backend, zoneout=0.3, recurrent_dropout=0.5, weight_dropout=0.5)
    stream = nn.Stream(stack, num_rows=3)
    assert stream.native == (backend == "native")
    x = torch.randn(6, 3, 5, dtype=torch.float64)
    whole, final = stack(x)
    torch.testing.assert_close(torch.stack([stream.step(each) for each in x]), whole)
    states = torch.cat([torch.stack(parts) for parts in zip(*stream.states, strict=True)])
    torch.testing.assert_close(states, torch.cat(final if isinstance(final, tuple) else (final,)))
    stream.reset()
    torch.testing.assert_close(torch.cat([stream.run(x[:2]), stream.run(x[2:])]), whole)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("proj", [3, 16])
def test_projections_and_stacks_of_different_sizes(proj: int, backend: str) -> None:
    torch.manual_seed(0)
    first = nn.LSTM(5, 20, proj_size=proj, backend=backend, dtype=torch.float64)
    second = nn.GRU(proj, 33, batch_first=True, bias=False, backend=backend, dtype=torch.float64)
    x = torch.randn(4, 2, 5, dtype=torch.float64)
    whole = second(first(x)[0].transpose(0, 1))[0].transpose(0, 1)
    torch.testing.assert_close(nn.Stream([first, second], 2).run(x), whole)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_session_is_saved_and_taken_up_again(backend: str) -> None:
    stack = layers("lstm", backend)
    x = torch.randn(6, 2, 5, dtype=torch.float64)
    stream = nn.Stream(stack, 2)
    stream.run(x[:3])
    saved = stream.states
    rest = stream.run(x[3:])
    other = nn.Stream(stack, 2)
    other.states = saved
    assert torch.equal(other.run(x[3:]), rest)
    assert not torch.equal(saved[0][0], stream.states[0][0])  # a copy
    with pytest.raises(ShapeError, match=r"the states must be shaped \(2, 17\)"):
        other.states = saved[:1]


@needs_core
def test_many_rows_in_many_threads_are_the_rows_one_by_one() -> None:
    stack = nn.LSTM(64, 64)
    x = torch.randn(5, 9, 64)
    together = nn.Stream(stack, 9).run(x)
    alone = torch.cat([nn.Stream(stack, 1).run(x[:, row : row + 1]) for row in range(9)], dim=1)
    assert torch.equal(together, alone)


@needs_core
@pytest.mark.parametrize("target", [name for name, here in native.targets().items() if here])
@pytest.mark.parametrize("name", ["elman", "gru", "gru_reset_before", "lstm", "lstm_layer_norm"])
def test_int8_stays_near(name: str, target: str) -> None:
    torch.manual_seed(0)
    stack = nn.RecurrentStack(name, 40, 65).eval()
    x = torch.randn(30, 2, 40)
    before = native.target()
    native.core.force_target(target)
    try:
        rounded = nn.Stream(stack, 2, precision="int8").run(x)
    finally:
        native.core.force_target(before)
    exact = stack(x)[0]
    bound = 0.04 if "layer_norm" in name else 0.02  # layer norm scales small sums up, and their error with them
    assert 0 < (rounded - exact).norm() / exact.norm() < bound


@needs_core
def test_int8_is_the_same_integers_on_every_target() -> None:
    stack = nn.RNN(40, 65, nonlinearity="relu").eval()
    x = torch.randn(1, 2, 40)
    before, found = native.target(), []
    try:
        for name, here in native.targets().items():
            if here:
                native.core.force_target(name)
                found.append(nn.Stream(stack, 2, precision="int8").run(x))
    finally:
        native.core.force_target(before)
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-6, atol=1e-7)


@needs_core
@pytest.mark.parametrize("precision", ["full", "int8"])
def test_nan_stays_in_its_row(precision: str) -> None:
    stream = nn.Stream(nn.LSTM(20, 33), 3, precision=precision)
    x = torch.randn(2, 3, 20)
    x[0, 1, 4] = float("nan")
    output = stream.run(x)
    assert output[:, 1].isnan().all()
    assert output[:, [0, 2]].isfinite().all()


def test_what_can_not_be_streamed() -> None:
    with pytest.raises(RecipeError, match="bidirectional layer can't be streamed"):
        nn.Stream(nn.GRU(3, 4, bidirectional=True))
    with pytest.raises(RecipeError, match=r"`num_rows` must be a positive integer\. Received: 0"):
        nn.Stream(nn.GRU(3, 4), 0)
    with pytest.raises(RecipeError, match=r"`precision` of a stream must be full or int8\. Received: 'bf16'"):
        nn.Stream(nn.GRU(3, 4), precision="bf16")
    with pytest.raises(
        BackendError, match=r"int8 streams in the native core .* Received: torch.float32 on backend ref"
    ):
        nn.Stream(nn.GRU(3, 4, backend="reference"), precision="int8")
    with pytest.raises(BackendError, match="from float32 weights only"):
        nn.Stream(nn.GRU(3, 4, dtype=torch.float64), precision="int8")
    stream = nn.Stream(nn.GRU(3, 4), 2)
    with pytest.raises(ShapeError, match=r"`x` must be \(2, 3\) in torch.float32\. Received: \(1, 3\)"):
        stream.step(torch.zeros(1, 3))
    with pytest.raises(ShapeError, match=r"`x` must be \(L, 2, 3\)"):
        stream.run(torch.zeros(4, 2, 3, dtype=torch.float64))


@pytest.mark.parametrize("backend", BACKENDS)
def test_steps_are_kept_or_written_where_told(backend: str) -> None:
    stack = layers("gru", backend)
    x = torch.randn(4, 2, 5, dtype=torch.float64)
    whole, _ = stack(x)
    stream = nn.Stream(stack, 2)
    kept = torch.zeros(4, 2, 17, dtype=torch.float64)
    for step, each in enumerate(x):
        assert stream.step(each, out=kept[step]).data_ptr() == kept[step].data_ptr()
    torch.testing.assert_close(kept, whole)
    with pytest.raises(ShapeError, match=r"`out` must be contiguous, \(2, 17\) in torch.float64\. Received: \(17, 2\)"):
        stream.step(x[0], out=kept.new_zeros(17, 2))
