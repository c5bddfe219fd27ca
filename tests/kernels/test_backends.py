"""Every backend against ``reference.scan``: outputs, final states and every gradient, at odd sizes and ragged ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from ostinato import cells
from ostinato.kernels import dispatch, native, reference, torch_backend
from ostinato.types import Ragged, State


def native_scan(cell, values, batch_sizes, state, weights):
    """The native layer, which takes several directions, as a scan of one."""
    rows = torch.arange(len(state[0]))
    lengths = (batch_sizes.unsqueeze(0) > rows.unsqueeze(1)).sum(1)
    output, finals, _ = native.layer(cell, Ragged(values, batch_sizes, rows, rows, lengths), [state], [weights])
    return output, finals[0]


FUSED = ("elman", "elman_relu", "gru", "lstm")
SCANS: dict[str, Callable] = {
    "torch": torch_backend.scan,
    "torch packed": torch_backend.scan_packed,
    "native": native_scan,
}
LENGTHS = {
    "one step": [1],
    "one row": [9],
    "dense": [4, 4, 4],
    "ragged": [3, 7, 1, 7, 4],
    "empty rows": [0, 5, 0, 2, 0],
    "all empty": [0, 0, 0],
}
TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-5}


class Problem:
    """A cell, its weights, a packed batch, an initial state, and weights for the loss."""

    def __init__(self, name: str, hidden_size: int, lengths: list[int], dtype: torch.dtype, **options: object) -> None:
        torch.manual_seed(0)
        self.cell = cells.get(name)
        shapes = self.cell.parameter_shapes(3, hidden_size, **options)
        self.weights = {key: torch.empty(shape, dtype=dtype) for key, shape in shapes.items()}
        self.cell.initialise(self.weights, hidden_size)
        self.ragged = Ragged.from_offsets(
            torch.randn(sum(lengths), 3, dtype=dtype), torch.tensor([0, *lengths]).cumsum(0)
        )
        sizes = self.cell.state_sizes(hidden_size, options.get("proj_size", 0))
        self.state = tuple(torch.randn(len(lengths), size, dtype=dtype) for size in sizes)
        self.output_weight = torch.randn(sum(lengths), sizes[0], dtype=dtype)
        self.state_weights = tuple(torch.randn_like(part) for part in self.state)

    def run(self, scan: Callable) -> tuple[torch.Tensor, State, dict[str, torch.Tensor | None]]:
        """Outputs, final states and the gradient of everything that has one."""
        leaves = {"values": self.ragged.values, **self.weights}
        leaves |= {f"{name}_0": part for name, part in zip(self.cell.state_names, self.state, strict=True)}
        leaves = {name: leaf.clone().requires_grad_() for name, leaf in leaves.items()}
        state = tuple(leaves[f"{name}_0"] for name in self.cell.state_names)
        weights = {name: leaves[name] for name in self.weights}
        output, final = scan(self.cell, leaves["values"], self.ragged.batch_sizes, state, weights)
        loss = (output * self.output_weight).sum()
        loss = loss + sum((part * w).sum() for part, w in zip(final, self.state_weights, strict=True))
        loss.backward()
        return output.detach(), tuple(part.detach() for part in final), {n: leaf.grad for n, leaf in leaves.items()}


def assert_same(problem: Problem, scan: Callable) -> None:
    dtype = problem.ragged.values.dtype
    close = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    output, final, gradients = problem.run(scan)
    true_output, true_final, true_gradients = problem.run(reference.scan)
    torch.testing.assert_close(output, true_output, **close)
    for part, truth in zip(final, true_final, strict=True):
        torch.testing.assert_close(part, truth, **close)
    for name, truth in true_gradients.items():
        assert (gradients[name] is None) == (truth is None), name
        if truth is not None:
            torch.testing.assert_close(gradients[name], truth, msg=lambda text, n=name: f"{n}: {text}", **close)


# A batch without values is answered by scan() before it comes to the packed call.
ON_LENGTHS = [
    (scan, lengths) for scan in SCANS for lengths in LENGTHS if (scan, lengths) != ("torch packed", "all empty")
]


@pytest.mark.parametrize(("scan", "lengths"), ON_LENGTHS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("hidden_size", [1, 17, 65])
@pytest.mark.parametrize("name", FUSED)
def test_against_reference(name, hidden_size, lengths, dtype, scan):
    assert_same(Problem(name, hidden_size, LENGTHS[lengths], dtype), SCANS[scan])


@pytest.mark.parametrize("scan", SCANS)
@pytest.mark.parametrize("options", [{"proj_size": 2}, {"bias": False}, {"proj_size": 3, "bias": False}], ids=str)
def test_lstm_options_against_reference(options, scan):
    for dtype in (torch.float32, torch.float64):
        assert_same(Problem("lstm", 5, LENGTHS["empty rows"], dtype, **options), SCANS[scan])


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("scan", SCANS)
def test_no_bias_against_reference(name, scan):
    assert_same(Problem(name, 5, LENGTHS["ragged"], torch.float32, bias=False), SCANS[scan])


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("scan", SCANS)
def test_non_contiguous_inputs(name, scan):
    problem = Problem(name, 17, LENGTHS["ragged"], torch.float32)
    problem.ragged = problem.ragged.with_values(problem.ragged.values.t().contiguous().t())
    problem.state = tuple(part.t().contiguous().t() for part in problem.state)
    problem.weights = {n: (w.t().contiguous().t() if w.dim() == 2 else w) for n, w in problem.weights.items()}
    assert not problem.ragged.values.is_contiguous()
    torch.manual_seed(1)
    arguments = (problem.cell, problem.ragged.values, problem.ragged.batch_sizes, problem.state, problem.weights)
    found, final = SCANS[scan](*arguments)
    truth, true_final = reference.scan(*arguments)
    torch.testing.assert_close(found, truth, rtol=2e-5, atol=2e-5)
    torch.testing.assert_close(final, true_final, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", FUSED)
def test_without_gradients_and_in_inference_mode(name):
    problem = Problem(name, 17, LENGTHS["ragged"], torch.float32)
    arguments = (problem.cell, problem.ragged.values, problem.ragged.batch_sizes, problem.state, problem.weights)
    truth, _ = reference.scan(*arguments)
    for mode in (torch.no_grad, torch.inference_mode):
        for scan in (torch_backend.scan, native_scan):
            with mode():
                found, _ = scan(*arguments)
            torch.testing.assert_close(found, truth, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_runs(name, dtype):
    problem = Problem(name, 17, LENGTHS["ragged"], dtype)
    output, _, gradients = problem.run(torch_backend.scan)
    truth, _, true_gradients = problem.run(reference.scan)
    torch.testing.assert_close(output, truth, rtol=0.05, atol=0.05)
    torch.testing.assert_close(gradients["values"], true_gradients["values"], rtol=0.1, atol=0.1)


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_autocast_computes_in_the_dtype_of_the_weights(name, dtype):
    problem = Problem(name, 17, LENGTHS["ragged"], torch.float32)
    truth, _, _ = problem.run(reference.scan)
    problem.ragged = problem.ragged.with_values(problem.ragged.values.to(dtype))
    for scan in (torch_backend.scan, native_scan):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output, _, gradients = problem.run(scan)
        assert output.dtype == torch.float32
        torch.testing.assert_close(output, truth, rtol=0.02, atol=0.02)
        assert gradients["weight_hh"].dtype == torch.float32


@pytest.mark.parametrize("name", cells.names())
def test_reference_has_first_and_second_derivatives(name):
    problem = Problem(name, 2, [2, 0, 3], torch.float64)
    names = list(problem.weights)

    def run(values, *rest):
        weights = dict(zip(names, rest[: len(names)], strict=True))
        output, final = reference.scan(problem.cell, values, problem.ragged.batch_sizes, rest[len(names) :], weights)
        return output, *final

    leaves = [leaf.requires_grad_() for leaf in (problem.ragged.values, *problem.weights.values(), *problem.state)]
    assert torch.autograd.gradcheck(run, leaves)
    if name != "elman_relu":  # no second derivative to speak of
        assert torch.autograd.gradgradcheck(run, leaves)


@pytest.mark.parametrize("backend", [name for name, reason in dispatch.available().items() if reason is None])
def test_every_available_backend_is_in_this_file(backend):
    assert backend == "reference" or backend in SCANS
