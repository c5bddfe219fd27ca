"""The textbook's sum over products of Jacobians is autograd's gradient, for every cell."""

from __future__ import annotations

import pytest
import torch

from ostinato import cells, nn
from ostinato.diagnostics import Subject
from ostinato.diagnostics.probe import outputs, traces
from ostinato.diagnostics.textbook import textbook_gradient
from ostinato.types import Ragged

LENGTHS = [3, 0, 5, 1]
CASES = [(name, {}) for name in cells.names()] + [("lstm", {"proj_size": 2}), ("gru", {"zoneout": 0.3})]


def make_subject(name: str, bidirectional: bool = False, num_layers: int = 1, **options) -> Subject:
    torch.manual_seed(0)
    stack = nn.RecurrentStack(
        name, 2, 3, num_layers, bidirectional=bidirectional, dtype=torch.float64, backend="reference", **options
    ).eval()
    with torch.no_grad():
        for weight in stack.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.3)
    rows = Ragged.from_padded(torch.randn(4, 5, 2, dtype=torch.float64), LENGTHS)
    mix = torch.randn(5 * 4, stack.output_size, dtype=torch.float64)

    def loss(output: Ragged) -> torch.Tensor:
        found = (output.values * mix[: len(output.values)]).sin().sum(1)
        zeros = torch.zeros(4, dtype=torch.float64)
        return zeros.index_add(0, output.sorted_indices[output.rows_index()], found)

    return Subject((stack,), rows, loss, per_step=True)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_sum_of_all_terms_is_the_gradient(name, options, bidirectional):
    subject = make_subject(name, bidirectional, **options)
    stack = subject.stacks[0]
    output, _ = stack(subject.inputs)
    suffixes = ("", "_reverse")[: 1 + bidirectional]
    parameters = [getattr(stack, f"weight_hh_l0{suffix}") for suffix in suffixes]
    *expected, to_output = torch.autograd.grad(subject.loss(output).sum(), [*parameters, output.values])
    (directions,) = traces(subject)
    for trace, part, gradient in zip(directions, to_output.chunk(len(directions), 1), expected, strict=True):
        rows = textbook_gradient(trace, trace.to_time(part))
        assert [len(row.weights) for row in rows] == LENGTHS
        found = sum(row.weights.sum(0) for row in rows)
        torch.testing.assert_close(found, gradient, rtol=1e-10, atol=1e-13)
        assert float(gradient.abs().max()) > 1e-3


@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_replayed_layers_are_the_stack(name, options):
    subject = make_subject(name, True, num_layers=2, **options)
    output, _ = subject.stacks[0](subject.inputs)
    layers = traces(subject)
    assert [trace.layer for layer in layers for trace in layer] == [
        "layer 1",
        "layer 1 reverse",
        "layer 2",
        "layer 2 reverse",
    ]
    torch.testing.assert_close(outputs(layers[-1]).values, output.values, rtol=1e-12, atol=1e-14)


def test_one_step_from_the_state_before_gives_the_state():
    for trace in traces(make_subject("lstm_layer_norm", True, zoneout=0.2))[0]:
        after = trace.step(trace.project(trace.inputs.values), trace.states_before())
        torch.testing.assert_close(after, trace.states.values, rtol=1e-12, atol=1e-14)
