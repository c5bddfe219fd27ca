"""The native core: every instruction set against the reference, both directions, and what it promises besides."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from torch import library

from ostinato import nn
from ostinato.kernels import native, native_layer
from ostinato.kernels.native_plan import Plan
from ostinato.types import Ragged

pytestmark = pytest.mark.skipif(native.missing_reason() is not None, reason=f"no core: {native.missing_reason()}")

CELLS = ("elman", "elman_relu", "gru", "lstm")
RUNNABLE = [name for name, here in native.targets().items() if here]
RAGGED = [3, 7, 0, 1, 7, 4, 0]


@pytest.fixture
def target(request):
    before = native_layer.core.target()
    native_layer.core.force_target(request.param)
    yield request.param
    native_layer.core.force_target(before)


def results(layer: nn.RecurrentStack, lengths: list[int], seed: int = 0) -> dict[str, torch.Tensor]:
    """Output, final states and all gradients of a layer on a ragged batch with an initial state."""
    torch.manual_seed(seed)
    dtype = next(layer.parameters()).dtype
    values = torch.randn(sum(lengths), layer.input_size, dtype=dtype, requires_grad=True)
    batch = Ragged.from_offsets(values, torch.tensor([0, *lengths]).cumsum(0))
    sizes = layer.cell.state_sizes(layer.hidden_size, layer.proj_size)
    count = layer.num_layers * layer.num_directions
    state = [torch.randn(count, len(lengths), size, dtype=dtype, requires_grad=True) for size in sizes]
    layer.zero_grad()
    output, final = layer(batch, tuple(state) if len(state) > 1 else state[0])
    final = final if isinstance(final, tuple) else (final,)
    loss = sum((part * torch.randn_like(part)).sum() for part in (output.values, *final))
    loss.backward()
    found = {"output": output.values, "values": values.grad}
    found |= {f"final {i}": part for i, part in enumerate(final)}
    found |= {f"initial {i}": part.grad for i, part in enumerate(state)}
    found |= {name: parameter.grad.clone() for name, parameter in layer.named_parameters()}
    return {name: tensor.detach() for name, tensor in found.items()}


def pair(cell: str, hidden_size: int, dtype: torch.dtype, **options) -> tuple[nn.RecurrentStack, nn.RecurrentStack]:
    torch.manual_seed(0)
    layer = nn.build(cell, 3, hidden_size, bidirectional=True, backend="native", **options).to(dtype)
    truth = nn.build(cell, 3, hidden_size, bidirectional=True, backend="reference", **options).to(dtype)
    truth.load_state_dict(layer.state_dict())
    return layer, truth


@pytest.mark.parametrize("target", RUNNABLE, indirect=True)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("hidden_size", [1, 17, 65, 80])
@pytest.mark.parametrize("cell", CELLS)
def test_every_target_against_the_reference(cell, hidden_size, dtype, target):
    layer, truth = pair(cell, hidden_size, dtype)
    close = 1e-10 if dtype == torch.float64 else 5e-5
    for lengths in ([5], [4, 4, 4], RAGGED, list(range(20))):
        expected = results(truth, lengths)
        for name, found in results(layer, lengths).items():
            torch.testing.assert_close(found, expected[name], rtol=close, atol=close, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("target", RUNNABLE, indirect=True)
@pytest.mark.parametrize(("hidden_size", "proj_size"), [(5, 3), (32, 16), (70, 65)])
def test_projections_against_the_reference(hidden_size, proj_size, target):
    layer, truth = pair("lstm", hidden_size, torch.float64, proj_size=proj_size, num_layers=2)
    expected = results(truth, RAGGED)
    for name, found in results(layer, RAGGED).items():
        torch.testing.assert_close(found, expected[name], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("cell", CELLS)
def test_memory_that_held_something_else_changes_nothing(cell):
    """torch fills every new buffer with NaN here: what is not written before it is read shows."""
    layer, _ = pair(cell, 17, torch.float32)
    expected = results(layer, RAGGED)
    torch.use_deterministic_algorithms(True)  # which fills uninitialised memory
    try:
        found = results(layer, RAGGED)
    finally:
        torch.use_deterministic_algorithms(False)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("cell", CELLS)
def test_gradcheck(cell):
    layer, _ = pair(cell, 3, torch.float64)
    values = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    batch = Ragged.from_offsets(values.detach(), [0, 2, 2, 6])

    def run(values: torch.Tensor) -> torch.Tensor:
        return layer(batch.with_values(values))[0].values

    assert torch.autograd.gradcheck(run, (values,))


@pytest.mark.parametrize("cell", CELLS)
def test_the_same_bits_run_after_run_and_rows_on_any_number_of_threads(cell):
    torch.manual_seed(1)
    layer = nn.build(cell, 24, 64, bidirectional=True, backend="native")
    lengths = [50, 3, 41, 0, 29, 50, 17, 8, 33]
    values = torch.randn(sum(lengths), 24)
    batch = Ragged.from_offsets(values, torch.tensor([0, *lengths]).cumsum(0))
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 2, 3):
            torch.set_num_threads(count)
            found.append((layer(batch)[0].values, results(layer, lengths)["weight_hh_l0"]))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[1][0], found[2][0])
    assert torch.equal(found[1][1], found[2][1])
    for output, _ in found:  # the input projection is one product for all rows, so sums may round differently there
        torch.testing.assert_close(output, found[0][0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_nan_stays_in_its_row(cell):
    layer = nn.build(cell, 3, 17, bidirectional=True, backend="native")
    values = torch.randn(5, 4, 3)
    clean, _ = layer(values)
    values[2, 1] = float("nan")
    output, _ = layer(values)
    assert output[2:, 1, :17].isnan().all()
    assert output[:3, 1, 17:].isnan().all()
    others = [0, 2, 3]
    assert torch.equal(output[:, others], clean[:, others])


def test_extreme_inputs_saturate():
    layer = nn.LSTM(1, 4, backend="native")
    for size in (1e3, 1e20, float("inf")):
        output, _ = layer(torch.full((3, 1, 1), size))
        reference = nn.LSTM(1, 4, backend="reference")
        reference.load_state_dict(layer.state_dict())
        torch.testing.assert_close(output, reference(torch.full((3, 1, 1), size))[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_torch_compile_sees_one_operator(cell):
    layer = nn.build(cell, 3, 5, bidirectional=True, backend="native")
    graphs = []

    def backend(graph, _):
        graphs.append(graph.code)
        return graph

    compiled = torch.compile(layer, backend=backend, fullgraph=True)
    x = torch.randn(4, 2, 3)
    torch.testing.assert_close(compiled(x)[0], layer(x)[0])
    assert "ostinato.recurrent_layer" in graphs[0]
    torch.compiler.reset()


def test_the_operators_keep_the_rules_of_operators():
    layer = nn.LSTM(3, 17, backend="native")
    weights = [getattr(layer, name).detach() for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")]
    values = torch.randn(5, 3, requires_grad=True)
    initial = [torch.zeros(1, 3, 17), torch.zeros(1, 3, 17)]
    plan = Plan("lstm", ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    library.opcheck(
        torch.ops.ostinato.recurrent_layer.default, (plan.to_text(), values, torch.tensor([3, 2]), initial, weights, [])
    )


def test_buffers_that_do_not_fit_are_refused_before_memory_is_touched():
    good = torch.zeros(1, 2, 16)
    gates, output = torch.zeros(3, 16), torch.zeros(3, 16)

    square = torch.zeros(16, 16)

    def run(sizes, output=output, weight=square, gates=gates):
        native_layer.core.forward(
            "elman", torch.tensor(sizes), [weight], [], [], good, None, gates, output, None, None, good.clone(), None,
            False, 1,
        )  # fmt: skip

    run([2, 1])
    for sizes in ([2, 2], [1, 2], [3], [2, 0, 1], [2, -1, 2]):
        with pytest.raises(ValueError, match="batch_sizes"):
            run(sizes)
    with pytest.raises(ValueError, match=r"`output` must be \(3, 16\).*Received: \(2, 16\)"):
        run([2, 1], output=output[:2])
    with pytest.raises(ValueError, match="`weight_hh` must be"):
        run([2, 1], weight=torch.zeros(16, 16, dtype=torch.float64))
    with pytest.raises(ValueError, match="multiple of 16"):
        run([2, 1], gates=torch.zeros(3, 15))


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_the_environment_forces_a_target_and_an_impossible_one_is_an_error():
    code = "from ostinato.kernels import native; print(native.target())"
    assert python(code, OSTINATO_NATIVE_TARGET="baseline").stdout.strip() == "baseline"
    refused = python(code, OSTINATO_NATIVE_TARGET="avx1024")
    assert refused.returncode != 0
    assert "OSTINATO_NATIVE_TARGET: the target must be one of" in refused.stderr
    for name, here in native.targets().items():
        if not here:
            assert "lacks the instructions" in python(code, OSTINATO_NATIVE_TARGET=name).stderr


def test_without_the_core_everything_else_runs_and_says_why():
    code = (
        "import sys; sys.modules['ostinato._native'] = None\n"
        "import torch; from ostinato import nn; from ostinato.kernels import dispatch\n"
        "with dispatch.record() as ran: nn.LSTM(3, 4)(torch.zeros(2, 1, 3))\n"
        "print(ran, dispatch.available()['native'])"
    )
    found = python(code)
    assert found.stdout.strip() == "['torch'] its compiled part is not installed", found.stderr


@pytest.mark.parametrize("target", RUNNABLE, indirect=True)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 4e-7), (torch.float64, 1e-15)])
def test_small_signals_keep_their_digits(target, dtype, tolerance):
    """tanh has a relative error of some roundings at every size, so that a weak signal survives many layers."""
    layer = nn.build("elman", 1, 1, bias=False, backend="native").to(dtype)
    with torch.no_grad():
        layer.weight_ih_l0.fill_(1.0)
        layer.weight_hh_l0.zero_()
    sizes = torch.logspace(-30, 1, 20_001, dtype=torch.float64).to(dtype)
    values = torch.cat([sizes, -sizes, torch.zeros(1, dtype=dtype)])
    output, _ = layer(Ragged.from_offsets(values.unsqueeze(1), torch.arange(len(values) + 1)))
    truth = torch.tanh(values.double())
    found = torch.cat(output.split_rows()).squeeze(1).double()
    assert found[-1] == 0
    assert ((found - truth) / truth)[:-1].abs().max() < tolerance


FORKING = """
import os, signal, torch
from ostinato import nn
torch.set_num_threads(2)
layer, x = nn.LSTM(64, 128), torch.randn(20, 64, 64)
truth = layer(x)[0].sum()
child = os.fork()
if child == 0:
    signal.alarm(60)  # in place of a hang
    torch.testing.assert_close(layer(x)[0].sum(), truth)
    layer(x)[0].sum().backward()
    os._exit(torch.get_num_threads())
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_computes_after_its_parent_used_threads():
    ran = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=120, check=True)
    assert ran.stdout == "1\n"
    assert "torch runs in one thread here" in ran.stderr
