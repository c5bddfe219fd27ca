"""Pascanu's Omega: its value and gradient by the plain formula, and that it keeps gradients from vanishing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato import nn as layers
from ostinato.bptt.vanishing import recording, vanishing_penalty
from ostinato.cells import Cell
from ostinato.cells.cell import Weights
from ostinato.errors import RecipeError
from ostinato.nn import RecurrentStack
from ostinato.recipe import build_recipe
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe
from ostinato.types import Ragged

LENGTHS = [5, 1, 7, 0, 3]


def _batch(seed: int = 0) -> Ragged:
    torch.manual_seed(seed)
    return Ragged.from_padded(torch.randn(len(LENGTHS), 7, 3, dtype=torch.float64), LENGTHS)


def _penalty(stack: RecurrentStack, batch: Ragged, weigh: Tensor) -> Tensor:
    stack.zero_grad()
    with recording(stack) as calls:
        output, _ = stack(batch)
        (output.values * weigh).sum().backward()  # type: ignore[no-untyped-call]
        stack.zero_grad()
        return vanishing_penalty(calls)


@pytest.mark.parametrize("cell", ["elman", "lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_value_and_gradient_are_those_of_the_formula(cell: str, bidirectional: bool) -> None:
    """Against whole rows in autograd, with a Jacobian for every step and every row."""
    batch = _batch()
    stack = layers.build(cell, 3, 4, bidirectional=bidirectional).double()
    weigh = torch.randn(len(batch.values), stack.output_size, dtype=torch.float64)
    found = _penalty(stack, batch, weigh)
    found.backward()  # type: ignore[no-untyped-call]
    gradient = stack.get_parameter("weight_hh_l0").grad
    directions = []
    for direction in range(stack.num_directions):
        own = batch.with_values(weigh.chunk(stack.num_directions, 1)[direction])
        rows = zip(batch.split_rows(), own.split_rows(), strict=True)
        turned = [(x.flip(0), above.flip(0)) if direction else (x, above) for x, above in rows]
        weights = stack.weights_of(0, direction)
        directions.append(torch.cat([_terms(stack.cell, weights, x, above) for x, above in turned if len(x)]).mean())
    expected = torch.stack(directions).mean()
    stack.zero_grad()
    expected.backward()  # type: ignore[no-untyped-call]
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-10)
    torch.testing.assert_close(gradient, stack.get_parameter("weight_hh_l0").grad, rtol=1e-8, atol=1e-12)


def _terms(cell: Cell, weights: Weights, x: Tensor, above: Tensor) -> Tensor:
    """(|delta J| / |delta| - 1)^2 at every step of a row but the first, with J spelled out."""
    fixed = {name: weight.detach() for name, weight in weights.items()}
    sizes = cell.state_sizes(4)
    states, jacobians = [torch.zeros(sum(sizes), dtype=torch.float64)], []
    for step in x:

        def move(state: Tensor, step: Tensor = step) -> Tensor:
            parts = tuple(part.unsqueeze(0) for part in state.split(list(sizes)))
            return torch.cat(cell.step(cell.project(step.unsqueeze(0), fixed), parts, weights), 1)[0]

        jacobians.append(torch.autograd.functional.jacobian(move, states[-1], create_graph=True))
        states.append(move(states[-1]).detach())
    terms, delta = [], torch.zeros(sum(sizes), dtype=torch.float64)
    for jacobian, direct in zip(reversed(jacobians), above.flip(0), strict=True):
        delta = delta + F.pad(direct, (0, sum(sizes) - 4))
        terms.append(((delta @ jacobian).norm() / delta.norm() - 1).square())
        delta = delta @ jacobian.detach()
    return torch.stack(terms[:-1]) if len(x) > 1 else torch.zeros(0, dtype=torch.float64)


@pytest.mark.parametrize("scale", [0.2, 2.5])
def test_with_the_penalty_alone_gradients_learn_to_keep_their_norm(scale: float) -> None:
    torch.manual_seed(0)
    stack = layers.build("elman", 3, 8).double()
    with torch.no_grad():
        stack.get_parameter("weight_hh_l0").mul_(scale)
    batch = Ragged.from_padded(0.3 * torch.randn(6, 20, 3, dtype=torch.float64))
    weigh = torch.zeros(len(batch.values), 8, dtype=torch.float64)
    weigh[-6:] = 1.0  # a loss at the last step

    def lost() -> float:
        with recording(stack):
            x = batch.with_values(batch.values.clone().requires_grad_())
            output, _ = stack(x)
            (first,) = torch.autograd.grad((output.values * weigh).sum(), x.values)
        return abs(float((first[:6].norm() / first[-6:].norm()).log()))

    before = lost()
    optimizer = torch.optim.Adam([stack.get_parameter("weight_hh_l0")], lr=0.02)
    for _ in range(150):
        penalty = _penalty(stack, batch, weigh)
        optimizer.zero_grad()
        penalty.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert lost() < 0.4 * before


@pytest.mark.parametrize("bptt", ["full", 6])
def test_from_the_recipe(bptt: object, polarity: Path, tmp_path: Path) -> None:
    def weights(penalty: float) -> bytes:
        recipe = build_recipe(
            {
                "data": {"train": str(polarity), "input": "text", "target": "label"},
                "model": {"embedding_dim": 4, "hidden_size": 5},
                "training": {"epochs": 1, "bptt": bptt, "vanishing_penalty": penalty, "num_threads": 1},
            }
        )
        folder = train_recipe(recipe, tmp_path / f"run{penalty}", Observer())
        return (folder / "model.safetensors").read_bytes()

    assert weights(0.0) != weights(1.0)


@pytest.mark.parametrize(
    "model", [{"recurrent_dropout": 0.1}, {"weight_dropout": 0.1}, {"zoneout": [0.1]}, {"recompute": True}]
)
def test_what_it_does_not_know_is_refused(model: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=f"`training.vanishing_penalty` does not go with `model.{next(iter(model))}`"):
        build_recipe({"model": model, "training": {"vanishing_penalty": 0.5}})
