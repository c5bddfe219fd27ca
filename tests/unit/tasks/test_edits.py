"""Bounds of interventions, and rows with a gate changed that are read side by side."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch

from ostinato.errors import RecipeError
from ostinato.nn.carried import CarriedLayers
from ostinato.nn.stack import RecurrentStack
from ostinato.serving.session import Event
from ostinato.tasks.edited_layers import EditedLayers, gated_step
from ostinato.tasks.intervening import Edit, Edits, edits_of
from ostinato.tasks.streaming import Steps


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("layer 1.c = 1e999", "an intervention's number is at most 3.4e+38. Received: 'layer 1.c = 1e999'"),
        ("layer 1.c = -1e300", "is at most 3.4e"),
        ("layer 1.h *= 4e38", "is at most 3.4e"),
        ({"layer 1.c[3]": 1e300}, "is at most 3.4e"),
        ("layer 1.c[0:9999999999] = 0", "name at most 65,536 units; .* Received: 9,999,999,999"),
        ("layer 1.c[5, 1:65537] = 0", "name at most 65,536 units; .* Received: 65,537"),
        (["layer 1.c[0:40000] = 0"] * 2, "name at most 65,536 units; .* Received: 80,000"),
        ("a" + " " * 200 + "!", "an intervention has at most 200 characters. Received: 202"),
        ({"a" * 190: "= 0.000000001"}, "an intervention has at most 200 characters"),
        (["layer 1.c[0] = 1"] * 65, "at most 64 interventions at once were expected. Received: 65"),
        ({f"layer 1.c[{unit}]": 0 for unit in range(65)}, "at most 64 interventions"),
        ("layer  1.c = 0", "an intervention is spelled"),  # blanks that may stand anywhere are tried everywhere
    ],
)
def test_what_is_more_than_an_intervention_may_be_is_refused(given: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message.replace("+", r"\+")):
        edits_of(given)


def test_the_largest_interventions_are_taken() -> None:
    found = edits_of(["layer 1.c [ 0:1000 ] *= 3.4e38 from 5", "layer 1 reverse.c = layer 1 reverse.c [3]"] * 32)
    assert len(found) == 64
    assert found[0].units == tuple(range(1000))
    assert found[1].source == ("layer 1 reverse.c", 3)


def test_edits_take_about_the_bytes_that_are_counted() -> None:
    values = np.zeros(1, "float32")
    texts = [f"layer 1.c[{unit}:{unit + 300}] *= 0.5{unit}" for unit in range(64)]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        edits = edits_of(texts)
        real = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    counted = Event(1, Steps(values, edits)).num_bytes - Event(1, Steps(values)).num_bytes
    assert real < counted < 4 * real


@pytest.mark.parametrize("cell", ["lstm", "gru", "lstm_peephole"])
def test_a_row_with_a_gate_changed_is_to_the_bit_what_it_is_alone(cell: str) -> None:
    torch.manual_seed(0)
    stack = RecurrentStack(cell, 8, 64).eval().double()  # in float64 sums of another order show
    with torch.no_grad():
        for one in stack.parameters():
            one.mul_(12)  # gates that are all but closed take several passes
    carried = CarriedLayers([stack])
    sizes, gate = tuple(carried.sizes[0]), str(stack.cell.keeping_gate)
    rows = [torch.randn(length, 8).double() * 3 for length in (9, 12, 12, 4)]
    states = torch.zeros(len(rows), carried.state_size).double()
    for change in ("[0:32] = 0.5", " *= 0.5"):
        edits = Edits([Edit.of(f"layer 1.{gate}{change}")], [(stack.cell, sizes, 64)])
        layers = EditedLayers([stack], [carried], None, edits)
        with torch.inference_mode():
            together, after = layers.run(rows, states)
            for number, row in enumerate(rows):
                (alone,), state = layers.run([row], states[:1])
                assert torch.equal(alone, together[number])
                assert torch.equal(state[0], after[number])


def test_a_changed_row_is_corrected_until_it_is_near_and_no_further() -> None:
    """So what is near already moves no more, whatever stands beside it."""
    torch.manual_seed(0)
    stack = RecurrentStack("lstm", 8, 64).eval()
    with torch.no_grad():
        for one in stack.parameters():
            one.mul_(12)
    weights = {name: one.detach().double() for name, one in zip(_names(stack), stack.all_weights[0], strict=True)}
    gates = [("f", list(range(64)), Edit.of("layer 1.f = 0.5"))]
    sums = stack.cell.project(torch.randn(6, 8).double() * 3, weights)
    state = tuple(torch.randn(6, 64).double() for _ in range(2))
    with torch.inference_mode():
        found = gated_step(stack, gates, sums, state, weights)
        for row in range(6):
            alone = gated_step(stack, gates, sums[row : row + 1], tuple(one[row : row + 1] for one in state), weights)
            for one, other in zip(alone, found, strict=True):
                torch.testing.assert_close(one[0], other[row], rtol=0, atol=1e-12)


def _names(stack: RecurrentStack) -> list[str]:
    return list(stack.cell.parameter_shapes(stack.input_size, stack.hidden_size, stack.proj_size, stack.bias))
