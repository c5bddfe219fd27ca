"""``return_all_states``: every tensor of the state, at every step, of the kind of the input."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from ostinato import cells, nn
from ostinato.types import Ragged

LENGTHS = [2, 0, 5, 1, 5]
H = 4


def make_layer(name: str, **options) -> nn.RecurrentStack:
    torch.manual_seed(0)
    layer = nn.RecurrentStack(name, 3, H, 2, bidirectional=True, dtype=torch.float64, **options)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.1)
    return layer


def as_tuple(state):
    return state if isinstance(state, tuple) else (state,)


@pytest.mark.parametrize("name", cells.names())
def test_the_last_step_is_the_final_state_and_an_empty_row_has_none(name):
    layer = make_layer(name, zoneout=0.3)
    x = torch.randn(5, 5, 3, dtype=torch.float64)
    ragged = Ragged.from_padded(x, LENGTHS)
    output, state, every = layer(ragged, return_all_states=True)
    assert [len(parts) for parts in every] == [len(layer.cell.state_names)] * 2
    assert torch.equal(every[-1][0].values, output.values)
    for number, parts in enumerate(every):
        for part, final in zip(parts, as_tuple(state), strict=True):
            assert isinstance(part, Ragged)
            assert part.lengths is ragged.lengths
            for row, steps in enumerate(part.split_rows()):
                assert steps.shape == (LENGTHS[row], 2 * H)
                if LENGTHS[row]:
                    assert torch.equal(steps[-1, :H], final[2 * number, row])
                    assert torch.equal(steps[0, H:], final[2 * number + 1, row])


@pytest.mark.parametrize("zoneout", [0.0, 0.3])
@pytest.mark.parametrize("name", cells.names())
def test_every_step_is_the_final_state_of_the_row_cut_there(name, zoneout):
    torch.manual_seed(0)
    layer = nn.RecurrentStack(name, 3, H, 2, dtype=torch.float64, zoneout=zoneout).eval()
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    _, _, every = layer(x, return_all_states=True)
    for step in range(6):
        state = as_tuple(layer(x[: step + 1])[1])
        for number, parts in enumerate(every):
            for part, final in zip(parts, state, strict=True):
                torch.testing.assert_close(part[step], final[number], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_every_kind_of_input_gets_its_own_kind_back(name):
    layer = make_layer(name, batch_first=True)
    x = torch.randn(5, 5, 3, dtype=torch.float64)
    truth = layer(Ragged.from_padded(x, LENGTHS), return_all_states=True)[2]
    padded = layer(x, lengths=LENGTHS, return_all_states=True)[2]
    one = layer(x[2, :5], return_all_states=True)[2]
    kept = [row for row, length in enumerate(LENGTHS) if length]
    rows = [x[row, : LENGTHS[row]] for row in kept]
    packed = layer(pack_sequence(rows, enforce_sorted=False), return_all_states=True)[2]
    dense = layer(x, return_all_states=True)[2]
    for number, parts in enumerate(truth):
        for which, part in enumerate(parts):
            by_row = part.split_rows()
            assert torch.equal(padded[number][which], part.to_padded()[0])
            torch.testing.assert_close(one[number][which], by_row[2])
            assert isinstance(packed[number][which], PackedSequence)
            for row, found in zip(kept, Ragged.from_packed(packed[number][which]).split_rows(), strict=True):
                torch.testing.assert_close(found, by_row[row])
            assert dense[number][which].shape == (5, 5, 2 * H)
            torch.testing.assert_close(dense[number][which][4], by_row[4])


@pytest.mark.parametrize("shape", [(0, 2, 3), (4, 0, 3)])
def test_no_steps_or_no_rows(shape):
    output, _, every = make_layer("lstm")(torch.zeros(shape, dtype=torch.float64), return_all_states=True)
    assert output.shape == (*shape[:2], 2 * H)
    assert [[part.shape for part in parts] for parts in every] == [[output.shape] * 2] * 2


def test_a_batch_of_empty_rows():
    layer = make_layer("lstm_layer_norm")
    output, _, every = layer(torch.zeros(3, 2, 3).double(), lengths=[0, 0], return_all_states=True)
    assert all(torch.equal(part, torch.zeros_like(output)) for parts in every for part in parts)


def test_the_first_is_the_output_before_the_dropout_between_layers():
    torch.manual_seed(0)
    layer = nn.GRU(3, 50, num_layers=2, dropout=0.5)
    x = torch.randn(4, 2, 3)
    _, h_n, every = layer(x, return_all_states=True)
    assert (every[0][0] != 0).all()
    assert torch.equal(every[0][0][-1], h_n[0])


def test_the_projected_state_has_its_own_size():
    layer = nn.LSTM(3, 4, proj_size=2, bidirectional=True)
    _, _, [(h, c)] = layer(torch.zeros(5, 2, 3), return_all_states=True)
    assert (h.shape, c.shape) == ((5, 2, 4), (5, 2, 8))


def test_gradients_come_through():
    layer = make_layer("lstm_peephole")
    x = torch.randn(4, 2, 3, dtype=torch.float64)

    def cells_of_the_first_layer(x):
        return layer(x, return_all_states=True)[2][0][1]

    assert torch.autograd.gradcheck(cells_of_the_first_layer, (x.requires_grad_(),))


def test_without_it_two_things_come_back():
    assert len(make_layer("lstm")(torch.zeros(5, 2, 3).double())) == 2
