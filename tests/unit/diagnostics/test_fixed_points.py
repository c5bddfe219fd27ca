"""Fixed points of networks whose fixed points are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ostinato import nn
from ostinato.diagnostics.fixed_points import FixedPoint, find_fixed_points, fixed_points
from ostinato.diagnostics.probe import LayerTrace, traces
from ostinato.errors import RecipeError
from ostinato.probes.subject import Subject
from ostinato.types import Ragged


def _elman(recurrent: list[list[float]], given: float = 0.0) -> LayerTrace:
    """h' = tanh(W h + given x)."""
    layer = nn.RNN(1, len(recurrent), bias=False)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(torch.tensor(recurrent))
        layer.weight_ih_l0.fill_(given)
    rows = Ragged.from_padded(torch.zeros(1, 3, 1))
    return traces(Subject((layer,), rows, lambda output: output.select_last().sum(1), False))[0][0]


def _starts(count: int) -> Tensor:
    return torch.rand(count, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1


def _root(slope: float) -> float:
    """The positive h = tanh(slope h)."""
    value = 1.0
    for _ in range(200):
        value = math.tanh(slope * value)
    return value


def test_two_attractors_and_the_saddle_between_them() -> None:
    found = fixed_points(_elman([[2.0, 0.0], [0.0, 0.5]]), torch.zeros(1), _starts(24), num_steps=300)
    assert all(one.is_fixed for one in found)
    kinds = {round(one.state[0], 4): one for one in found}
    root = _root(2.0)
    assert sorted(kinds) == [pytest.approx(-root, abs=1e-4), 0, pytest.approx(root, abs=1e-4)]
    for place, one in kinds.items():
        assert one.state[1] == pytest.approx(0, abs=1e-6)
        slope = 2 * (1 - math.tanh(2 * one.state[0]) ** 2)
        expected = sorted([(slope, 0.0), (0.5, 0.0)], reverse=True)
        assert one.eigenvalues == [pytest.approx(pair, abs=1e-5) for pair in expected]
        assert (one.kind, one.num_growing) == (("stable", 0) if place else ("saddle", 1))
        assert one.slowest_steps == (pytest.approx(1 / math.log(2), rel=1e-4) if place else None)
    assert sum(one.share for one in found) == pytest.approx(1)
    assert sorted(number for one in found for number in one.begun) == list(range(24))


def test_a_constant_input_moves_them() -> None:
    trace = _elman([[0.5, 0.0], [0.0, 0.5]], given=1.0)
    (found,) = fixed_points(trace, torch.ones(1), _starts(6), num_steps=200)
    value = found.state[0]
    assert value == pytest.approx(math.tanh(0.5 * value + 1), abs=1e-6)
    assert found.kind == "stable"


def test_a_rotation_has_a_pair_of_complex_eigenvalues() -> None:
    turn, size = 2 * math.pi / 8, 0.9
    matrix = [[size * math.cos(turn), -size * math.sin(turn)], [size * math.sin(turn), size * math.cos(turn)]]
    (found,) = fixed_points(_elman(matrix), torch.zeros(1), _starts(6), num_steps=300)
    assert math.atan2(abs(found.eigenvalues[0][1]), found.eigenvalues[0][0]) == pytest.approx(turn, rel=1e-4)
    assert math.hypot(*found.eigenvalues[0]) == pytest.approx(size, rel=1e-4)


def test_a_slow_point_is_no_fixed_one() -> None:
    """x' = x - (x² + e) / 10 has no fixed point; slowest is it at 0."""
    gap = 1e-3
    starts = torch.linspace(-1, 1, 9)[:, None]
    found: list[FixedPoint] = find_fixed_points(lambda x: x - 0.1 * (x**2 + gap), starts, num_steps=400)
    (slow,) = found
    assert not slow.is_fixed
    assert slow.state[0] == pytest.approx(0, abs=0.02)
    assert slow.q == pytest.approx((0.1 * gap) ** 2 / 2, rel=0.3)


def test_an_lstm_of_any_size_is_searched() -> None:
    torch.manual_seed(0)
    layer = nn.LSTM(3, 5)
    trace = traces(Subject((layer,), Ragged.from_padded(torch.randn(2, 9, 3)), lambda o: o.select_last().sum(1), False))
    found = fixed_points(trace[0][0], torch.zeros(3), trace[0][0].states.values, num_steps=200)
    state = torch.tensor(found[0].state)[None]
    after = trace[0][0].step(trace[0][0].project(torch.zeros(1, 3)), state)
    torch.testing.assert_close(after, state, atol=1e-5, rtol=0)
    assert (found[0].is_fixed, len(found[0].eigenvalues)) == (True, 10)
    with pytest.raises(RecipeError, match=r"`starts` must be \(M, 10\), M >= 1\. Received: \(2, 3\)"):
        fixed_points(trace[0][0], torch.zeros(3), torch.zeros(2, 3))
