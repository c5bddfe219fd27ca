"""Gates against the steps they are part of; time constants, dead units and states that are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ostinato import cells, nn
from ostinato.cells import Cell, Weights
from ostinato.diagnostics import Subject, layer_activations
from ostinato.nn import RecurrentStack
from ostinato.types import Ragged, State


def _subject(stack: RecurrentStack, lengths: tuple[int, ...] = (9, 4, 7)) -> Subject:
    random = torch.Generator().manual_seed(0)
    padded = torch.randn(len(lengths), max(lengths), stack.input_size, generator=random, dtype=torch.float64)
    rows = Ragged.from_padded(padded, lengths)
    return Subject((stack,), rows, lambda output: output.select_last().sum(1), per_step=False)


def _case(name: str) -> tuple[Cell, Tensor, State, Weights]:
    torch.manual_seed(0)
    cell = cells.get(name)
    shapes = cell.parameter_shapes(3, 5)
    weights = {key: torch.randn(shape, dtype=torch.float64) for key, shape in shapes.items()}
    state = tuple(torch.randn(6, size, dtype=torch.float64) for size in cell.state_sizes(5))
    return cell, cell.project(torch.randn(6, 3, dtype=torch.float64), weights), state, weights


@pytest.mark.parametrize("name", ["lstm", "lstm_peephole", "lstm_layer_norm"])
def test_gates_of_an_lstm_make_its_step(name: str) -> None:
    cell, x, (h, c), weights = _case(name)
    gates = cell.gate_values(x, (h, c), weights)
    assert gates is not None
    assert tuple(gates) == cell.gates
    after_h, after_c = cell.step(x, (h, c), weights)
    torch.testing.assert_close(gates["f"] * c + gates["i"] * gates["g"], after_c)
    if name != "lstm_layer_norm":
        torch.testing.assert_close(gates["o"] * after_c.tanh(), after_h)


@pytest.mark.parametrize("name", ["gru", "gru_reset_before", "gru_layer_norm"])
def test_gates_of_a_gru_make_its_step(name: str) -> None:
    cell, x, (h,), weights = _case(name)
    gates = cell.gate_values(x, (h,), weights)
    assert gates is not None
    assert tuple(gates) == cell.gates
    torch.testing.assert_close((1 - gates["z"]) * gates["n"] + gates["z"] * h, cell.step(x, (h,), weights)[0])


def test_time_constants_of_a_forget_gate_that_is_known() -> None:
    stack = nn.LSTM(2, 3, dtype=torch.float64)
    with torch.no_grad():
        for weight in stack.parameters():
            weight.zero_()
        dict(stack.named_parameters())["bias_ih_l0"][3:6] = torch.tensor([0.0, 3.0, 800.0])
    (found,) = layer_activations(_subject(stack))
    assert found.keeping_gate == "f"
    assert found.time_constants is not None
    assert found.time_constants[0] == pytest.approx(1 / math.log(2))
    assert found.time_constants[2] == pytest.approx(-1 / math.log(1 / (1 + math.exp(-3))))
    assert found.time_constants[4] is None  # a gate of exactly one keeps for ever
    (gate,) = (each for each in found.gates if each.gate == "f")
    assert (gate.activation, gate.low, gate.high) == ("sigmoid", 0.0, pytest.approx(2 / 3))
    assert found.dead_units == [0, 1, 2]  # i g = 0.5 * 0: nothing ever gets in
    assert found.dead_share == 1.0


def test_dead_units_are_found_by_number() -> None:
    torch.manual_seed(0)
    stack = nn.RNN(2, 4, dtype=torch.float64)
    with torch.no_grad():
        dict(stack.named_parameters())["weight_ih_l0"][2] = 0.0
        dict(stack.named_parameters())["weight_hh_l0"][2] = 0.0
    (found,) = layer_activations(_subject(stack))
    assert found.dead_units == [2]
    assert found.keeping_gate is None
    assert found.time_constants is None
    assert found.gates[0].activation == "tanh"


def test_saturation_and_state_sizes_of_a_row() -> None:
    stack = nn.RNN(1, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        dict(stack.named_parameters())["weight_ih_l0"].fill_(1.0)
        dict(stack.named_parameters())["weight_hh_l0"].zero_()
    values = torch.tensor([[[9.0], [-9.0], [0.0], [0.5]]], dtype=torch.float64)
    rows = Ragged.from_padded(values)
    (found,) = layer_activations(Subject((stack,), rows, lambda output: output.select_last().sum(1), per_step=False))
    (gate,) = found.gates
    assert (gate.low, gate.high, gate.saturated) == (0.25, 0.25, 0.5)
    assert found.steps == [1, 2, 3, 4]
    assert found.state_rms["h"] == pytest.approx([1.0, 1.0, 0.0, math.tanh(0.5)], abs=1e-6)


def test_directions_and_layers_are_told_apart() -> None:
    torch.manual_seed(0)
    stack = nn.GRU(2, 3, num_layers=2, bidirectional=True, dtype=torch.float64)
    names = [found.layer for found in layer_activations(_subject(stack))]
    assert names == ["layer 1", "layer 1 reverse", "layer 2", "layer 2 reverse"]


class _Own(Cell):
    """h = tanh(x + h) with a gate that it does not tell."""

    name = "own"
    gates = ("u",)

    def step(self, x_projected: Tensor, state: State, weights: Weights, mask: Tensor | None = None) -> State:
        return (torch.tanh(x_projected + state[0]),)


class _Telling(_Own):
    name = "telling"

    def gate_values(self, x_projected: Tensor, state: State, weights: Weights) -> dict[str, Tensor]:
        return {"u": torch.sigmoid(x_projected + state[0])}


def test_a_cell_of_ones_own_gets_what_can_be_computed() -> None:
    torch.manual_seed(0)
    (found,) = layer_activations(_subject(RecurrentStack(_Own(), 2, 3, dtype=torch.float64)))
    assert found.gates == []
    assert found.note == "the cell `own` gives no gate values (`Cell.gate_values`)."
    assert found.state_rms["h"][0] > 0
    (told,) = layer_activations(_subject(RecurrentStack(_Telling(), 2, 3, dtype=torch.float64)))
    assert [(gate.gate, gate.activation) for gate in told.gates] == [("u", "sigmoid")]
    assert told.note is None


def test_a_step_of_ones_own_is_not_taken_for_the_one_it_replaces() -> None:
    class Other(cells.Lstm):
        def step(self, x_projected: Tensor, state: State, weights: Weights, mask: Tensor | None = None) -> State:
            return state

    _, x, state, weights = _case("lstm")
    assert Other().gate_values(x, state, weights) is None
    assert (Other().native, Other().torch_name) == (None, None)
    assert type("Named", (cells.Lstm,), {"title": "another name"})().native == cells.get("lstm").native
