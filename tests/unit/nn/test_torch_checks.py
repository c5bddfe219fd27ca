"""What PyTorch's own tests of its recurrent layers, modules and packed sequences look at, asked of ours and of torch's.

In our own words, torch.nn being the truth. test_torch_habits.py has the errors and attributes, tests/golden the values,
tests/kernels/test_transforms.py the derivatives. docs/concepts/drop-in.md counts them and names what is refused.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
import torch
from torch.nn.utils import rnn, skip_init

from ostinato import nn
from ostinato.errors import ShapeError
from ostinato.types import Ragged

KINDS = ("RNN", "LSTM", "GRU")
CLOSE = {"rtol": 1e-9, "atol": 1e-9}
each_kind = pytest.mark.parametrize("kind", KINDS)


def make_pair(kind: str, *more: object, **options: object) -> tuple[nn.RecurrentStack, torch.nn.RNNBase]:
    torch.manual_seed(0)
    options = {"dtype": torch.float64, **options}
    ours = getattr(nn, kind)(3, 4, *more, **options)
    theirs = getattr(torch.nn, kind)(3, 4, *more, **options)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def doubles(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def parts_of(found: tuple[object, object]) -> list[torch.Tensor]:
    """The output's numbers and each tensor of the final state."""
    output, state = found
    return [
        output if isinstance(output, torch.Tensor) else output.data,
        *(state if isinstance(state, tuple) else [state]),
    ]


def gradients(layer: torch.nn.Module, inputs: tuple[object, ...], leaves: list[torch.Tensor], which: int | None = None):
    """Of a loss over all that is returned, or over one part of it."""
    torch.manual_seed(2)
    parts = parts_of(layer(*inputs))
    losses = [(part * torch.randn_like(part)).sum() for part in parts]
    loss = sum(losses) if which is None else losses[which]
    weights = [weight for _, weight in sorted(layer.named_parameters())]
    return parts, torch.autograd.grad(loss, [*leaves, *weights], retain_graph=True, allow_unused=True)


def assert_alike(pair, inputs: tuple[object, ...], leaves: list[torch.Tensor] = (), which: int | None = None) -> None:
    for found, truth in zip(*(gradients(layer, inputs, list(leaves), which) for layer in pair), strict=True):
        for part, true in zip(found, truth, strict=True):
            torch.testing.assert_close(part, torch.zeros_like(part) if true is None else true, **CLOSE)


def states(kind: str, *shape: int) -> object:
    return (doubles(*shape), doubles(*shape)) if kind == "LSTM" else doubles(*shape)


@each_kind
@pytest.mark.parametrize("sort", [True, False])
def test_sequences_of_unequal_length_and_their_initial_states(kind, sort):
    pair = make_pair(kind, num_layers=2, bidirectional=True)
    rows = [doubles(length, 3).requires_grad_() for length in ((5, 4, 2) if sort else (2, 5, 4))]
    hx = states(kind, 4, 3, 4)
    leaves = [part.requires_grad_() for part in (hx if isinstance(hx, tuple) else (hx,))]
    assert_alike(pair, (rnn.pack_sequence(rows, enforce_sorted=sort), hx), [*rows, *leaves])


@each_kind
def test_no_initial_state_is_one_of_zeros_however_it_lies_in_memory(kind):
    ours, theirs = make_pair(kind)
    x = doubles(5, 2, 3)
    zeros = doubles(1, 1, 4).mul(0).expand(1, 2, 4)
    given = (zeros, zeros) if kind == "LSTM" else zeros
    torch.testing.assert_close(ours(x, given), ours(x), **CLOSE)
    strange = doubles(4, 2, 1).permute(2, 1, 0)
    given = (strange, strange) if kind == "LSTM" else strange
    torch.testing.assert_close(ours(x, given), theirs(x, given), **CLOSE)


LAYOUTS: dict[str, Callable[[], torch.Tensor]] = {
    "transposed": lambda: doubles(2, 5, 3).transpose(0, 1),
    "every other feature": lambda: doubles(5, 2, 6)[..., ::2],
    "expanded": lambda: doubles(5, 1, 3).expand(5, 2, 3),
    "one step": lambda: doubles(1, 2, 3),
    "one row": lambda: doubles(5, 1, 3),
    "no batch axis": lambda: doubles(5, 3),
}


@each_kind
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_in_memory(kind, layout):
    x = LAYOUTS[layout]().requires_grad_()
    assert_alike(make_pair(kind, bidirectional=True), (x,), [x])


@each_kind
def test_gradients_of_one_of_the_results_alone(kind):
    pair = make_pair(kind, num_layers=2)
    x = doubles(5, 2, 3).requires_grad_()
    for which in range(3 if kind == "LSTM" else 2):
        assert_alike(pair, (x,), [x], which)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_the_nonlinearity_by_place_and_by_name(nonlinearity):
    x = doubles(5, 2, 3).requires_grad_()
    for pair in (make_pair("RNN", 2, nonlinearity), make_pair("RNN", 2, nonlinearity=nonlinearity)):
        assert_alike(pair, (x,), [x])


@pytest.mark.parametrize("options", [{"num_layers": 2}, {"bidirectional": True, "bias": False}], ids=str)
def test_projections(options):
    pair = make_pair("LSTM", proj_size=2, **options)
    x = doubles(5, 2, 3).requires_grad_()
    directions = 2 if options.get("bidirectional") else options["num_layers"]
    hx = (doubles(directions, 2, 2), doubles(directions, 2, 4))
    assert_alike(pair, (x, hx), [x])
    assert pair[0].get_expected_hidden_size(x, None) == pair[1].get_expected_hidden_size(x, None)
    assert pair[0].get_expected_cell_size(x, None) == pair[1].get_expected_cell_size(x, None)
    for wrong in ((hx[1], hx[1]), (hx[0], hx[0])):
        for layer in pair:
            with pytest.raises(RuntimeError):
                layer(x, wrong)


@each_kind
@pytest.mark.parametrize("dropout", [0.0, 0.5, 1.0])
def test_dropout_zeroes_what_torchs_does(kind, dropout):
    pair = make_pair(kind, num_layers=3, dropout=dropout)
    x = doubles(5, 2, 3).requires_grad_()
    results = []
    for layer in pair:
        torch.manual_seed(5)
        results.append(parts_of(layer(x)))
        layer.eval()
    for part, true in zip(*results, strict=True):
        torch.testing.assert_close(part, true, **CLOSE)
    assert_alike(pair, (x,), [x])
    pair[0].train().dropout = 0.0
    pair[1].train().dropout = 0.0
    assert_alike(pair, (x,), [x])


@each_kind
def test_inputs_are_left_as_they_were(kind):
    layer, _ = make_pair(kind, num_layers=2)
    x, hx = doubles(5, 2, 3), states(kind, 2, 2, 4)
    before = [part._version for part in (x, *(hx if kind == "LSTM" else (hx,)))]
    gradients(layer, (x, hx), [])
    assert [part._version for part in (x, *(hx if kind == "LSTM" else (hx,)))] == before


@each_kind
def test_a_graph_may_be_kept_and_only_then_used_again(kind):
    layer, _ = make_pair(kind)
    loss = layer(doubles(5, 2, 3))[0].sum()
    loss.backward(retain_graph=True)
    once = layer.weight_hh_l0.grad.clone()
    loss.backward()
    torch.testing.assert_close(layer.weight_hh_l0.grad, 2 * once)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


@each_kind
def test_a_weight_changed_before_the_backward_pass_is_noticed(kind):
    for layer in make_pair(kind):
        loss = layer(doubles(5, 2, 3))[0].sum()
        with torch.no_grad():
            layer.weight_hh_l0.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


@each_kind
def test_modes_without_gradients(kind):
    layer, _ = make_pair(kind)
    x = doubles(5, 2, 3)
    truth = layer(x)[0]
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            output, _ = layer(x)
        assert not output.requires_grad
        torch.testing.assert_close(output, truth)
    assert not layer.requires_grad_(False)(x)[0].requires_grad


@each_kind
@pytest.mark.parametrize("around", [torch.autograd.detect_anomaly, torch.autograd.graph.save_on_cpu])
@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled:UserWarning")
def test_contexts_of_autograd(kind, around):
    x = doubles(5, 2, 3).requires_grad_()
    with around():
        assert_alike(make_pair(kind), (x,), [x])


@each_kind
def test_hooks(kind):
    seen = []
    layer, _ = make_pair(kind)
    layer.register_forward_pre_hook(lambda module, inputs: seen.append("before"))
    layer.register_forward_hook(lambda module, inputs, found: seen.append(type(found)))
    layer.register_full_backward_hook(lambda module, inputs, outputs: seen.append(tuple(inputs[0].shape)))
    layer(doubles(5, 2, 3).requires_grad_())[0].sum().backward()
    assert seen == ["before", tuple, (5, 2, 3)]


@each_kind
def test_saved_and_loaded(kind):
    ours, theirs = make_pair(kind, num_layers=2)
    x = doubles(5, 2, 3)
    for kept in (theirs.state_dict(), ours):
        file = io.BytesIO()
        torch.save(kept, file)
        file.seek(0)
        loaded = torch.load(file, weights_only=kept is not ours)
        again = getattr(nn, kind)(3, 4, num_layers=2, dtype=torch.float64)
        again.load_state_dict(loaded if kept is not ours else loaded.state_dict())
        torch.testing.assert_close(again(x), theirs(x), **CLOSE)


@each_kind
def test_parameters_lie_in_the_same_order(kind):
    ours, theirs = make_pair(kind, num_layers=2, bidirectional=True)
    shapes = [[(name, weight.shape) for name, weight in layer.named_parameters()] for layer in (ours, theirs)]
    assert shapes[0] == shapes[1]
    assert [[w.shape for w in own] for own in ours.all_weights] == [
        [w.shape for w in own] for own in theirs.all_weights
    ]


@each_kind
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_made_in_a_dtype_and_moved_to_it(kind, dtype):
    made, theirs = make_pair(kind, dtype=dtype)
    moved = make_pair(kind)[0].to(dtype)
    x = torch.randn(5, 2, 3).to(dtype)
    truth = parts_of(theirs(x))
    close = 2e-2 if dtype.itemsize == 2 else 1e-5
    for layer in (made, moved):
        layer.load_state_dict(theirs.state_dict())
        for part, true in zip(parts_of(layer(x)), truth, strict=True):
            torch.testing.assert_close(part, true, rtol=close, atol=close)


@each_kind
def test_made_on_no_device_and_filled_later(kind):
    made = getattr(nn, kind)
    with torch.device("meta"):
        layers = [made(3, 4), made(3, 4, device="meta")]
    layers.append(skip_init(made, 3, 4).to("meta"))
    for layer in layers:
        assert {weight.device.type for weight in layer.parameters()} == {"meta"}
        assert layer(torch.zeros(5, 2, 3, device="meta"))[0].shape == (5, 2, 4)
        filled = layer.to_empty(device="cpu")
        filled.reset_parameters()
        assert filled(torch.zeros(5, 2, 3))[0].isfinite().all()
    with pytest.raises(RuntimeError, match="must be on the device of the weights"):
        make_pair(kind)[0](torch.zeros(5, 2, 3, device="meta", dtype=torch.float64))


@each_kind
def test_called_with_other_weights(kind):
    ours, theirs = make_pair(kind)
    x = doubles(5, 2, 3)
    other = {name: doubles(*weight.shape).requires_grad_() for name, weight in ours.named_parameters()}
    found = [torch.func.functional_call(layer, other, (x,))[0] for layer in (ours, theirs)]
    torch.testing.assert_close(*found, **CLOSE)
    torch.testing.assert_close(ours(x), theirs(x), **CLOSE)
    part = {"weight_hh_l0": other["weight_hh_l0"]}
    torch.testing.assert_close(*(torch.func.functional_call(layer, part, (x,))[0] for layer in (ours, theirs)), **CLOSE)


@each_kind
def test_weights_exchanged_by_hand(kind):
    pair = make_pair(kind)
    x = doubles(5, 2, 3).requires_grad_()
    for layer in pair:
        torch.manual_seed(3)
        layer.weight_hh_l0 = torch.nn.Parameter(doubles(*layer.weight_hh_l0.shape))
        layer.bias_ih_l0.data = doubles(*layer.bias_ih_l0.shape)
        with torch.no_grad():
            layer.weight_ih_l0.mul_(2)
    assert_alike(pair, (x,), [x])


@each_kind
def test_a_replica_of_data_parallel(kind):
    layer, _ = make_pair(kind)
    replica = layer._replicate_for_data_parallel()
    for name, weight in layer.named_parameters():
        setattr(replica, name, weight.detach() * 1)
    x = doubles(5, 2, 3)
    torch.testing.assert_close(replica(x), layer(x))


@each_kind
def test_first_and_second_derivatives_by_differences(kind):
    layer, _ = make_pair(kind, num_layers=2)
    x = doubles(2, 1, 3).requires_grad_()
    names, weights = zip(*layer.named_parameters(), strict=True)

    def run(values, *rest):
        return tuple(parts_of(torch.func.functional_call(layer, dict(zip(names, rest, strict=True)), (values,))))

    assert torch.autograd.gradcheck(run, (x, *weights), fast_mode=True)
    assert torch.autograd.gradgradcheck(run, (x, *weights), fast_mode=True)


@each_kind
def test_shared_memory(kind):
    layer, theirs = make_pair(kind)
    assert layer.share_memory().weight_hh_l0.is_shared()
    x = doubles(5, 2, 3)
    torch.testing.assert_close(layer(x), theirs(x), **CLOSE)


# Packed sequences: what torch.nn.utils.rnn does, Ragged does.


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("features", [(), (2,), (2, 3)], ids=str)
def test_packing_and_padding_are_torchs(batch_first, features):
    rows = [torch.randn(length, *features) for length in (2, 4, 1)]
    padded = rnn.pad_sequence(rows, batch_first)
    packed = rnn.pack_padded_sequence(padded, [2, 4, 1], batch_first, enforce_sorted=False)
    ragged = Ragged.from_padded(padded, [2, 4, 1], batch_first)
    for part, true in zip(ragged.to_packed(), packed, strict=True):
        assert torch.equal(part, true)
    for again in (ragged, Ragged.from_packed(packed)):
        for total in (None, 4, 7):
            found = again.to_padded(batch_first, padding_value=-1.0, total_length=total)
            truth = rnn.pad_packed_sequence(packed, batch_first, padding_value=-1.0, total_length=total)
            assert torch.equal(found[0], truth[0])
            assert torch.equal(found[1], truth[1])
        assert all(torch.equal(a, b) for a, b in zip(again.split_rows(), rows, strict=True))


def test_gradients_through_packing():
    padded = doubles(3, 4, 2).requires_grad_()
    weights = doubles(3, 4, 2)
    truth = rnn.pad_packed_sequence(rnn.pack_padded_sequence(padded, [2, 4, 1], True, False), True)[0]
    found = Ragged.from_padded(padded, [2, 4, 1]).to_padded()[0]
    grads = [torch.autograd.grad((part * weights).sum(), padded)[0] for part in (found, truth)]
    assert torch.equal(*grads)


X = torch.zeros(3, 4, 2)
PACKING: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "a total length too short": (
        lambda: rnn.pad_packed_sequence(rnn.pack_padded_sequence(X, [4, 3, 2], True), total_length=3),
        lambda: Ragged.from_padded(X, [4, 3, 2]).to_padded(total_length=3),
    ),
    "lengths of another number": (
        lambda: rnn.pack_padded_sequence(X, [4, 3], True),
        lambda: Ragged.from_padded(X, [4, 3]),
    ),
    "a row without a step": (
        lambda: rnn.pack_padded_sequence(X, [4, 3, 0], True),
        lambda: Ragged.from_padded(X, [4, 3, 0]).to_packed(),
    ),
    "no row": (
        lambda: rnn.pack_padded_sequence(X[:0], [], True),
        lambda: Ragged.from_padded(X[:0], []).to_packed(),
    ),
}


@pytest.mark.parametrize("what", PACKING)
def test_wrong_packing_raises_what_torch_raises(what):
    theirs, ours = PACKING[what]
    with pytest.raises((ValueError, RuntimeError)) as truth:
        theirs()
    with pytest.raises(truth.type) as found:
        ours()
    assert isinstance(found.value, ShapeError)


@each_kind
def test_sequences_without_a_step_are_read_where_torch_refuses_them(kind):
    ours, theirs = make_pair(kind)
    nothing = doubles(0, 2, 3)
    with pytest.raises(RuntimeError, match="sequence length to be larger than 0"):
        theirs(nothing)
    output, *_ = parts_of(ours(nothing))
    assert output.shape == (0, 2, 4)
    assert not any(part.any() for part in parts_of(ours(nothing)))
