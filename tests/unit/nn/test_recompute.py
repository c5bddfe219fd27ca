"""Recomputation changes no number: layers of every cell on ragged rows, a whole loss, a language model."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato import cells, nn
from ostinato.errors import RecipeError, ShapeError
from ostinato.kernels import dispatch, native, reference
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.classification.recipe import ClassificationRecipe
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.recipe import LanguageModelRecipe
from ostinato.types import Ragged


def everything(layer: nn.RecurrentStack, batch: Ragged, hx: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    values = batch.values.clone().requires_grad_()
    start = tuple(part.clone().requires_grad_() for part in hx)
    torch.manual_seed(5)  # the masks
    output, state, every = layer(
        batch.with_values(values), start if len(start) > 1 else start[0], return_all_states=True
    )
    found = [output.values, *(state if isinstance(state, tuple) else (state,))]
    found += [part.values for parts in every for part in parts]
    torch.manual_seed(6)
    loss = sum((part * torch.randn_like(part)).sum() for part in found)
    return [*found, *torch.autograd.grad(loss, [values, *start, *layer.parameters()], materialize_grads=True)]


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=5), st.sampled_from(cells.names()), st.booleans(), st.booleans()
)
def test_layers_on_ragged_rows(lengths: list[int], name: str, bidirectional: bool, noisy: bool) -> None:
    torch.manual_seed(0)
    options = {"recurrent_dropout": 0.3, "zoneout": 0.3} if noisy else {}
    layer = nn.RecurrentStack(name, 3, 4, 2, bidirectional=bidirectional, dtype=torch.float64, **options)
    batch = Ragged.from_rows(torch.randn(sum(lengths), 3, dtype=torch.float64), _starts(lengths), lengths)
    shape = (layer.num_directions * 2, len(lengths), 4)
    hx = tuple(torch.randn(shape, dtype=torch.float64) for _ in layer.cell.state_names)
    plain = everything(layer, batch, hx)
    layer.recompute = True
    for found, expected in zip(everything(layer, batch, hx), plain, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", cells.names())
def test_outputs_have_the_same_bits_with_the_reference(name: str) -> None:
    """Input and its weights are multiples of 1/16, so that no sum of the projection depends on how many rows it has."""
    torch.manual_seed(0)
    layer = nn.build(name, 3, 4, bidirectional=True, backend="reference")
    with torch.no_grad():
        for weight_name, weight in layer.named_parameters():
            if "_ih_" in weight_name:
                weight.copy_((weight * 16).round() / 16)
    batch = Ragged.from_rows((torch.randn(13, 3) * 16).round() / 16, [0, 9, 9], [9, 0, 4])
    hx = tuple(torch.randn(2, 3, 4) for _ in layer.cell.state_names)
    plain = everything(layer, batch, hx)
    layer.recompute = True
    again = everything(layer, batch, hx)
    num_gradients = 1 + len(hx) + len(list(layer.parameters()))
    for found, expected in zip(again[:-num_gradients], plain[:-num_gradients], strict=True):
        assert torch.equal(found, expected)
    torch.testing.assert_close(again, plain)


def test_every_chunk_runs_twice_with_the_options_of_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def scan(cell, values, batch_sizes, state, weights, **options):
        seen.append((batch_sizes.tolist(), options))
        return reference.scan(cell, values, batch_sizes, state, weights)

    able = dispatch.Backend("able", lambda *_: None, scan, abilities=frozenset({"bf16"}))
    monkeypatch.setattr(dispatch, "_BACKENDS", {"able": able})
    batch = Ragged.from_rows(torch.randn(9, 3), [0, 7], [7, 2])
    nn.GRU(3, 4, recompute=True, precision="bf16")(batch)[0].values.sum().backward()
    chunks = [[2, 2, 1], [1, 1, 1], [1]]
    bf16 = {"precision": "bf16"}
    assert [(counts, options) for counts, options in seen[:3]] == [(counts, bf16) for counts in chunks]
    assert sorted(seen[3:], key=str) == sorted(seen[:3], key=str)
    seen.clear()
    with torch.no_grad():
        nn.GRU(3, 4, recompute=True)(batch)
    assert seen == [([2, 2, 1, 1, 1, 1, 1], {})]


@pytest.mark.skipif(native.missing_reason() is not None, reason=str(native.missing_reason()))
def test_an_export_has_no_chunks() -> None:
    layer = nn.GRU(3, 4, recompute=True, backend="native")
    x = torch.randn(20, 2, 3)
    program = torch.export.export(layer, (x,))
    graphs = [part.graph for part in program.graph_module.modules() if isinstance(part, torch.fx.GraphModule)]
    target = torch.ops.ostinato.recurrent_layer.default
    assert sum(node.target is target for graph in graphs for node in graph.nodes) == 1
    torch.testing.assert_close(program.module()(x)[0], layer(x)[0])


def _starts(lengths: list[int]) -> list[int]:
    return [sum(lengths[:i]) for i in range(len(lengths))]


def test_activations_are_not_kept() -> None:
    saved: dict[int, int] = {}

    def kept(layer: nn.LSTM) -> int:
        saved.clear()
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: saved.update({t.data_ptr(): t.numel()}) or t, lambda t: t
        ):
            output, _ = layer(torch.randn(900, 1, 8, requires_grad=True))
        del output
        return sum(saved.values())

    assert kept(nn.LSTM(8, 32, recompute=True)) * 5 < kept(nn.LSTM(8, 32))


@pytest.mark.parametrize("num_steps", [None, 1, 7, 1000])
def test_a_whole_loss(num_steps: int | None) -> None:
    torch.manual_seed(0)
    layer = nn.LSTM(3, 4, dtype=torch.float64)
    x = torch.randn(50, 2, 3, dtype=torch.float64)
    start = tuple(torch.randn(1, 2, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))

    sizes = []

    def loss(parts: list[torch.Tensor], states: list[tuple[torch.Tensor, ...]]):
        sizes.append(len(parts[0]))
        output, after = layer(parts[0], states[0])
        return output.square().sum(), [after]

    total, states = nn.recompute_through_time(loss, [start], [x], num_steps)
    assert sizes == {None: [8] * 6 + [2], 1: [1] * 50, 7: [7] * 7 + [1], 1000: [50]}[num_steps]
    whole, (after,) = loss([x], [start])
    torch.testing.assert_close(total, whole)
    torch.testing.assert_close(states[0], after)
    wanted = torch.autograd.grad(whole + after[1].sum(), [*start, *layer.parameters()])
    found = torch.autograd.grad(total + states[0][1].sum(), [*start, *layer.parameters()])
    torch.testing.assert_close(found, wanted)


def test_draws_inside_a_loss_are_repeated_in_the_backward_pass() -> None:
    """The gradient of the weight is the sum of what was left in, which with weights of one is the loss itself."""
    torch.manual_seed(0)
    weight = torch.ones(40, requires_grad=True)

    def loss(parts: list[torch.Tensor], states: list[tuple[torch.Tensor, ...]]):
        return (torch.dropout(weight.expand(len(parts[0]), -1), 0.5, True) * parts[0]).sum(), states

    total, _ = nn.recompute_through_time(loss, [], [torch.rand(30, 40)])
    (gradient,) = torch.autograd.grad(total, weight)
    torch.testing.assert_close(gradient.sum(), total)


def test_sequences_with_gradients() -> None:
    x = torch.randn(10, 2, requires_grad=True)
    total, _ = nn.recompute_through_time(lambda parts, states: (parts[0].square().sum(), states), [], [x])
    torch.testing.assert_close(torch.autograd.grad(total, x)[0], 2 * x)


@pytest.mark.parametrize("num_steps", [0, -3, 2.5])
def test_chunks_have_a_step_at_least(num_steps) -> None:
    with pytest.raises(RecipeError) as error:
        nn.recompute_through_time(lambda parts, states: (parts[0].sum(), states), [], [torch.zeros(3)], num_steps)
    assert str(error.value) == f"`num_steps` must be a positive integer. Received: {num_steps}."


def test_sequences_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"same number of steps, at least one. Received: \[3, 4\]"):
        nn.recompute_through_time(lambda parts, states: (parts[0].sum(), states), [], [torch.zeros(3), torch.zeros(4)])
    with pytest.raises(ShapeError, match=r"Received: \[0\]"):
        nn.recompute_through_time(lambda parts, states: (parts[0].sum(), states), [], [torch.zeros(0)])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_language_model(cell: str) -> None:
    recipe = LanguageModelRecipe(cell=cell, hidden_size=8, num_layers=2, embedding_dim=5)
    found = []
    for recompute in (False, True):
        torch.manual_seed(0)
        model = LanguageModel(recipe.model_copy(update={"recompute": recompute}), 11)
        ids = torch.randint(0, 11, (31, 3))
        nll, states = model.nll(ids[:-1], ids[1:])
        more, _ = model.nll(ids[:-1], ids[1:], states)
        found.append([nll, more, *torch.autograd.grad(nll + more, list(model.parameters()))])
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5)


def test_a_classifier_recomputes_in_its_layers_and_a_language_model_around_them() -> None:
    options = {"recompute": True, "num_layers": 2}
    classifier = Classifier(ClassificationRecipe.model_validate(options), 9, 1)
    assert [layer.recompute for layer in classifier.encoder.layers] == [True, True]
    model = LanguageModel(LanguageModelRecipe.model_validate(options), 9)
    assert [layer.recompute for layer in model.encoder.layers] == [False, False]
    assert model.recompute


@pytest.mark.parametrize("pooling", ["last", "max"])
def test_a_classifier(pooling: str) -> None:
    found = []
    for recompute in (False, True):
        torch.manual_seed(0)
        recipe = ClassificationRecipe(hidden_size=8, embedding_dim=5, bidirectional=True, pooling=(pooling,))
        model = Classifier(recipe.model_copy(update={"recompute": recompute}), 11, 1)
        outputs = model(Ragged.from_rows(torch.randint(0, 11, (40,)), [0, 12, 12], [12, 0, 28]))
        found.append([outputs, *torch.autograd.grad(outputs.sum(), list(model.parameters()))])
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5)


def test_repr() -> None:
    assert repr(nn.GRU(3, 4, recompute=True)) == "GRU(3, 4, recompute=True)"
