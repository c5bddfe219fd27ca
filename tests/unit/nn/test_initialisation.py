"""What an initialisation promises: isometry, identity, time constants; and nothing changed unless asked."""

from __future__ import annotations

import math

import pytest
import torch

from ostinato import cells, nn
from ostinato.errors import RecipeError
from ostinato.recipe import build_recipe
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.recipe import LanguageModelRecipe


def blocks(stack: nn.RecurrentStack) -> list[torch.Tensor]:
    return [
        block
        for name, weight in stack.named_parameters()
        if name.startswith("weight_hh")
        for block in weight.detach().split(stack.hidden_size)
    ]


def gate(stack: nn.RecurrentStack, name: str) -> torch.Tensor:
    """The two biases of a gate added up, of every layer and direction, one after the other."""
    index = stack.cell.gates.index(name)
    parameters = dict(stack.named_parameters())
    return torch.cat(
        [
            (parameters[full] + parameters[full.replace("bias_ih", "bias_hh")])
            .detach()
            .chunk(len(stack.cell.gates))[index]
            for full in parameters
            if full.startswith("bias_ih")
        ]
    )


@pytest.mark.parametrize("name", cells.names())
def test_every_block_of_every_cell_is_orthogonal(name: str) -> None:
    torch.manual_seed(0)
    stack = nn.build(name, 3, 8, num_layers=2, bidirectional=True).double()
    before = {key: weight.clone() for key, weight in stack.state_dict().items()}
    nn.recurrent_init(stack, "orthogonal")
    found = blocks(stack)
    assert len(found) == 4 * len(stack.cell.gates)
    for block in found:
        torch.testing.assert_close(block.T @ block, torch.eye(8, dtype=torch.float64))
    assert len({block.sum().item() for block in found}) == len(found)
    assert all(torch.equal(value, before[key]) for key, value in stack.state_dict().items() if "weight_hh" not in key)


def test_a_projection_has_orthonormal_columns() -> None:
    stack = nn.build("lstm", 3, 8, proj_size=5).double()
    nn.recurrent_init(stack, "orthogonal")
    for block in blocks(stack):
        torch.testing.assert_close(block.T @ block, torch.eye(5, dtype=torch.float64))


def test_with_the_identity_relu_units_without_input_stay_as_they_are_for_ever() -> None:
    stack = nn.build("elman_relu", 2, 6, bidirectional=True)
    nn.recurrent_init(stack, "identity")
    start = torch.rand(2, 3, 6)
    _, end = stack(torch.zeros(500, 3, 2), start)
    assert torch.equal(end, start)


@pytest.mark.parametrize("name", cells.names())
def test_the_default_is_torch_s_bit_for_bit(name: str) -> None:
    torch.manual_seed(4)
    plain = nn.build(name, 3, 8)
    torch.manual_seed(4)
    asked = nn.build(name, 3, 8)
    nn.recurrent_init(asked, "default")
    assert all(map(torch.equal, plain.state_dict().values(), asked.state_dict().values()))


@pytest.mark.parametrize(("ours", "theirs"), [("elman", "RNN"), ("gru", "GRU"), ("lstm", "LSTM")])
def test_a_recipe_that_asks_for_nothing_draws_what_torch_draws(ours: str, theirs: str) -> None:
    torch.manual_seed(4)
    model = LanguageModel(LanguageModelRecipe(cell=ours, embedding_dim=3, hidden_size=8), vocab_size=9)
    torch.manual_seed(4)
    torch.nn.Embedding(9, 3)
    reference = getattr(torch.nn, theirs)(3, 8).state_dict()
    assert all(torch.equal(value, reference[name]) for name, value in model.encoder.layers[0].state_dict().items())


@pytest.mark.parametrize(("name", "keeps"), [("lstm", "f"), ("lstm_layer_norm", "f"), ("gru", "z")])
def test_forget_bias_sets_the_gate_that_keeps_and_no_other(name: str, keeps: str) -> None:
    stack = nn.build(name, 3, 8, num_layers=2)
    others = {other: gate(stack, other) for other in stack.cell.gates if other != keeps}
    nn.forget_bias(stack, 1.5)
    assert gate(stack, keeps).tolist() == [1.5] * 16
    assert all(torch.equal(gate(stack, other), value) for other, value in others.items())


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_a_large_forget_bias_keeps_the_state(name: str) -> None:
    """The sign: what begins in the cell is still there after 50 steps."""
    torch.manual_seed(0)
    stack = nn.build(name, 3, 8)
    nn.forget_bias(stack, 30.0)
    if name == "lstm":
        with torch.no_grad():  # shut the input gate, which would add to what is kept
            stack.bias_ih_l0[:8] = -30.0
    start = tuple(torch.rand(1, 2, 8) for _ in stack.cell.state_names)
    _, end = stack(torch.rand(50, 2, 3), start if len(start) > 1 else start[0])
    torch.testing.assert_close(end[1] if isinstance(end, tuple) else end, start[-1], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("name", "keeps"), [("lstm", "f"), ("lstm_peephole", "f"), ("gru", "z"), ("gru_layer_norm", "z")]
)
def test_chrono_spreads_time_constants_evenly(name: str, keeps: str) -> None:
    torch.manual_seed(0)
    stack = nn.build(name, 1, 500, num_layers=2, bidirectional=True).double()
    nn.chrono(stack, 1000)
    bias = gate(stack, keeps)
    assert len(bias) == 2000
    steps = -1 / torch.log(torch.sigmoid(bias))  # U[1, 999] + 1/2
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert abs(steps.quantile(share).item() - 1000 * share) < 45  # four standard errors
    assert math.log(1) <= bias.min()
    assert bias.max() <= math.log(999)
    if keeps == "f":
        assert torch.equal(gate(stack, "i"), -bias)


def test_recipe_applies_them_to_every_layer() -> None:
    recipe = LanguageModelRecipe(cell="lstm", hidden_size=6, num_layers=2, recurrent_init="orthogonal", chrono=50)
    for layer in LanguageModel(recipe, vocab_size=9).encoder.layers:
        for block in blocks(layer):
            torch.testing.assert_close(block.T @ block, torch.eye(6))
        assert torch.equal(gate(layer, "i"), -gate(layer, "f"))


def test_what_can_t_be_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"`recurrent_init` must be one of .* Received: 'orthogonl'"):
        nn.recurrent_init(nn.build("gru", 3, 4), "orthogonl")
    with pytest.raises(RecipeError, match=r"identity needs `proj_size` = 0. Received: 2"):
        nn.recurrent_init(nn.build("lstm", 3, 4, proj_size=2), "identity")
    with pytest.raises(RecipeError, match=r"`chrono` does not apply to the cell `elman`.*Received: 100") as caught:
        nn.chrono(nn.build("elman", 3, 4), 100)
    assert caught.value.hint is not None
    assert "gru, " in caught.value.hint
    with pytest.raises(RecipeError, match=r"`forget_bias`.*`elman_relu`: it has no gate that keeps the state"):
        nn.forget_bias(nn.build("elman_relu", 3, 4), 1.0)
    with pytest.raises(RecipeError, match="`chrono` needs `bias` = True"):
        nn.chrono(nn.build("gru", 3, 4, bias=False), 100)
    with pytest.raises(RecipeError, match=r"`chrono` must be an integer of at least 3 steps. Received: 2"):
        nn.chrono(nn.build("gru", 3, 4), 2)
    with pytest.raises(RecipeError, match=r"`model.chrono`.*`model.forget_bias` set the same biases.*100 and 1"):
        build_recipe({"model": {"chrono": 100, "forget_bias": 1.0}})
    with pytest.raises(RecipeError, match=r"model.recurrent_init"):
        build_recipe({"model": {"recurrent_init": "unitary"}})
