"""Lyapunov exponents and spectra, against values that are known exactly."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ostinato import cells, nn
from ostinato.cells import Cell
from ostinato.diagnostics import Subject, jacobian_spectrum, lyapunov_exponents, weight_spectra
from ostinato.diagnostics.lyapunov import kaplan_yorke_dimension
from ostinato.diagnostics.probe import traces
from ostinato.diagnostics.spectra import step_jacobians
from ostinato.errors import DataError, RecipeError
from ostinato.types import Ragged


class Linear(Cell):
    """``h_t = x_t W_ih^T + h_{t-1} W_hh^T``."""

    name, gates = "linear", ("h",)

    def step(self, x_projected, state, weights, mask=None):
        return (x_projected + state[0] @ weights["weight_hh"].T,)


class Logistic(Cell):
    """The logistic map at r = 4, whose exponent is ln 2; the input displaces the first state."""

    name, gates = "logistic", ("h",)

    def step(self, x_projected, state, weights, mask=None):
        h = state[0] + x_projected
        return (4 * h * (1 - h),)


def subject_of(cell: Cell | str, weight: Tensor, x: Tensor, lengths: list[int] | None = None, **options) -> Subject:
    """One layer with identity input weights and no bias over rows `x` (N, L, H)."""
    size = len(weight)
    stack = nn.RecurrentStack(cell, size, size, bias=False, dtype=weight.dtype, **options)
    with torch.no_grad():
        for number, gate in enumerate(stack.cell.gates):
            rows = slice(number * size, (number + 1) * size)
            for suffix in ("", "_reverse")[: stack.num_directions]:
                getattr(stack, f"weight_hh_l0{suffix}")[rows] = weight
                getattr(stack, f"weight_ih_l0{suffix}")[rows] = torch.eye(size)
                assert gate
    return Subject((stack,), Ragged.from_padded(x, lengths), lambda output: output.select_last().sum(1), False)


def triangular(*diagonal: float) -> Tensor:
    """Eigenvalues as given, in a random basis."""
    torch.manual_seed(3)
    size = len(diagonal)
    upper = torch.randn(size, size, dtype=torch.float64).triu(1) * 0.2 + torch.diag(
        torch.tensor(diagonal, dtype=torch.float64)
    )
    basis = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64)).Q
    return basis @ upper @ basis.T


def test_a_linear_recurrence_has_the_logarithms_of_its_eigenvalues():
    weight = triangular(0.95, 0.7, -0.5, 0.2)
    (found,) = lyapunov_exponents(subject_of(Linear(), weight, torch.randn(3, 200, 4).double()), 4, warm_up=100)
    assert found.exponents_nats_per_step == pytest.approx(np.log([0.95, 0.7, 0.5, 0.2]), abs=1e-10)
    assert (found.low, found.high) == pytest.approx((math.log(0.95),) * 2, abs=1e-10)
    assert (found.regime, found.kaplan_yorke_dimension, found.num_rows) == ("vanishing", 0.0, 3)
    assert found.time_constant_steps == pytest.approx(-1 / math.log(0.95))


def test_fewer_exponents_are_the_first_and_rare_factorisations_give_the_same():
    subject = subject_of(Linear(), triangular(0.95, 0.7, -0.5, 0.2), torch.randn(2, 150, 4).double())
    (found,) = lyapunov_exponents(subject, 2, warm_up=100, qr_every=7)
    assert found.exponents_nats_per_step == pytest.approx(np.log([0.95, 0.7]), abs=1e-10)
    assert found.kaplan_yorke_dimension is None


def test_relu_in_its_linear_region():
    weight = torch.tensor([[0.9, 0.1], [0.0, 0.6]], dtype=torch.float64)
    (found,) = lyapunov_exponents(subject_of("elman_relu", weight, torch.ones(2, 150, 2).double()), 2, warm_up=100)
    assert found.exponents_nats_per_step == pytest.approx(np.log([0.9, 0.6]), abs=1e-10)


def test_relu_that_never_opens_forgets_within_a_step():
    (found,) = lyapunov_exponents(subject_of("elman_relu", torch.eye(2).double(), -torch.ones(2, 20, 2).double()))
    assert found.exponents_nats_per_step == [-math.inf, -math.inf]
    assert (found.regime, found.low, found.high) == ("vanishing", -math.inf, -math.inf)
    written = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert written["exponents_nats_per_step"] == [None, None]


def test_a_plane_of_growth_and_decay_has_a_fractional_dimension():
    weight = torch.diag(torch.tensor([1.2, 0.5], dtype=torch.float64))
    (found,) = lyapunov_exponents(subject_of(Linear(), weight, torch.ones(2, 200, 2).double()), 2, warm_up=50)
    assert found.exponents_nats_per_step == pytest.approx([math.log(1.2), math.log(0.5)], abs=1e-9)
    assert found.kaplan_yorke_dimension == pytest.approx(1 + math.log(1.2) / math.log(2))
    assert found.time_constant_steps is None


def test_the_logistic_map_is_chaotic_with_ln_2():
    torch.manual_seed(0)
    x = torch.zeros(64, 400, 1, dtype=torch.float64)
    x[:, 0] = torch.rand(64, 1, dtype=torch.float64)
    (found,) = lyapunov_exponents(subject_of(Logistic(), torch.eye(1).double(), x), 1)
    assert found.exponents_nats_per_step[0] == pytest.approx(math.log(2), abs=0.01)
    assert found.low < found.exponents_nats_per_step[0] < found.high
    assert found.regime == "exploding"


@pytest.mark.parametrize(("scale", "regime"), [(0.5, "vanishing"), (3.0, "exploding")])
def test_an_elman_layer_without_input_by_the_size_of_its_weights(scale, regime):
    torch.manual_seed(0)
    size = 40
    weight = torch.randn(size, size, dtype=torch.float64) * scale / math.sqrt(size)
    x = torch.zeros(4, 150, size, dtype=torch.float64)
    x[:, 0] = torch.randn(4, size, dtype=torch.float64)
    (found,) = lyapunov_exponents(subject_of("elman", weight, x), 1, warm_up=50)
    assert found.regime == regime
    assert math.copysign(1, found.exponents_nats_per_step[0]) == (1 if scale > 1 else -1)
    if scale < 1:  # the state is at rest, where tanh is the identity
        radius = float(torch.linalg.eigvals(weight).abs().max())
        assert found.exponents_nats_per_step[0] == pytest.approx(math.log(radius), abs=0.02)


def test_an_orthogonal_linear_recurrence_is_critical():
    weight = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64)).Q
    (found,) = lyapunov_exponents(subject_of(Linear(), weight, torch.randn(2, 60, 5).double()), 5)
    assert found.exponents_nats_per_step == pytest.approx([0.0] * 5, abs=1e-12)
    assert found.regime == "near-critical"


def test_each_row_is_followed_to_its_own_end_in_its_own_direction():
    torch.manual_seed(0)
    x = torch.randn(4, 90, 3, dtype=torch.float64)
    subject = subject_of("lstm", torch.randn(3, 3).double(), x, [90, 0, 41, 12], bidirectional=True)
    together = lyapunov_exponents(subject, 6, warm_up=12)
    assert [(each.layer, each.num_rows) for each in together] == [("layer 1", 2), ("layer 1 reverse", 2)]
    apart = []
    for row, length in ((0, 90), (2, 41)):
        kept = Ragged.from_padded(x[row : row + 1], [length])
        alone = Subject(subject.stacks, kept, subject.loss, False)
        apart.append([each.exponents_nats_per_step for each in lyapunov_exponents(alone, 6, warm_up=12)])
    expected = np.mean(apart, axis=0)
    assert np.array([each.exponents_nats_per_step for each in together]) == pytest.approx(expected, abs=1e-9)
    assert np.abs(expected[0] - expected[1]).max() > 1e-3


@pytest.mark.parametrize("name", cells.names())
def test_all_exponents_of_any_cell_add_up_to_the_volume_of_its_jacobians(name):
    torch.manual_seed(0)
    subject = subject_of(name, torch.randn(3, 3).double(), torch.randn(2, 30, 3).double(), zoneout=0.2)
    (trace,) = traces(subject)[0]
    (found,) = lyapunov_exponents(subject, 99, warm_up=0)
    jacobians = step_jacobians(trace, trace.project(trace.inputs.values), trace.states_before())
    volume = torch.linalg.det(jacobians).abs().log().mean()
    assert len(found.exponents_nats_per_step) == trace.state_size
    assert sum(found.exponents_nats_per_step) == pytest.approx(float(volume), rel=1e-9)
    assert found.kaplan_yorke_dimension is not None


def test_a_state_that_overflows_is_followed_as_far_as_it_is_finite():
    weight = torch.full((1, 1), 10.0)
    (found,) = lyapunov_exponents(subject_of("elman_relu", weight, torch.ones(2, 100, 1)), 1, warm_up=5)
    assert found.exponents_nats_per_step[0] == pytest.approx(math.log(10), rel=1e-5)
    assert found.regime == "exploding"


def test_what_is_refused():
    subject = subject_of("gru", torch.eye(2).double(), torch.randn(2, 9, 2).double())
    with pytest.raises(RecipeError, match=r"`num_exponents` must be at least 1. Received: 0."):
        lyapunov_exponents(subject, 0)
    with pytest.raises(RecipeError, match=r"`qr_every` must be at least 1. Received: 0."):
        lyapunov_exponents(subject, qr_every=0)
    with pytest.raises(DataError, match=r"longer than `warm_up` = 9 steps for layer 1. Received: at most 9 steps"):
        lyapunov_exponents(subject, warm_up=9)
    with pytest.raises(RecipeError, match=r"`num_states` must be at least 1. Received: 0."):
        jacobian_spectrum(subject, 0)


def test_kaplan_yorke_of_known_spectra():
    assert kaplan_yorke_dimension([0.9056, 0.0, -14.5723]) == pytest.approx(2.0621, abs=1e-4)  # Lorenz
    assert kaplan_yorke_dimension([-0.1, -0.2]) == 0
    assert kaplan_yorke_dimension([0.3, -0.2]) == 2


def test_the_weights_of_an_elman_layer_against_pascanus_conditions():
    verdicts = []
    for scale in (0.9, 1.0, 1.1):
        weight = scale * torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64)).Q
        (found,) = weight_spectra(subject_of("elman", weight, torch.ones(1, 2, 4).double()))
        assert (found.largest_singular_value, found.spectral_radius) == pytest.approx((scale, scale))
        assert (found.block, found.bound) == ("whole", 1.0)
        verdicts.append(found.verdict)
    assert verdicts == ["vanishing", "critical", "may explode"]
    (scaled,) = weight_spectra(subject_of("elman_layer_norm", torch.eye(4).double(), torch.ones(1, 2, 4).double()))
    assert scaled.verdict == "scale-free"


def test_the_gates_of_an_lstm_have_a_bound_each_and_projections_are_multiplied_in():
    weight = torch.diag(torch.tensor([2.0, 1.0], dtype=torch.float64))
    found = weight_spectra(subject_of("lstm", weight, torch.ones(1, 2, 2).double()))
    assert [(each.block, each.bound, each.verdict) for each in found] == [
        ("i", 4.0, "below the bound"),
        ("f", 4.0, "below the bound"),
        ("g", 1.0, "above the bound"),
        ("o", 4.0, "below the bound"),
    ]
    torch.manual_seed(0)
    stack = nn.LSTM(2, 3, proj_size=2, bidirectional=True)
    subject = Subject((stack,), Ragged.from_padded(torch.ones(1, 2, 2)), lambda output: output.values.sum(1), True)
    last = weight_spectra(subject)[-1]
    product = (stack.weight_hh_l0_reverse[9:] @ stack.weight_hr_l0_reverse).detach()
    assert (last.layer, last.block) == ("layer 1 reverse", "o")
    assert last.largest_singular_value == pytest.approx(float(torch.linalg.matrix_norm(product, 2)), rel=1e-5)


def test_the_jacobians_of_a_linear_recurrence_are_its_weights():
    weight = triangular(0.9, 0.4, -0.3)
    subject = subject_of(Linear(), weight, torch.randn(2, 5, 3).double())
    (found,) = jacobian_spectrum(subject, num_states=4)
    assert found.eigenvalue_moduli == pytest.approx([0.9, 0.4, 0.3])
    assert found.singular_values == pytest.approx(torch.linalg.svdvals(weight).tolist())
    assert (found.spectral_radius_low, found.spectral_radius_high, found.num_states) == pytest.approx((0.9, 0.9, 4))
    assert jacobian_spectrum(subject, num_states=99)[0].num_states == 10
    json.dumps(found.to_dict(), allow_nan=False)


def test_spectra_of_what_is_not_finite():
    overflowing = subject_of("elman_relu", torch.full((1, 1), 10.0), torch.ones(1, 100, 1))
    (found,) = jacobian_spectrum(overflowing, 1000)
    assert 30 < found.num_states < 45
    assert found.eigenvalue_moduli == pytest.approx([10.0])
    broken = subject_of("elman", torch.full((1, 1), math.nan), torch.ones(1, 5, 1))
    with pytest.raises(DataError, match=r"`weight_hh` of layer 1 must be finite"):
        weight_spectra(broken)
    broken = subject_of("elman", torch.ones(1, 1), torch.full((1, 5, 1), math.nan))
    with pytest.raises(DataError, match=r"a state of layer 1 must be finite. Received: NaN or infinity at every step"):
        jacobian_spectrum(broken)
