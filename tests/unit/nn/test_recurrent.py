"""What RNN, LSTM and GRU add to torch.nn: lengths, Ragged, empty rows, poisoned padding, error texts."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from ostinato import nn
from ostinato.errors import RecipeError, ShapeError
from ostinato.kernels import dispatch
from ostinato.types import Ragged

KINDS = ("RNN", "LSTM", "GRU")
LENGTHS = [2, 0, 5, 1, 5]
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def make_layer(kind: str, **options) -> nn.RecurrentStack:
    torch.manual_seed(0)
    return getattr(nn, kind)(3, 4, num_layers=2, bidirectional=True, dtype=torch.float64, **options)


def as_tuple(state):
    return state if isinstance(state, tuple) else (state,)


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_padded_batch_is_its_rows_one_by_one(kind, batch_first, backend):
    layer = make_layer(kind, batch_first=batch_first, backend=backend)
    padded = torch.full((5, 7, 3), torch.nan, dtype=torch.float64)  # two steps that no row reaches
    for row, length in enumerate(LENGTHS):
        padded[row, :length] = torch.randn(length, 3)
    hx = tuple(torch.randn(4, 5, 4, dtype=torch.float64) for _ in layer.cell.state_names)
    source = (padded if batch_first else padded.transpose(0, 1)).requires_grad_()
    output, state = layer(source, hx if len(hx) > 1 else hx[0], lengths=LENGTHS)
    assert output.shape == ((5, 7, 8) if batch_first else (7, 5, 8))
    by_row = output if batch_first else output.transpose(0, 1)
    for row, length in enumerate(LENGTHS):
        assert (by_row[row, length:] == 0).all()
        one = tuple(part[:, row] for part in hx)
        expected, expected_state = layer(padded[row, :length], one if len(one) > 1 else one[0])
        torch.testing.assert_close(by_row[row, :length], expected, **CLOSE)
        for part, truth in zip(as_tuple(state), as_tuple(expected_state), strict=True):
            torch.testing.assert_close(part[:, row], truth, **CLOSE)
    empty = LENGTHS.index(0)
    assert all(torch.equal(part[:, empty], h[:, empty]) for part, h in zip(as_tuple(state), hx, strict=True))
    (output.sum() + sum(part.sum() for part in as_tuple(state))).backward()
    gradient = source.grad if batch_first else source.grad.transpose(0, 1)
    for row, length in enumerate(LENGTHS):
        assert (gradient[row, :length] != 0).all()
        assert (gradient[row, length:] == 0).all()
    assert all(weight.grad.isfinite().all() for weight in layer.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_ragged_in_ragged_out(kind):
    layer = make_layer(kind)
    rows = [torch.randn(length, 3, dtype=torch.float64) for length in LENGTHS]
    offsets = torch.tensor([0, *LENGTHS]).cumsum(0)
    ragged = Ragged.from_offsets(torch.cat(rows), offsets)
    output, state = layer(ragged)
    assert isinstance(output, Ragged)
    assert output.lengths is ragged.lengths
    padded, padded_state = layer(ragged.to_padded(batch_first=False)[0], lengths=torch.tensor(LENGTHS))
    torch.testing.assert_close(output.to_padded(batch_first=False)[0], padded, **CLOSE)
    torch.testing.assert_close(state, padded_state, **CLOSE)


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_empty_rows(kind, backend):
    layer = make_layer(kind, backend=backend)
    hx = tuple(torch.randn(4, 2, 4, dtype=torch.float64) for _ in layer.cell.state_names)
    output, state = layer(torch.full((3, 2, 3), torch.nan).double(), hx if len(hx) > 1 else hx[0], lengths=[0, 0])
    assert torch.equal(output, torch.zeros(3, 2, 8, dtype=torch.float64))
    assert all(torch.equal(part, h) for part, h in zip(as_tuple(state), hx, strict=True))
    ragged, _ = layer(Ragged.from_rows(torch.zeros(0, 3, dtype=torch.float64), [0, 0], [0, 0]))
    assert ragged.values.shape == (0, 8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_sequence_keeps_its_order(kind):
    layer = make_layer(kind)
    packed = pack_sequence([torch.randn(n, 3).double() for n in (1, 4, 2)], enforce_sorted=False)
    output, _ = layer(packed)
    assert output.sorted_indices is packed.sorted_indices
    assert output.batch_sizes is packed.batch_sizes


def test_dropout_acts_between_layers_while_training():
    layer = nn.GRU(3, 50, num_layers=2, dropout=1.0)
    x = torch.randn(4, 2, 3)
    dropped, h_n = layer(x)
    assert torch.equal(h_n[0], nn_first_layer(layer, x))
    from_zeros, _ = upper_layer(layer)(torch.zeros(4, 2, 50))
    torch.testing.assert_close(dropped, from_zeros)
    layer.eval()
    assert not torch.allclose(layer(x)[0], dropped)
    assert torch.equal(layer(x)[0], layer(x)[0])


def nn_first_layer(layer: nn.GRU, x: torch.Tensor) -> torch.Tensor:
    first = nn.GRU(3, 50)
    first.load_state_dict({key: value for key, value in layer.state_dict().items() if key.endswith("l0")})
    return first(x)[1][0]


def upper_layer(layer: nn.GRU) -> nn.GRU:
    upper = nn.GRU(50, 50)
    weights = {key.replace("l1", "l0"): value for key, value in layer.state_dict().items() if key.endswith("l1")}
    upper.load_state_dict(weights)
    return upper


def test_gradients_flow_in_evaluation_mode():
    layer = nn.LSTM(3, 4).eval()
    x = torch.randn(5, 2, 3, requires_grad=True)
    layer(x)[0].sum().backward()
    assert (x.grad != 0).all()


def test_weights_may_be_parametrised():
    layer = nn.LSTM(3, 4, backend="torch")
    torch.nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    layer(torch.randn(5, 2, 3))[0].sum().backward()
    assert layer.parametrizations.weight_hh_l0.original1.grad is not None


def test_build_makes_any_registered_cell():
    layer = nn.build("elman_relu", 3, 4, num_layers=2, bidirectional=True, backend="reference")
    assert repr(layer) == "RecurrentStack('elman_relu', 3, 4, num_layers=2, bidirectional=True, backend=reference)"
    assert layer.output_size == 8
    assert nn.build("lstm", 3, 4, proj_size=2).output_size == 2
    layer.flatten_parameters()
    with dispatch.record() as ran:
        layer(torch.zeros(2, 1, 3))
    assert ran == ["reference"] * 4


def test_dropout_with_one_layer_warns():
    with pytest.warns(UserWarning, match="`dropout` acts between layers, so it has no effect with one layer"):
        nn.LSTM(3, 4, dropout=0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.LSTM(3, -3), "`hidden_size` must be a positive integer. Received: -3."),
        (lambda: nn.LSTM(3.0, 4), "`input_size` must be a positive integer. Received: 3.0."),
        (lambda: nn.GRU(3, 4, num_layers=0), "`num_layers` must be a positive integer. Received: 0."),
        (lambda: nn.GRU(3, 4, 1, "tanh"), "`bias` must be True or False. Received: 'tanh'.\nhint: check the order of"),
        (lambda: nn.GRU(3, 4, 2, dropout=1.5), "`dropout` must be a probability from 0 to 1. Received: 1.5."),
        (lambda: nn.RNN(3, 4, nonlinearity="sin"), "`nonlinearity` must be tanh or relu. Received: 'sin'."),
        (lambda: nn.LSTM(3, 4, proj_size=4), "0 (none) to less than `hidden_size` = 4. Received: 4."),
        (
            lambda: nn.build("gru", 3, 4, proj_size=2),
            "`proj_size` does not apply to the cell `gru`: it has no projection. Received: 2.",
        ),
        (lambda: nn.build("grru", 3, 4), "hint: did you mean gru?"),
    ],
)
def test_texts_of_impossible_layers(make, message):
    with pytest.raises(RecipeError) as error:
        make()
    assert message in str(error.value)


LSTM = nn.LSTM(3, 4, num_layers=2)
X = torch.zeros(5, 2, 3)


@pytest.mark.parametrize(
    ("arguments", "lengths", "message"),
    [
        ((torch.zeros(5, 2, 4),), None, "must have `input_size` = 3 features. Received: shape (5, 2, 4)."),
        ((torch.zeros(3),), None, "must have 3 axes, or 2 for one row without a batch axis. Received: shape (3,)."),
        ((X.double(),), None, "must have the dtype of the weights, torch.float32. Received: torch.float64.\nhint:"),
        ((X.long(),), None, "Received: torch.int64.\nhint: embed or encode integer ids first."),
        ((X.to("meta"),), None, "must be on the device of the weights, cpu. Received: meta."),
        ((X,), [5, 6], "`lengths` must not exceed the 5 steps of the time axis. Received: 6 (row 1).\nhint:"),
        ((X,), [5], "`lengths` must have one entry for each of 2 rows. Received: 1."),
        ((X,), [5, -1], "`lengths` must not be negative. Received: -1."),
        ((X[:, 0],), [5], "`lengths` goes with a padded 3-D tensor. Received: a 2-D tensor."),
        ((Ragged.from_padded(X, [2] * 5),), [5], "`lengths` goes with a padded 3-D tensor. Received: Ragged."),
        ((X, torch.zeros(2, 2, 4)), None, "`hx` must be the tuple h_0, c_0. Received: 1 tensor."),
        (
            (X, (torch.zeros(2, 2, 4), torch.zeros(2, 5, 4))),
            None,
            "`c_0` must have shape (D*num_layers, N, H) = (2, 2, 4). Received: (2, 5, 4).",
        ),
        (
            (X[:, 0], (torch.zeros(2, 1, 4), torch.zeros(2, 4))),
            None,
            "`h_0` must have shape (D*num_layers, H) = (2, 4). Received: (2, 1, 4).",
        ),
        (
            (X, (torch.zeros(2, 2, 4), torch.zeros(2, 2, 4).double())),
            None,
            "`c_0` must have the dtype and device of the input, torch.float32 on cpu. Received: torch.float64 on cpu.",
        ),
    ],
)
def test_texts_of_inputs_that_do_not_fit(arguments, lengths, message):
    with dispatch.record() as ran, pytest.raises(ShapeError) as error:
        LSTM(*arguments, lengths=lengths)
    assert message in str(error.value)
    assert ran == []
