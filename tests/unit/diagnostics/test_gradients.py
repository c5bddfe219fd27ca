"""Gradient by lag: against the textbook's terms and against values known by hand, and that nothing is disturbed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from ostinato import cells, nn
from ostinato.cells import Cell
from ostinato.diagnostics import Subject, gradient_by_lag
from ostinato.diagnostics.gradients import RowGradients, row_gradients
from ostinato.diagnostics.textbook import textbook_gradient
from ostinato.errors import DataError, RecipeError
from ostinato.types import Ragged

LENGTHS = [3, 0, 6, 1, 6]


class Linear(Cell):
    """``h_t = x_t W_ih^T + h_{t-1} W_hh^T``."""

    name, gates = "linear", ("h",)

    def step(self, x_projected, state, weights, mask=None):
        return (x_projected + state[0] @ weights["weight_hh"].T,)


class Leaky(Cell):
    """``h_t = x_t + h_{t-1} sigmoid(decay)``, without ``weight_hh``, and an output that is not the state."""

    name, gates = "leaky", ("h",)

    def parameter_shapes(self, input_size, hidden_size, proj_size=0, bias=True):
        return {"weight_ih": (hidden_size, input_size), "decay": (hidden_size,)}

    def step(self, x_projected, state, weights):
        return (x_projected + state[0] * weights["decay"].sigmoid(),)

    def output(self, state):
        return 3 * state[0]


def pooled(output: Ragged) -> Tensor:
    """A loss that reads every step of a row."""
    zeros = torch.zeros(output.num_rows, dtype=output.values.dtype)
    return zeros.index_add(0, output.sorted_indices[output.rows_index()], output.values.sin().sum(1))


def last(output: Ragged) -> Tensor:
    return output.select_last().sin().sum(1)


def make_subject(cell, loss=pooled, num_stacks=1, **options) -> Subject:
    torch.manual_seed(1)
    stacks = []
    for _ in range(num_stacks):
        size = stacks[-1].output_size if stacks else 2
        stacks.append(nn.RecurrentStack(cell, size, 4, dtype=torch.float64, **options).eval())
        with torch.no_grad():
            for weight in stacks[-1].parameters():
                weight.add_(torch.randn_like(weight), alpha=0.3)
    rows = Ragged.from_padded(torch.randn(5, 6, 2, dtype=torch.float64), LENGTHS)
    return Subject(tuple(stacks), rows, loss, per_step=False)


def linear_subject(weight: Tensor, num_steps: int, loss=last) -> Subject:
    size = len(weight)
    stack = nn.RecurrentStack(Linear(), size, size, bias=False, dtype=torch.float64)
    with torch.no_grad():
        stack.weight_hh_l0.copy_(weight)
        stack.weight_ih_l0.copy_(torch.eye(size))
    torch.manual_seed(0)
    return Subject((stack,), Ragged.from_padded(torch.randn(3, num_steps, size, dtype=torch.float64)), loss, False)


def against_textbook(found: RowGradients, output_gradient: Tensor) -> None:
    """`output_gradient`: in the order of the batch, each row of whatever norm the walk was given."""
    rows = textbook_gradient(found.trace, found.trace.to_time(output_gradient))
    for expected, states, norms in zip(rows, found.states.split_rows(), found.norms.split_rows(), strict=True):
        torch.testing.assert_close(states.flip(0), expected.states, rtol=1e-10, atol=1e-13)
        torch.testing.assert_close(norms.flip(0), expected.weights.flatten(1).norm(dim=1), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    ("cell", "options"),
    [(name, {}) for name in cells.names()] + [("lstm", {"proj_size": 2}), ("gru", {"zoneout": 0.3}), (Linear(), {})],
)
def test_every_lag_of_two_layers_is_that_of_the_textbook(cell, options, bidirectional):
    subject = make_subject(cell, num_stacks=2, bidirectional=bidirectional, **options)
    between, _ = subject.stacks[0](subject.inputs)
    above, _ = subject.stacks[1](between)
    (raw,) = torch.autograd.grad(subject.loss(above).sum(), above.values, retain_graph=True)
    rows = above.rows_index()
    norms = torch.zeros(5, dtype=torch.float64).index_add(0, rows, raw.square().sum(1)).sqrt()
    top = raw / norms[rows].unsqueeze(1)
    (below,) = torch.autograd.grad(above.values, between.values, top)
    found = row_gradients(subject)
    num = 1 + bidirectional
    assert [each.trace.layer for each in found][::num] == ["layer 1", "layer 2"]
    for each, gradient in zip(found, [*below.chunk(num, 1), *top.chunk(num, 1)], strict=True):
        against_textbook(each, gradient)


def test_an_orthogonal_recurrence_keeps_the_gradient_and_spreads_its_share():
    angle = torch.tensor(0.3, dtype=torch.float64)
    weight = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    (found,) = gradient_by_lag(linear_subject(weight, 60))
    assert found.norms == pytest.approx([1.0] * 60, rel=1e-12)
    assert found.factor_per_step == pytest.approx(1.0, rel=1e-12)
    assert found.horizon_steps > 50
    assert found.num_rows == [3] * 60


def test_a_contraction_is_measured_to_the_last_lag():
    (found,) = gradient_by_lag(linear_subject(0.5 * torch.eye(3, dtype=torch.float64), 300))
    assert found.norms == pytest.approx([0.5**lag for lag in range(300)], rel=1e-10)
    assert found.low == pytest.approx(found.norms, rel=1e-10)
    assert found.factor_per_step == pytest.approx(0.5, rel=1e-10)
    assert sum(found.share) == pytest.approx(1.0)
    assert found.cumulative_share == pytest.approx(np.cumsum(found.share))
    within = found.cumulative_share
    assert within[found.horizon_steps] >= 0.99 > within[found.horizon_steps - 1]
    assert 4 < found.horizon_steps < 12


def test_a_float32_model_keeps_the_size_of_what_vanishes_and_explodes():
    for factor in (0.1, 10.0):
        subject = linear_subject(factor * torch.eye(1, dtype=torch.float64), 120)
        subject.stacks[0].float()
        subject = replace(subject, inputs=subject.inputs.with_values(torch.zeros(360, 1)))
        (found,) = gradient_by_lag(subject)
        assert found.norms == pytest.approx([factor**lag for lag in range(120)], rel=1e-4)


def test_the_reverse_direction_counts_from_the_first_value_of_the_row():
    torch.manual_seed(0)
    stack = nn.RNN(2, 3, bidirectional=True, dtype=torch.float64)
    rows = Ragged.from_padded(torch.randn(2, 8, 2, dtype=torch.float64), [8, 5])
    first = Subject((stack,), rows, lambda output: output.select_first()[:, 3:].sum(1), per_step=False)
    forward, reverse = gradient_by_lag(first)
    assert (forward.layer, reverse.layer) == ("layer 1", "layer 1 reverse")
    assert reverse.norms[0] == pytest.approx(1.0)
    assert all(0 < norm < 1 for norm in reverse.norms[1:])
    assert forward.norms == [0.0] * 8
    assert (forward.horizon_steps, forward.factor_per_step, sum(forward.share)) == (0, None, 0.0)
    only_its_end = Subject((stack,), rows, lambda output: output.select_last()[:, 3:].sum(1), per_step=False)
    reverse = gradient_by_lag(only_its_end)[1]
    assert reverse.norms[7] == pytest.approx(1.0)
    assert reverse.norms[4] == pytest.approx(1.0)
    assert [norm for norm in reverse.norms if norm] == reverse.norms[4::3]


def test_a_row_with_a_tiny_loss_counts_like_any_other():
    subject = make_subject("gru", last)
    scale = torch.tensor([1e-9, 1.0, 1e9, 1.0, 1.0], dtype=torch.float64)
    scaled = replace(subject, loss=lambda output: subject.loss(output) * scale)
    for one, other in zip(gradient_by_lag(subject), gradient_by_lag(scaled), strict=True):
        assert other.norms == pytest.approx(one.norms, rel=1e-10)
        assert other.share == pytest.approx(one.share, rel=1e-10)


def test_the_longest_lag_cuts_the_report_not_the_shares():
    subject = make_subject("lstm")
    (whole,), (cut,) = gradient_by_lag(subject), gradient_by_lag(subject, max_lag=2)
    assert len(cut.norms) == len(cut.share) == len(cut.low) == len(cut.num_rows) == 3
    assert (cut.share, cut.norms, cut.horizon_steps) == (whole.share[:3], whole.norms[:3], whole.horizon_steps)
    assert whole.num_rows == [4, 3, 3, 2, 2, 2]
    with pytest.raises(RecipeError, match=r"`max_lag` must not be negative. Received: -1."):
        gradient_by_lag(subject, max_lag=-1)


def test_a_cell_of_ones_own_without_recurrent_weights():
    (found,) = gradient_by_lag(make_subject(Leaky(), last))
    assert found.norms[0] == pytest.approx(3.0)  # its output is three times its state
    assert found.share[-1] == 0  # the first step of a row reads no state
    assert sum(found.share) == pytest.approx(1.0)


def test_nothing_is_disturbed():
    subject = make_subject("lstm", bidirectional=True, weight_dropout=0.5)
    stack = subject.stacks[0].train()
    noisy = replace(subject, loss=lambda output: torch.nn.functional.dropout(pooled(output), 0.5))
    weights = [weight.clone() for weight in stack.parameters()]
    generator = torch.get_rng_state()
    gradient_by_lag(noisy)
    assert torch.equal(torch.get_rng_state(), generator)
    assert stack.training
    assert all(weight.grad is None for weight in stack.parameters())
    assert all(torch.equal(*pair) for pair in zip(weights, stack.parameters(), strict=True))
    assert gradient_by_lag(subject) == gradient_by_lag(replace(subject, stacks=(stack.eval(),)))


def test_a_result_is_json_without_nan():
    subject = make_subject("elman", lambda output: last(output) * float("inf"))
    found = json.loads(json.dumps([each.to_dict() for each in gradient_by_lag(subject)], allow_nan=False))
    assert found[0]["layer"] == "layer 1"
    assert found[0]["norms"][0] is None or found[0]["norms"][0] == 0


def test_rows_without_a_step_are_refused():
    empty = Ragged.from_padded(torch.zeros(2, 0, 2, dtype=torch.float64))
    with pytest.raises(DataError, match=r"must have a row with at least one step. Received: none"):
        gradient_by_lag(replace(make_subject("gru"), inputs=empty))
