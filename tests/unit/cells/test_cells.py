"""The cells' own contract: one step against torch.nn's cells, shapes, initial values, the registry."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch

from ostinato import cells
from ostinato.errors import PluginError, RecipeError

OWN = [name for name in cells.names() if type(cells.get(name)).__module__.startswith("ostinato.")]
TORCH_CELLS = {
    "elman": lambda *sizes: torch.nn.RNNCell(*sizes),
    "elman_relu": lambda *sizes: torch.nn.RNNCell(*sizes, nonlinearity="relu"),
    "gru": torch.nn.GRUCell,
    "lstm": torch.nn.LSTMCell,
}


def random_weights(cell: cells.Cell, *sizes: int, **options: object) -> dict[str, torch.Tensor]:
    weights = {n: torch.empty(s, dtype=torch.float64) for n, s in cell.parameter_shapes(*sizes, **options).items()}
    cell.initialise(weights, sizes[1])
    return weights


@pytest.mark.parametrize("name", TORCH_CELLS)
@pytest.mark.parametrize("hidden_size", [1, 17])
def test_one_step_is_that_of_torch(name, hidden_size):
    cell = cells.get(name)
    weights = random_weights(cell, 5, hidden_size)
    theirs = TORCH_CELLS[name](5, hidden_size).double()
    theirs.load_state_dict(weights)
    x = torch.randn(3, 5, dtype=torch.float64)
    state = tuple(torch.randn(3, hidden_size, dtype=torch.float64) for _ in cell.state_names)
    expected = theirs(x, state if len(state) > 1 else state[0])
    found = cell.step(cell.project(x, weights), state, weights)
    assert cell.output(found) is found[0]
    for ours, truth in zip(found, expected if isinstance(expected, tuple) else (expected,), strict=True):
        torch.testing.assert_close(ours, truth, rtol=1e-12, atol=1e-12)


EXTRA = {
    "elman_layer_norm": {"gain_ih": (25,), "gain_hh": (25,)},
    "gru_layer_norm": {"gain_ih": (75,), "gain_hh": (75,)},
    "lstm_peephole": {"peepholes": (75,)},
    "lstm_layer_norm": {"gain_ih": (100,), "gain_hh": (100,), "gain_c": (25,), "bias_c": (25,)},
}


@pytest.mark.parametrize("name", [name for name in OWN if name not in ("jordan", "output_recurrent")])
def test_shapes_and_initial_values(name):
    cell = cells.get(name)
    rows = len(cell.gates) * 25
    shapes = {"weight_ih": (rows, 3), "weight_hh": (rows, 25), "bias_ih": (rows,), "bias_hh": (rows,)}
    extra = EXTRA.get(name, {})
    assert list(cell.parameter_shapes(3, 25).items()) == [*shapes.items(), *extra.items()]
    assert list(cell.parameter_shapes(3, 25, bias=False)) == ["weight_ih", "weight_hh", *extra]
    assert cell.state_sizes(25) == (25,) * len(cell.state_names)
    for key, weight in random_weights(cell, 3, 25).items():
        if key.startswith("gain_") or key == "bias_c":
            assert (weight == (key != "bias_c")).all()
        else:
            assert 0.5 / math.sqrt(25) < weight.abs().max() <= 1 / math.sqrt(25)


@pytest.mark.parametrize("name", ["lstm_peephole", "lstm_layer_norm"])
def test_extra_weights_stand_after_the_projection(name):
    names = list(cells.get(name).parameter_shapes(3, 25, proj_size=2))
    assert names == ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", *EXTRA[name]]


def test_shapes_of_output_recurrence():
    shapes = {"weight_ih": (25, 3), "weight_hh": (25, 25), "bias_ih": (25,), "bias_hh": (25,), "weight_hr": (25, 25)}
    assert cells.get("jordan").parameter_shapes(3, 25) == shapes | {"bias_hr": (25,)}
    assert cells.get("output_recurrent").parameter_shapes(3, 25) == shapes
    narrow = {"weight_ih": (25, 3), "weight_hh": (25, 2), "bias_ih": (25,), "bias_hh": (25,), "weight_hr": (2, 25)}
    assert cells.get("jordan").parameter_shapes(3, 25, 2) == narrow | {"bias_hr": (2,)}
    back = {"weight_hh": (2, 2), "bias_hh": (2,)}
    assert cells.get("output_recurrent").parameter_shapes(3, 25, 2) == narrow | back
    assert list(cells.get("jordan").parameter_shapes(3, 25, bias=False)) == ["weight_ih", "weight_hh", "weight_hr"]


def test_what_comes_back_is_the_output_and_nothing_else():
    """With the output's weights at zero nothing of the past is left: what a hidden recurrence would still know."""
    for name in ("jordan", "output_recurrent"):
        cell = cells.get(name)
        weights = random_weights(cell, 3, 8, proj_size=2)
        weights["weight_hr"].zero_()
        x, state = torch.randn(4, 3, dtype=torch.float64), (torch.zeros(4, 2, dtype=torch.float64),)
        first = cell.step(cell.project(x, weights), state, weights)
        again = cell.step(cell.project(torch.randn_like(x), weights), state, weights)
        torch.testing.assert_close(first, again)


def test_projection():
    cell = cells.get("lstm")
    weights = random_weights(cell, 3, 8, proj_size=2)
    assert {name: tuple(weight.shape) for name, weight in weights.items() if name != "weight_ih"} == {
        "weight_hh": (32, 2),
        "bias_ih": (32,),
        "bias_hh": (32,),
        "weight_hr": (2, 8),
    }
    assert cell.state_sizes(8, 2) == (2, 8)
    x = torch.randn(4, 3, dtype=torch.float64)
    h, c = cell.step(cell.project(x, weights), (x.new_zeros(4, 2), x.new_zeros(4, 8)), weights)
    assert (h.shape, c.shape) == ((4, 2), (4, 8))


def test_gate_names_are_in_torch_order():
    gates = {"elman": ("h",), "jordan": ("h",), "output": ("h",), "gru": ("r", "z", "n"), "lstm": ("i", "f", "g", "o")}
    assert {name: cells.get(name).gates for name in OWN} == {name: gates[name.split("_")[0]] for name in OWN}


def test_the_registered_cells():
    assert OWN == [
        "elman", "elman_layer_norm", "elman_relu", "gru", "gru_layer_norm", "gru_reset_before", "jordan",
        "lstm", "lstm_layer_norm", "lstm_peephole", "output_recurrent",
    ]  # fmt: skip
    assert cells.Elman(relu=True, layer_norm=True).name == "elman_relu_layer_norm"


def test_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(RecipeError) as error:
        cells.get("lsmt")
    assert str(error.value) == (
        f"`cell` must be one of {', '.join(cells.names())}. Received: 'lsmt'.\nhint: did you mean lstm?"
    )


def test_a_name_is_taken_once():
    twice = "`gru` is registered twice in `ostinato.cells`: by ostinato.cells.gru and by ostinato.cells.gru"
    with pytest.raises(PluginError, match=twice):
        cells.register(cells.Gru())


def test_options_that_exclude_each_other():
    with pytest.raises(RecipeError) as error:
        cells.Gru(reset_after=False, layer_norm=True)
    assert str(error.value) == "`reset_after` must be True with `layer_norm`. Received: False."
    with pytest.raises(RecipeError) as error:
        cells.Lstm(peepholes=True, layer_norm=True)
    assert str(error.value) == "`peepholes` must be False with `layer_norm`. Received: True."


def test_the_page_of_cells_lists_them_all():
    page = Path(__file__).parents[3] / "docs" / "concepts" / "cells.md"
    table = page.read_text(encoding="utf-8").partition("Names in a layer")[0]
    listed = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert sorted(listed) == OWN


@pytest.mark.parametrize("name", OWN)
def test_gates_are_told_by_every_cell_that_a_kernel_knows(name):
    cell = cells.get(name)
    weights = random_weights(cell, 3, 5)
    x = torch.randn(4, 3, dtype=torch.float64)
    state = tuple(torch.randn(4, size, dtype=torch.float64) for size in cell.state_sizes(5))
    gates = cell.gate_values(cell.project(x, weights), state, weights)
    assert (gates is None) == (cell.native is None)
    assert gates is None or {name: gate.shape for name, gate in gates.items()} == dict.fromkeys(cell.gates, (4, 5))
