"""One to many: what is given reaches the first state, every step, or both; whole targets are what steps make."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ostinato.data.batching import Batch
from ostinato.data.vocabulary import END_ID
from ostinato.layers.inputs import Vectors
from ostinato.recipe import TrainingRecipe
from ostinato.tasks.conditional.model import Conditional
from ostinato.tasks.conditional.recipe import ConditionalRecipe
from ostinato.types import Ragged

V = 9


@pytest.fixture(autouse=True)
def _double() -> Any:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _model(condition: str, **model: Any) -> Conditional:
    settings = {"hidden_size": 4, "embedding_dim": 5, **model, "decoder": {"condition": condition}}
    return Conditional(ConditionalRecipe.model_validate(settings), Vectors(3), V).eval()


def _given(num_rows: int = 3) -> Ragged:
    return Ragged.from_rows(torch.rand(num_rows, 3), starts=range(num_rows), lengths=[1] * num_rows)


def _targets(lengths: list[int]) -> Ragged:
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    return Ragged.from_rows(torch.randint(3, V, (sum(lengths),)), starts, lengths)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("condition", ["state", "input", "both"])
def test_whole_targets_are_what_steps_make(condition: str, cell: str) -> None:
    model = _model(condition, cell=cell, num_layers=2)
    given, targets = _given(), _targets([4, 0, 2])
    nll = model.nll(given, targets).split_rows()
    for row, wanted in enumerate(targets.split_rows()):
        alone = Ragged.from_rows(given.row_major()[row : row + 1], [0], [1])
        writing, last = model.begin(alone), torch.tensor([END_ID])
        for place, token in enumerate([*wanted.tolist(), END_ID]):
            logits, writing = model.decoder.step(last, writing)
            found = -logits.log_softmax(1)[0, token]
            torch.testing.assert_close(found, nll[row][place], rtol=0, atol=1e-12)
            last = torch.tensor([token])


@pytest.mark.parametrize("condition", ["state", "input", "both"])
def test_what_is_given_matters_and_gets_gradients(condition: str) -> None:
    model, targets = _model(condition), _targets([3, 2, 1])
    values = torch.rand(3, 3, requires_grad=True)
    given = Ragged.from_rows(values, [0, 1, 2], [1, 1, 1])
    loss = model.loss(Batch(given, targets, torch.arange(3).numpy()), TrainingRecipe())
    loss.backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None
    assert bool((values.grad.abs().sum(1) > 0).all())
    assert all(parameter.grad is not None for parameter in model.parameters())
    fed, bridge = model.decoder.fed_size, len(model.bridge)
    assert (fed, bridge) == {"state": (0, 2), "input": (3, 0), "both": (3, 2)}[condition]
    assert ("bridge" in model.parts) == (condition != "input")


def test_the_mean_is_over_tokens_with_their_end() -> None:
    model, given, targets = _model("both"), _given(), _targets([3, 0, 5])
    loss = model.loss(Batch(given, targets, torch.arange(3).numpy()), TrainingRecipe())
    torch.testing.assert_close(loss, model.nll(given, targets).values.mean())
    assert len(model.nll(given, targets).values) == 3 + 0 + 5 + 3
