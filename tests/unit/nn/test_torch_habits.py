"""What code written for torch.nn's layers does with them besides calling them, ours beside torch's own."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.rnn import pack_sequence

from ostinato import nn
from ostinato.errors import ArgumentError, ArgumentTypeError, BackendError, OstinatoError, ShapeError

KINDS = ("RNN", "LSTM", "GRU")
pytestmark = pytest.mark.parametrize("kind", KINDS)


def make_pair(kind: str, **options: object) -> tuple[nn.RecurrentStack, torch.nn.RNNBase]:
    """Ours and torch's, of the same weights."""
    torch.manual_seed(0)
    ours = getattr(nn, kind)(3, 4, **options)
    theirs = getattr(torch.nn, kind)(3, 4, **options)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def state_of(kind: str, *shape: int, dtype: torch.dtype = torch.float32) -> object:
    h = torch.zeros(*shape, dtype=dtype)
    return (h, h.clone()) if kind == "LSTM" else h


def assert_same(ours: torch.nn.Module, theirs: torch.nn.Module, *inputs: object) -> None:
    """The same output, final state and gradients."""
    found, truth = ours(*inputs), theirs(*inputs)
    torch.testing.assert_close(found, truth)
    for output, _ in (found, truth):
        (output if isinstance(output, torch.Tensor) else output.data).sum().backward()
    theirs_by_name = dict(theirs.named_parameters())
    for name, weight in ours.named_parameters():
        torch.testing.assert_close(weight.grad, theirs_by_name[name].grad)


OPTIONS = ({"num_layers": 2}, {"bidirectional": True}, {"bias": False, "batch_first": True})


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_attributes(kind, options):
    ours, theirs = make_pair(kind, **options)
    for name in ("mode", "_flat_weights_names", "_all_weights"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert [
        part is getattr(ours, name) for part, name in zip(ours._flat_weights, ours._flat_weights_names, strict=True)
    ]
    assert repr(ours) == repr(theirs)
    x = torch.zeros(5, 2, 3)
    packed = pack_sequence([torch.zeros(2, 3), torch.zeros(1, 3)])
    for source, sizes in ((x, None), (packed.data, packed.batch_sizes)):
        shape = ours.get_expected_hidden_size(source, sizes)
        assert shape == theirs.get_expected_hidden_size(source, sizes)
        state = state_of(kind, *shape)
        ours.check_forward_args(source, state, sizes)
        theirs.check_forward_args(source, state, sizes)
    order = torch.tensor([1, 0])
    state = torch.arange(8.0).view(1, 2, 4)
    given = (state, state) if kind == "LSTM" else state
    torch.testing.assert_close(ours.permute_hidden(given, order), theirs.permute_hidden(given, order))
    assert ours.permute_hidden(given, None) is given


ARGUMENTS = [
    {"hidden_size": 0},
    {"hidden_size": 3.0},
    {"hidden_size": "a"},
    {"input_size": 0},
    {"input_size": 2.5},
    {"num_layers": 0},
    {"num_layers": 1.5},
    {"bias": 1},
    {"batch_first": 0},
    {"dropout": 2},
    {"dropout": -0.1},
    {"proj_size": -1},
    {"proj_size": 4},
    {"unknown": 1},
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_impossible_arguments_raise_what_torch_raises(kind, arguments):
    given = {"input_size": 3, "hidden_size": 4, **arguments}
    with pytest.raises((TypeError, ValueError)) as truth:
        getattr(torch.nn, kind)(**given)
    with pytest.raises(truth.type) as found:
        getattr(nn, kind)(**given)
    assert isinstance(found.value, ArgumentError) or "unknown" in arguments
    assert isinstance(found.value, ArgumentTypeError) == (truth.type is TypeError and "unknown" not in arguments)


X = torch.zeros(5, 2, 3)
INPUTS: dict[str, Callable[[str], tuple[object, ...]]] = {
    "one axis": lambda kind: (X[0, 0],),
    "four axes": lambda kind: (X[None],),
    "features": lambda kind: (torch.zeros(5, 2, 4),),
    "packed features": lambda kind: (pack_sequence([torch.zeros(6, 4), torch.zeros(3, 4)]),),
    "double": lambda kind: (X.double(),),
    "integers": lambda kind: (X.long(),),
    "state without a batch axis": lambda kind: (X, state_of(kind, 2, 4)),
    "state with a batch axis": lambda kind: (X[:, 0], state_of(kind, 1, 1, 4)),
    "rows of the state": lambda kind: (X, state_of(kind, 1, 3, 4)),
    "features of the state": lambda kind: (X, state_of(kind, 1, 2, 5)),
    "layers of the state": lambda kind: (X, state_of(kind, 2, 2, 4)),
    "dtype of the state": lambda kind: (X, state_of(kind, 1, 2, 4, dtype=torch.float64)),
}


@pytest.mark.parametrize("what", INPUTS)
def test_wrong_inputs_raise_what_torch_raises(kind, what):
    ours, theirs = make_pair(kind)
    with pytest.raises((ValueError, RuntimeError)) as truth:
        theirs(*INPUTS[what](kind))
    with pytest.raises(truth.type) as found:
        ours(*INPUTS[what](kind))
    assert isinstance(found.value, ShapeError)


def test_what_is_no_sequence_is_named(kind):
    with pytest.raises(ShapeError, match=r"must be a tensor, a PackedSequence or a Ragged. Received: list."):
        make_pair(kind)[0]([1.0])


def test_outputs_may_be_changed_in_place(kind):
    for options in ({}, {"batch_first": True}):
        ours, _ = make_pair(kind, **options)
        for x in (torch.randn(5, 2, 3), torch.randn(5, 3), pack_sequence([torch.randn(2, 3)])):
            gradients = []
            for change in (torch.relu, torch.relu_):
                ours.zero_grad()
                output, _ = ours(x)
                change(output if isinstance(output, torch.Tensor) else output.data).sum().backward()
                gradients.append([weight.grad for weight in ours.parameters()])
            torch.testing.assert_close(gradients[0], gradients[1])


def test_autocast_gives_back_the_dtype_of_the_input(kind):
    ours, theirs = make_pair(kind, num_layers=2)
    x = torch.randn(5, 2, 3)
    truth, _ = theirs(x)
    for dtype in (torch.float32, torch.bfloat16):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output, state = ours(x.to(dtype))
            again, _ = ours(x.to(dtype), state)
        parts = (output, again, *(state if kind == "LSTM" else (state,)))
        assert {part.dtype for part in parts} == {dtype}
        torch.testing.assert_close(output.float(), truth, rtol=0.02, atol=0.02)


def test_copies_and_pickles_compute_the_same(kind):
    ours, theirs = make_pair(kind, num_layers=2, bidirectional=True)
    x = torch.randn(5, 2, 3)
    for copied in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert_same(copied, theirs, x)
        theirs.zero_grad()
        assert all(a is not b for a, b in zip(copied.parameters(), ours.parameters(), strict=True))


def test_a_state_dict_is_loaded_as_strictly(kind):
    ours, theirs = make_pair(kind)
    weights = theirs.state_dict()
    lacking = {name: weight for name, weight in weights.items() if name != "bias_hh_l0"}
    wrong = {**weights, "weight_hh_l0": torch.zeros(2, 2)}
    for given, text in ((lacking, "Missing key"), ({**weights, "more": X}, "Unexpected key"), (wrong, "size mismatch")):
        for layer in (ours, theirs):
            with pytest.raises(RuntimeError, match=text):
                layer.load_state_dict(given)
    assert ours.load_state_dict(lacking, strict=False).missing_keys == ["bias_hh_l0"]
    ours.load_state_dict({name: torch.zeros_like(weight) for name, weight in weights.items()}, assign=True)
    assert not ours(torch.randn(5, 2, 3))[0].any()


CHANGES: dict[str, Callable[[torch.nn.Module], object]] = {
    "weight norm": lambda layer: parametrizations.weight_norm(layer, "weight_hh_l0"),
    "old weight norm": lambda layer: torch.nn.utils.weight_norm(layer, "weight_hh_l0"),
    "spectral norm": lambda layer: parametrizations.spectral_norm(layer, "weight_hh_l0").eval(),
    "orthogonal": lambda layer: parametrizations.orthogonal(
        layer, "weight_hr_l0" if layer.proj_size else "weight_hh_l0"
    ),
    "pruning": lambda layer: prune.l1_unstructured(layer, "weight_ih_l0", 0.5),
    "to double and back": lambda layer: layer.double().float(),
    "frozen": lambda layer: layer.weight_hh_l0.requires_grad_(False),
    "tied biases": lambda layer: setattr(layer, "bias_ih_l0", layer.bias_hh_l0),
}


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize("change", CHANGES)
def test_weights_may_be_exchanged(kind, change):
    ours, theirs = make_pair(kind)
    for layer in (ours, theirs):
        torch.manual_seed(1)
        CHANGES[change](layer)
        layer.flatten_parameters()
    assert_same(ours, theirs, torch.randn(5, 2, 3))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_torchscript_holds_torchs_layer(kind):
    ours, _ = make_pair(kind, num_layers=2, bidirectional=True, batch_first=True)
    traced = torch.jit.trace(ours, torch.randn(2, 5, 3))
    assert {name for name, _ in traced.named_parameters()} == set(ours.state_dict())

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = ours

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x)[0]

    scripted = torch.jit.script(Model())
    for shape in ((2, 5, 3), (4, 9, 3), (1, 1, 3)):
        x = torch.randn(*shape)
        torch.testing.assert_close(traced(x), ours(x))
        torch.testing.assert_close(scripted(x), ours(x)[0])
    variant = getattr(nn, kind)(3, 4, layer_norm=True)
    for make in (lambda: torch.jit.trace(variant, X), lambda: torch.jit.script(variant)):
        with pytest.raises(BackendError, match=r"torch.nn has no layer that computes .*\nhint: torch.export"):
            make()


def test_every_complaint_is_an_ostinato_error(kind):
    for error in (ArgumentError, ArgumentTypeError, ShapeError, BackendError):
        assert issubclass(error, OstinatoError)
