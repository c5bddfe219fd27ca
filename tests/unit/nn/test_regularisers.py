"""Recurrent dropout, weight dropout, zoneout: what is drawn, how often, and what evaluation does."""

from __future__ import annotations

import pytest
import torch

from ostinato import cells, nn
from ostinato.errors import RecipeError
from ostinato.kernels import dispatch
from ostinato.types import Ragged

LENGTHS = [2, 0, 6, 1]
ALL = {"recurrent_dropout": 0.4, "weight_dropout": 0.4, "zoneout": 0.4}


class Probe(cells.Cell):
    """Its state is the sum of the masks, or of the first column of weight_hh, that its steps have seen."""

    name = "probe"
    gates = ("h",)

    def __init__(self, weights: bool = False) -> None:
        self.weights = weights

    def step(self, x_projected, state, weights, mask=None):
        if self.weights:
            return (state[0] + weights["weight_hh"][:, 0],)
        return (state[0] + (1.0 if mask is None else mask),)


class Count(cells.Cell):
    """Two counters of steps."""

    name = "count"
    gates = ("h",)
    state_names = ("h", "c")

    def step(self, x_projected, state, weights):
        return state[0] + 1, state[1] + 1


def ragged(features: int = 3) -> Ragged:
    return Ragged.from_offsets(torch.zeros(sum(LENGTHS), features), torch.tensor([0, *LENGTHS]).cumsum(0))


def masks(layer: nn.RecurrentStack, batch: Ragged) -> torch.Tensor:
    """The mask of each row that has a step, (rows, D*H), after checking that all its steps had the same."""
    rows = [row for row in layer(batch)[0].split_rows() if len(row)]
    for row in rows:
        first = row[0].view(layer.num_directions, -1)[0]
        torch.testing.assert_close(row[:, : len(first)], first * torch.arange(1, len(row) + 1).unsqueeze(1))
    return torch.stack([torch.cat([row[0, : layer.hidden_size], row[-1, layer.hidden_size :]]) for row in rows])


def test_recurrent_dropout_has_one_mask_a_row_direction_and_call():
    torch.manual_seed(0)
    layer = nn.RecurrentStack(Probe(), 3, 400, bidirectional=True, recurrent_dropout=0.25)
    found = masks(layer, ragged())
    torch.testing.assert_close(found.unique(), torch.tensor([0.0, 4 / 3]))
    assert 0.2 < (found == 0).float().mean() < 0.3
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[:, :400], found[:, 400:])
    assert not torch.equal(masks(layer, ragged()), found)


def test_recurrent_dropout_differs_between_layers():
    torch.manual_seed(0)
    layer = nn.RecurrentStack(Probe(), 3, 40, num_layers=2, recurrent_dropout=0.5)
    _, _, every = layer(torch.zeros(1, 2, 3), return_all_states=True)
    assert not torch.equal(every[0][0], every[1][0])


def test_the_mask_does_not_depend_on_the_packing():
    layer = nn.LSTM(3, 8, recurrent_dropout=0.5, batch_first=True)
    x = torch.randn(4, 6, 3)
    torch.manual_seed(3)
    padded = layer(x)[0]
    torch.manual_seed(3)
    output = layer(Ragged.from_padded(x, LENGTHS))[0]
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(output.split_rows()[row], padded[row, :length])


def test_weight_dropout_is_one_draw_a_direction_and_call():
    torch.manual_seed(0)
    layer = nn.RecurrentStack(Probe(weights=True), 3, 400, bidirectional=True, weight_dropout=0.25)
    with torch.no_grad():
        layer.weight_hh_l0.fill_(3.0)
        layer.weight_hh_l0_reverse.fill_(3.0)
    found = masks(layer, ragged())
    torch.testing.assert_close(found.unique(), torch.tensor([0.0, 4.0]))
    assert 0.2 < (found == 0).float().mean() < 0.3
    assert torch.equal(found[0], found[1]), "all rows of a call share their weights"
    assert not torch.equal(found[:, :400], found[:, 400:])
    assert not torch.equal(masks(layer, ragged()), found)
    assert (layer.weight_hh_l0 == 3).all()
    layer.eval()
    assert (masks(layer, ragged()) == 3).all()


def test_weight_dropout_leaves_the_parameter_in_place_and_masks_its_gradient():
    torch.manual_seed(0)
    layer = nn.GRU(3, 20, weight_dropout=0.5)
    assert list(layer.state_dict()) == list(nn.GRU(3, 20).state_dict())
    layer(torch.randn(5, 2, 3))[0].sum().backward()
    assert 0.3 < (layer.weight_hh_l0.grad == 0).float().mean() < 0.7
    assert (layer.weight_ih_l0.grad != 0).all()


def test_weight_dropout_of_one_is_a_layer_without_recurrent_weights():
    torch.manual_seed(0)
    layer, x = nn.LSTM(3, 4, weight_dropout=1.0), torch.randn(5, 2, 3)
    found = layer(x)[0]
    with torch.no_grad():
        layer.weight_hh_l0.zero_()
    assert torch.equal(found, layer.eval()(x)[0])


def test_recurrent_dropout_of_one_is_that_too():
    torch.manual_seed(0)
    x = torch.randn(5, 2, 3)
    for layer in (nn.LSTM(3, 4, recurrent_dropout=1.0), nn.GRU(3, 4, recurrent_dropout=1.0, reset_after=False)):
        found = layer(x)[0]
        with torch.no_grad():
            layer.weight_hh_l0.zero_()
        torch.testing.assert_close(found, layer.eval()(x)[0])


@pytest.mark.parametrize("name", cells.names())
@pytest.mark.parametrize("training", [True, False])
def test_zoneout_of_one_keeps_the_state(name, training):
    layer = nn.build(name, 3, 4, bidirectional=True, zoneout=1.0).train(training)
    hx = tuple(torch.randn(2, 3, 4) for _ in layer.cell.state_names)
    _, state = layer(torch.randn(5, 3, 3), hx if len(hx) > 1 else hx[0], lengths=[5, 0, 2])
    found = state if isinstance(state, tuple) else (state,)
    assert all(torch.equal(part, start) for part, start in zip(found, hx, strict=True))


def test_zoneout_draws_each_value_of_each_step():
    torch.manual_seed(0)
    layer = nn.RecurrentStack(Count(), 3, 500, zoneout=(0.25, 0.75))
    _, _, [(h, c)] = layer(torch.zeros(6, 3, 3), return_all_states=True)
    for found, p in ((h, 0.25), (c, 0.75)):
        steps = torch.diff(found, dim=0, prepend=torch.zeros(1, 3, 500))
        assert steps.unique().tolist() == [0.0, 1.0]
        shares = (steps == 0).float().mean((1, 2))
        assert ((shares - p).abs() < 0.06).all(), "every step has its own draw, with the probability asked for"
        assert 0 < (steps[0] != steps[1]).float().mean() < 1
        assert not torch.equal(steps[:, 0], steps[:, 1])
    again = layer(torch.zeros(6, 3, 3), return_all_states=True)[2][0][0]
    assert not torch.equal(again, h)


def test_zoneout_in_evaluation_is_the_expectation():
    torch.manual_seed(0)
    layer = nn.RecurrentStack(Count(), 3, 4000, zoneout=(0.25, 0.0))
    trained = layer(torch.zeros(4, 1, 3))[1]
    layer.eval()
    output, (h, c) = layer(torch.zeros(4, 1, 3))
    torch.testing.assert_close(output[:, 0, 0], 0.75 * torch.arange(1, 5))
    assert (c == 4).all()
    assert (trained[1] == 4).all()
    assert abs(float(trained[0].mean() - h.mean())) < 0.05


@pytest.mark.parametrize("option", ["recurrent_dropout", "weight_dropout"])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_dropout_costs_nothing_in_evaluation_or_at_zero(kind, option):
    layer = getattr(nn, kind)(3, 4, **{option: 0.5}).eval()
    plain = getattr(nn, kind)(3, 4, **{option: 0.0})
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(5, 2, 3)
    before = torch.get_rng_state()
    with dispatch.record() as ran:
        found, truth = layer(x)[0], plain(x)[0]
    assert torch.equal(found, truth)
    assert torch.equal(torch.get_rng_state(), before)
    assert ran[0] == ran[1]


@pytest.mark.parametrize("name", cells.names())
def test_a_seed_gives_the_same_draws(name):
    layer = nn.build(name, 3, 6, num_layers=2, bidirectional=True, dropout=0.2, **ALL)
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(layer(torch.ones(5, 2, 3))[0])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    found[0].sum().backward()
    assert all(weight.grad.isfinite().all() for weight in layer.parameters())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.GRU(3, 4, recurrent_dropout=1.5), "`recurrent_dropout` must be a probability from 0 to 1. Re"),
        (lambda: nn.GRU(3, 4, weight_dropout=-0.1), "`weight_dropout` must be a probability from 0 to 1. Received: -"),
        (lambda: nn.RNN(3, 4, zoneout=True), "`zoneout` must be a probability from 0 to 1. Received: True."),
        (lambda: nn.LSTM(3, 4, zoneout=(0.1, 2)), "`zoneout` must be a probability from 0 to 1. Received: 2."),
        (
            lambda: nn.LSTM(3, 4, zoneout=(0.1,)),
            "`zoneout` must be one probability, or one for each tensor of the state: h, c. Received: (0.1,).",
        ),
        (lambda: nn.GRU(3, 4, zoneout=()), "one for each tensor of the state: h. Received: ()."),
        (
            lambda: nn.RecurrentStack(Count(), 3, 4, recurrent_dropout=0.1),
            "`recurrent_dropout` does not apply to the cell `count`: its `step` takes no `mask: Tensor | None = None`",
        ),
        (lambda: nn.LSTM(3, 4, peepholes="yes"), "`peepholes` must be True or False. Received: 'yes'."),
        (lambda: nn.RNN(3, 4, layer_norm=1), "`layer_norm` must be True or False. Received: 1."),
        (lambda: nn.GRU(3, 4, reset_after=None), "`reset_after` must be True or False. Received: None."),
        (lambda: nn.GRU(3, 4, reset_after=False, layer_norm=True), "`reset_after` must be True with `layer_norm`."),
    ],
)
def test_texts_of_options_that_do_not_fit(make, message):
    with pytest.raises(RecipeError) as error:
        make()
    assert message in str(error.value)


def test_weight_dropout_needs_weights():
    class Weightless(Count):
        name = "weightless"

        def parameter_shapes(self, input_size, hidden_size, proj_size=0, bias=True):
            return {"weight_ih": (hidden_size, input_size)}

    with pytest.raises(RecipeError) as error:
        nn.RecurrentStack(Weightless(), 3, 4, weight_dropout=0.5)
    assert error.value.message == (
        "`weight_dropout` does not apply to the cell `weightless`: it has no `weight_hh`. Received: 0.5."
    )


@pytest.mark.parametrize(
    ("layer", "cell", "text"),
    [
        (lambda: nn.RNN(3, 4, layer_norm=True), "elman_layer_norm", "RNN(3, 4, layer_norm=True)"),
        (lambda: nn.LSTM(3, 4, peepholes=True), "lstm_peephole", "LSTM(3, 4, peepholes=True)"),
        (lambda: nn.LSTM(3, 4, layer_norm=True), "lstm_layer_norm", "LSTM(3, 4, layer_norm=True)"),
        (lambda: nn.GRU(3, 4, reset_after=False), "gru_reset_before", "GRU(3, 4, reset_after=False)"),
        (
            lambda: nn.GRU(3, 4, layer_norm=True, zoneout=0.1),
            "gru_layer_norm",
            "GRU(3, 4, zoneout=(0.1,), layer_norm=True)",
        ),
        (
            lambda: nn.build("lstm", 3, 4, recurrent_dropout=0.1, weight_dropout=0.2, zoneout=(0.3, 0)),
            "lstm",
            "RecurrentStack('lstm', 3, 4, recurrent_dropout=0.1, weight_dropout=0.2, zoneout=(0.3, 0.0))",
        ),
    ],
)
def test_options_choose_the_cell_and_are_printed(layer, cell, text):
    made = layer()
    assert made.cell.name == cell
    assert repr(made) == text
    same = nn.build(cell, 3, 4)
    assert list(made.state_dict()) == list(same.state_dict())
