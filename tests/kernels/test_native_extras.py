"""The core's general kernels against the reference: every variant of a cell, masks, zoneout, gradients of all."""

from __future__ import annotations

import itertools

import pytest
import torch

from ostinato import cells
from ostinato.kernels import dispatch, native
from ostinato.kernels.noise import Noise
from ostinato.types import Ragged

pytestmark = pytest.mark.skipif(native.missing_reason() is not None, reason="the native core is not installed")
CELLS = [
    name
    for name in cells.names()
    if native.unavailable_reason(cells.get(name), torch.device("cpu"), torch.float64) is None
]
LENGTHS = {"ragged": [4, 0, 7, 1, 7], "dense": [3, 3, 3], "one step": [1, 1]}


def draw(
    cell, lengths, *, hidden=5, inputs=3, directions=1, proj=0, bias=True, noise="none", dtype=torch.float64, seed=0
):
    """Everything `dispatch.layer` takes, all of it leaves that want gradients."""
    torch.manual_seed(seed)
    batch = Ragged.from_padded(torch.randn(max(lengths), len(lengths), inputs, dtype=dtype), lengths, batch_first=False)
    batch = batch.with_values(batch.values.requires_grad_())
    shapes = cell.parameter_shapes(inputs, hidden, proj, bias)
    weights = [
        {n: torch.randn(s, dtype=dtype).mul_(0.6).requires_grad_() for n, s in shapes.items()}
        for _ in range(directions)
    ]
    sizes = cell.state_sizes(hidden, proj)
    states = [
        tuple(torch.randn(len(lengths), size, dtype=dtype, requires_grad=True) for size in sizes)
        for _ in range(directions)
    ]
    noises = None if noise == "none" else [make_noise(noise, batch, sizes, dtype) for _ in range(directions)]
    return batch, states, weights, noises


def make_noise(kind, batch, sizes, dtype):
    num_rows, num_values = batch.num_rows, len(batch.values)
    mask = torch.empty(num_rows, sizes[0], dtype=dtype).bernoulli_(0.7) / 0.7 if kind in ("mask", "both") else None
    if kind == "mask":
        return Noise(mask)
    draw_share = {"zoneout": lambda s: torch.empty(s).bernoulli_(0.4), "both": torch.rand, "c": torch.rand}[kind]
    shares = [draw_share((num_values, size)).to(dtype) for size in sizes]
    return Noise(mask, tuple(None if kind == "c" and i == 0 else share for i, share in enumerate(shares)))


def run(backend, cell, arguments, **options):
    """Everything that comes out, and the gradients of everything that went in."""
    batch, states, weights, noise = arguments
    output, finals, every = dispatch.layer(backend, cell, batch, states, weights, noise, True, **options)
    torch.manual_seed(7)
    found = [output, *(part for state in finals for part in state), *(part for state in every for part in state)]
    loss = sum((part * torch.randn(part.shape, dtype=part.dtype)).sum() for part in found)
    leaves = [batch.values, *itertools.chain(*states), *itertools.chain(*(w.values() for w in weights))]
    return found, torch.autograd.grad(loss, leaves, allow_unused=True)


def compare(cell, arguments, rtol=1e-9, atol=1e-10, **options):
    mine, d_mine = run("native", cell, arguments, **options)
    truth, d_truth = run("reference", cell, arguments)
    for found, expected in zip([*mine, *d_mine], [*truth, *d_truth], strict=True):
        if expected is None:
            assert found is None or not found.any()
        else:
            torch.testing.assert_close(found, expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("noise", ["none", "mask", "zoneout", "both", "c"])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("name", CELLS)
def test_outputs_states_and_gradients_are_the_references(name, lengths, noise):
    cell = cells.get(name)
    compare(cell, draw(cell, lengths, directions=2, noise=noise))


@pytest.mark.parametrize(("hidden", "proj"), [(1, 0), (16, 0), (17, 0), (65, 0), (17, 3), (33, 16)])
@pytest.mark.parametrize("name", CELLS)
def test_odd_sizes_and_projections(name, hidden, proj):
    cell = cells.get(name)
    if proj and not cell.supports_projection:
        return
    compare(cell, draw(cell, [3, 0, 2], hidden=hidden, proj=proj, noise="both"))
    compare(cell, draw(cell, [3, 0, 2], hidden=hidden, proj=proj, bias=False))


@pytest.mark.parametrize("target", [name for name, here in native.targets().items() if here])
@pytest.mark.parametrize("name", CELLS)
def test_every_target_in_float32(name, target):
    cell, before = cells.get(name), native.target()
    native.core.force_target(target)
    try:
        compare(cell, draw(cell, [5, 2, 3], hidden=20, noise="both", dtype=torch.float32), rtol=2e-4, atol=2e-4)
    finally:
        native.core.force_target(before)


@pytest.mark.parametrize("name", ["elman_layer_norm", "gru_layer_norm", "lstm_layer_norm", "lstm_peephole"])
def test_infinity_and_nan_stay_in_their_own_row(name):
    cell = cells.get(name)
    batch, states, weights, _ = draw(cell, [3, 3])
    values = batch.values.detach().clone()
    values[0] = float("nan")  # the first step of the first packed row
    output, _, _ = dispatch.layer("native", cell, batch.with_values(values), states, weights)
    first, second = output[0::2], output[1::2]
    assert first.isnan().any(1).all()
    clean, _, _ = dispatch.layer("native", cell, batch, states, weights)
    assert torch.equal(second, clean[1::2])


@pytest.mark.parametrize("name", ["lstm_layer_norm", "gru_reset_before", "lstm_peephole"])
def test_the_same_bits_run_after_run_and_with_any_number_of_threads(name):
    cell = cells.get(name)
    arguments = draw(cell, [40] * 9, hidden=64, inputs=64, noise="both", dtype=torch.float32)
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 2):
            torch.set_num_threads(count)
            found.append(run("native", cell, arguments))
    finally:
        torch.set_num_threads(threads)
    assert all(
        torch.equal(a, b) for a, b in zip(found[1][0] + [*found[1][1]], found[2][0] + [*found[2][1]], strict=True)
    )
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not native.has_bf16(), reason="no bf16 products here")
@pytest.mark.parametrize("name", CELLS)
def test_bf16_rounds_products_and_nothing_else(name):
    cell = cells.get(name)
    arguments = draw(cell, [6, 3, 0, 4], hidden=40, inputs=24, directions=2, noise="both", dtype=torch.float32)
    mine, d_mine = run("native", cell, arguments, precision="bf16")
    truth, d_truth = run("reference", cell, arguments)
    for found, expected in zip([*mine, *d_mine], [*truth, *d_truth], strict=True):
        difference = (found - expected).norm() / expected.norm()
        assert difference < 0.05
    assert (mine[0] - truth[0]).abs().max() > 1e-6  # it did round


@pytest.mark.parametrize("name", CELLS)
def test_gradcheck(name):
    cell = cells.get(name)
    batch, states, weights, noise = draw(cell, [2, 3, 1], hidden=3, noise="both")
    flat = [*states[0], *weights[0].values()]

    def function(values, *rest):
        state, named = rest[: len(states[0])], dict(zip(weights[0], rest[len(states[0]) :], strict=True))
        output, finals, every = dispatch.layer("native", cell, batch.with_values(values), [state], [named], noise, True)
        return (output, *finals[0], *every[0])

    assert torch.autograd.gradcheck(function, (batch.values, *flat))
