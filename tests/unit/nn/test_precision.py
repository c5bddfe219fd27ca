"""`precision`: who is asked for products in bfloat16, and what is said where nobody computes them."""

from __future__ import annotations

import pytest
import torch

from ostinato import nn
from ostinato.errors import BackendError, RecipeError
from ostinato.kernels import dispatch, reference
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.classification.recipe import ClassificationRecipe
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.recipe import LanguageModelRecipe


@pytest.fixture
def asked(monkeypatch):
    """The options that a backend with the ability was called with; nobody else has it."""
    calls = []

    def scan(*arguments, **options):
        calls.append(options)
        return reference.scan(*arguments)

    able = dispatch.Backend("able", lambda *_: None, scan, abilities=frozenset({"bf16"}))
    plain = {name: dispatch._BACKENDS[name] for name in ("reference", "torch")}
    monkeypatch.setattr(dispatch, "_BACKENDS", plain | {"able": able})
    return calls


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_bf16_goes_to_a_backend_that_can(kind, bidirectional, asked):
    layer = getattr(nn, kind)(3, 4, bidirectional=bidirectional, precision="bf16")
    with dispatch.record() as ran:
        layer(torch.zeros(2, 1, 3))
    assert ran == ["able"] * (1 + bidirectional)
    assert asked == [{"precision": "bf16"}] * (1 + bidirectional)


def test_full_asks_nothing_of_anybody(asked):
    with dispatch.record() as ran:
        nn.build("lstm", 3, 4)(torch.zeros(2, 1, 3))
        nn.build("lstm", 3, 4, backend="able")(torch.zeros(2, 1, 3))
    assert ran == ["torch", "able"]
    assert asked == [{}]


def test_auto_says_what_every_backend_lacks(asked):
    layer = nn.LSTM(3, 4, zoneout=0.1, precision="bf16")
    with pytest.raises(BackendError) as error:
        layer(torch.zeros(2, 1, 3))
    no_noise, no_bf16 = "it does not support recurrent dropout or zoneout", "it does not support bfloat16 products"
    assert str(error.value) == (
        "no backend can run `lstm` with bf16, noise on cpu in torch.float32. "
        f"torch: {no_bf16} and {no_noise}; reference: {no_bf16}; able: {no_noise}.\n"
        'hint: precision="full" runs everywhere.'
    )


@pytest.mark.parametrize("backend", ["reference", "torch"])
def test_a_backend_without_it_refuses(backend):
    with pytest.raises(BackendError, match=f"backend `{backend}`.* it does not support bfloat16 products"):
        nn.GRU(3, 4, backend=backend, precision="bf16")(torch.zeros(2, 1, 3))


@pytest.mark.parametrize("make", [nn.RNN, nn.LSTM, nn.GRU, lambda *sizes, **rest: nn.build("gru", *sizes, **rest)])
def test_anything_else_is_refused(make):
    with pytest.raises(RecipeError) as error:
        make(3, 4, precision="fp8")
    assert str(error.value) == "`precision` must be full or bf16. Received: 'fp8'."


def test_it_is_printed_where_it_is_not_the_default():
    assert repr(nn.GRU(3, 4, precision="bf16")) == "GRU(3, 4, precision=bf16)"
    assert repr(nn.GRU(3, 4)) == "GRU(3, 4)"


@pytest.mark.parametrize(
    "model",
    [
        lambda **options: LanguageModel(LanguageModelRecipe(**options), 9),
        lambda **options: Classifier(ClassificationRecipe(**options), 9, 1),
    ],
)
def test_a_recipe_sets_it_for_every_layer(model):
    layers = model(num_layers=2, precision="bf16").encoder.layers
    assert [layer.precision for layer in layers] == ["bf16"] * 2
    assert model().encoder.layers[0].precision == "full"
