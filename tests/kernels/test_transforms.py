"""Derivatives of derivatives, `torch.func` and forward mode, on the native layer and by choice of another backend."""

from __future__ import annotations

import logging

import pytest
import torch
from torch.autograd import forward_ad

from ostinato import nn
from ostinato.errors import BackendError
from ostinato.kernels import dispatch, native

needs_core = pytest.mark.skipif(native.missing_reason() is not None, reason=str(native.missing_reason()))
VARIANTS = [
    ("elman", {}),
    ("elman_layer_norm", {"bias": False}),
    ("gru", {"zoneout": 0.3}),
    ("gru", {"bias": False, "recurrent_dropout": 0.5}),
    ("gru_reset_before", {}),
    ("gru_layer_norm", {}),
    ("lstm", {"proj_size": 2, "recurrent_dropout": 0.5}),
    ("lstm_peephole", {"zoneout": (0.2, 0.4)}),
    ("lstm_layer_norm", {}),
]


def make_pair(cell: str, **options: object) -> tuple[nn.RecurrentStack, nn.RecurrentStack]:
    """The same layer, in the core and in the plain loop."""
    torch.manual_seed(0)
    options = {"num_layers": 2, "bidirectional": True, **options}
    pair = [nn.build(cell, 3, 4, backend=backend, **options).double() for backend in ("native", "reference")]
    pair[1].load_state_dict(pair[0].state_dict())
    return pair[0], pair[1]


def second_derivatives(layer: nn.RecurrentStack, tokens: bool) -> list[torch.Tensor]:
    torch.manual_seed(1)
    lengths = [4, 0, 2]
    x = torch.randn(4, 3, 3, dtype=torch.float64, requires_grad=True)
    if tokens:
        table = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
        output, state = layer.forward_tokens(torch.randint(2, (4, 3)), table)
        source, steps = table, []
    else:
        output, state, steps = layer(x, lengths=lengths, return_all_states=True)
        source = x
    states = state if isinstance(state, tuple) else (state,)
    everything = [output, *states, *(part for parts in steps for part in parts)]
    loss = sum((part * torch.randn_like(part)).sum() for part in everything)
    leaves = [source, *layer.parameters()]
    first = torch.autograd.grad(loss, leaves, create_graph=True)
    return [*first, *torch.autograd.grad(sum(part.square().sum() for part in first), leaves)]


@needs_core
@pytest.mark.parametrize("tokens", [False, True], ids=["values", "tokens"])
@pytest.mark.parametrize(("cell", "options"), VARIANTS, ids=str)
def test_second_derivatives_of_the_native_layer(cell, options, tokens):
    layer, reference = make_pair(cell, **options)
    with dispatch.record() as ran:
        found = second_derivatives(layer, tokens)
    assert set(ran) == {"native"}
    for part, truth in zip(found, second_derivatives(reference, tokens), strict=True):
        torch.testing.assert_close(part, truth, rtol=1e-9, atol=1e-9)


@needs_core
def test_many_gradients_at_once_are_those_one_by_one():
    layer, _ = make_pair("gru")
    x = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    output, _ = layer(x)
    directions = torch.randn(5, *output.shape, dtype=torch.float64)
    (found,) = torch.autograd.grad(output, x, directions, is_grads_batched=True, retain_graph=True)
    for part, direction in zip(found, directions, strict=True):
        torch.testing.assert_close(part, torch.autograd.grad(output, x, direction, retain_graph=True)[0])


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is:DeprecationWarning")  # torch's own, at its first jvp
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_transforms_run_with_the_plain_loop_and_say_so_once(kind, caplog):
    caplog.set_level(logging.INFO, "ostinato")
    dispatch._LOGGED.clear()
    layer = getattr(nn, kind)(3, 4, bidirectional=True, dtype=torch.float64)
    x, tangent = torch.randn(2, 4, 2, 3, dtype=torch.float64)

    def run(values):
        return layer(values, lengths=[4, 1])[0]

    with dispatch.record() as ran:
        backward = torch.func.jacrev(run)(x)
        forward = torch.func.jacfwd(run)(x)
        batched = torch.func.vmap(run)(torch.stack([x, tangent]))
        _, product = torch.func.jvp(run, (x,), (tangent,))
        hessian = torch.func.hessian(lambda values: run(values).sum())(x[:, :, :])
        with forward_ad.dual_level():
            dual = forward_ad.unpack_dual(run(forward_ad.make_dual(x, tangent))).tangent
    assert set(ran) == {"reference"}
    assert sum("transforms" in line.message for line in caplog.records) == 1
    torch.testing.assert_close(backward, forward)
    torch.testing.assert_close(batched, torch.stack([run(x), run(tangent)]))
    expected = (backward * tangent).sum((-3, -2, -1))
    for found in (product, dual):
        torch.testing.assert_close(found, expected)
    truth = torch.autograd.functional.hessian(lambda values: run(values).sum(), x)
    torch.testing.assert_close(hessian, truth)


def test_gradients_for_each_example_by_vmap_over_grad():
    layer = nn.GRU(3, 4, dtype=torch.float64)
    weights = {name: weight.detach() for name, weight in layer.named_parameters()}
    x = torch.randn(5, 2, 3, dtype=torch.float64)

    def loss(weights, row):
        return torch.func.functional_call(layer, weights, (row,))[0].square().sum()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 1))(weights, x)
    for row in range(2):
        layer.zero_grad()
        layer(x[:, row])[0].square().sum().backward()
        torch.testing.assert_close(each["weight_hh_l0"][row], layer.weight_hh_l0.grad)


@needs_core
def test_a_backend_asked_for_by_name_says_what_to_do():
    layer = nn.GRU(3, 4, backend="native")
    message = r"it supports neither `torch.func` transforms .*\nhint: backend=\"auto\" takes the fastest one that can"
    with pytest.raises(BackendError, match=message):
        torch.func.grad(lambda x: layer(x)[0].sum())(torch.randn(2, 1, 3))


@pytest.mark.parametrize("backend", ["native", "torch", "reference"])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_batch_without_a_step_has_gradients_of_zero(kind, backend):
    if dispatch.available()[backend] is not None:
        pytest.skip(str(dispatch.available()[backend]))
    layer = getattr(nn, kind)(3, 4, num_layers=2, bidirectional=True, backend=backend)
    for x, lengths in ((torch.zeros(5, 0, 3), None), (torch.zeros(5, 0, 3), []), (torch.zeros(5, 2, 3), [0, 0])):
        layer.zero_grad(set_to_none=True)
        x.requires_grad_()
        output, state = layer(x, lengths=lengths)
        (output.sum() + sum(part.sum() for part in (state if kind == "LSTM" else (state,)))).backward()
        assert x.grad is not None
        assert all((weight.grad == 0).all() for weight in layer.parameters())
