"""Recomputation changes no number: layers of every cell on ragged rows, a whole loss, a language model."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato import cells, nn
from ostinato.errors import ShapeError
from ostinato.models import LanguageModel
from ostinato.recipe import ModelRecipe
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

    def loss(parts: list[torch.Tensor], states: list[tuple[torch.Tensor, ...]]):
        output, after = layer(parts[0], states[0])
        return output.square().sum(), [after]

    total, states = nn.recompute_through_time(loss, [start], [x], num_steps)
    whole, (after,) = loss([x], [start])
    torch.testing.assert_close(total, whole)
    torch.testing.assert_close(states[0], after)
    wanted = torch.autograd.grad(whole + after[1].sum(), [*start, *layer.parameters()])
    found = torch.autograd.grad(total + states[0][1].sum(), [*start, *layer.parameters()])
    torch.testing.assert_close(found, wanted)


def test_sequences_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"same number of steps, at least one. Received: \[3, 4\]"):
        nn.recompute_through_time(lambda parts, states: (parts[0].sum(), states), [], [torch.zeros(3), torch.zeros(4)])
    with pytest.raises(ShapeError, match=r"Received: \[0\]"):
        nn.recompute_through_time(lambda parts, states: (parts[0].sum(), states), [], [torch.zeros(0)])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_language_model(cell: str) -> None:
    recipe = ModelRecipe(kind="language_model", cell=cell, hidden_size=8, num_layers=2, embedding_dim=5)
    found = []
    for recompute in (False, True):
        torch.manual_seed(0)
        model = LanguageModel(recipe.model_copy(update={"recompute": recompute}), 11)
        ids = torch.randint(0, 11, (31, 3))
        nats, states = model.nats(ids[:-1], ids[1:])
        more, _ = model.nats(ids[:-1], ids[1:], states)
        found.append([nats, more, *torch.autograd.grad(nats + more, list(model.parameters()))])
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5)
