"""A task that says nothing of its own is diagnosed and verified all the same: its model has an encoder and a loss."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.data.batching import Batch
from ostinato.data.dataset import Examples, Features
from ostinato.data.features import TokensFeature
from ostinato.data.places import Places
from ostinato.data.sequences import Sequences
from ostinato.diagnostics import diagnose
from ostinato.diagnostics.equivalence import verify_model
from ostinato.errors import RunError
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.layers.inputs import embed_ids
from ostinato.metrics.classification import Metrics
from ostinato.nn import Pooling
from ostinato.recipe import Recipe, TrainingRecipe
from ostinato.recipe.kinds import TokensRecipe
from ostinato.recipe.model import EmbeddingRecipe
from ostinato.tasks.probing import Reading, with_encoding
from ostinato.tasks.spec import Section, TaskSpec

RECIPE, ROWS = Recipe(), 6


class _Ordinal(nn.Module):
    """Ordered classes from thresholds, written by someone who knows nothing of diagnoses."""

    def __init__(self, pooling: str = "last") -> None:
        super().__init__()
        recipe = EmbeddingRecipe(embedding_dim=4, hidden_size=5)
        self.encoder = RecurrentEncoder(recipe, inputs=embed_ids(9, recipe))
        self.pooling = Pooling((cast("Any", pooling),), 5, False)
        self.score = nn.Linear(5, 1)
        self.thresholds = nn.Parameter(torch.arange(2.0))

    def forward(self, inputs: Any) -> Tensor:
        score: Tensor = self.score(self.pooling(self.encoder(inputs)[0]))
        return score - self.thresholds

    def loss(self, batch: Batch, training: TrainingRecipe) -> Tensor:
        above = (batch.row_targets.unsqueeze(1) > torch.arange(2)).to(self.thresholds.dtype)
        return F.binary_cross_entropy_with_logits(self(batch.inputs), above, reduction="none").sum(1).mean()


class _OrdinalByRow(_Ordinal):
    """The same, which knows the loss of each row."""

    def row_losses(self, batch: Batch) -> Tensor:
        above = (batch.row_targets.unsqueeze(1) > torch.arange(2)).to(self.thresholds.dtype)
        return F.binary_cross_entropy_with_logits(self(batch.inputs), above, reduction="none").sum(1)


class _Spec(TaskSpec):
    name, noun = "ordinal", "ordinal model"

    def build(self, recipe: Recipe, features: Features) -> nn.Module:
        raise NotImplementedError

    def evaluate(self, *_: Any) -> Metrics:
        raise NotImplementedError

    def report(self, *_: Any, **__: Any) -> Section:
        raise NotImplementedError


def _examples() -> Examples:
    random = np.random.default_rng(0)
    lengths = np.array([7, 1, 4, 5, 3, 6])
    values = random.integers(2, 9, int(lengths.sum())).astype(np.int32)
    return Examples(Sequences.from_lengths(values, lengths), random.integers(0, 3, ROWS), Places(), np.arange(ROWS))


def _features() -> Features:
    return Features(TokensFeature.fit(TokensRecipe(), np.asarray(list("abcde"), dtype=object)))


def _reading(model: nn.Module) -> Reading:
    return Reading(_Spec(), model.eval(), _examples(), _features(), RECIPE)


def _model(kind: type[_Ordinal], pooling: str = "last") -> _Ordinal:
    torch.manual_seed(0)
    return kind(pooling)


@pytest.mark.parametrize("kind", [_Ordinal, _OrdinalByRow])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_an_encoder_and_a_loss_are_enough_for_a_diagnosis(kind: type[_Ordinal], pooling: str) -> None:
    model = _model(kind, pooling)
    reading = _reading(model)
    (part,) = reading.spec.probes(replace(reading, model=model))
    subject = part.make(ROWS, 0)
    batch = reading.spec.batch(reading.examples, np.arange(ROWS))
    with torch.no_grad():
        own = reading.spec.answers(model, batch, reading.features, RECIPE)
        assert float(own.mean()) == pytest.approx(float(model.loss(batch, RECIPE.training)))
    torch.testing.assert_close(subject.row_losses(), own)
    torch.testing.assert_close(subject.losses_within(7), own)
    assert not torch.allclose(subject.losses_within(1), own)
    found = diagnose(subject)
    assert found.num_rows == ROWS
    assert found.reads_every_step == (pooling == "mean")
    assert found.gradient_horizon >= 1
    assert list(dict(model.named_parameters())) == list(dict(kind().named_parameters())), "the model is as it was"
    torch.testing.assert_close(model(batch.inputs), model(batch.inputs))


@pytest.mark.parametrize("kind", [_Ordinal, _OrdinalByRow])
def test_and_for_a_certificate(kind: type[_Ordinal]) -> None:
    model = _model(kind)
    reading = _reading(model)
    batch, found = reading.read(np.arange(ROWS))
    assert list(found) == ["encoder"]
    assert sorted(found["encoder"].inputs.lengths.tolist()) == [1, 3, 4, 5, 6, 7]
    certificate = verify_model(model, batch, lambda module, some: reading.answers(some, module), list(found.values()))
    assert certificate.passed, certificate.failures
    assert {row.form for row in certificate.rows if row.passed} == {
        "ragged",
        "ragged, repeated",
        "one at a time",
        "saved and loaded",
    }
    assert reading.spec.sample(model, reading.examples, reading.features, 2, np.random.default_rng(0)) is None
    assert reading.spec.case(model) is None


def test_the_gradient_of_a_given_encoding_is_that_of_the_model() -> None:
    model = _model(_OrdinalByRow, "mean")
    reading = _reading(model)
    batch, _ = reading.read(np.arange(ROWS))
    seen: list[Any] = []
    hook = model.encoder.register_forward_hook(lambda _, __, out: (out[0].values.retain_grad(), seen.append(out))[1])
    cast("_OrdinalByRow", model).row_losses(batch).sum().backward()  # type: ignore[no-untyped-call]
    hook.remove()
    ((hidden, finals),) = seen
    leaf = hidden.values.detach().requires_grad_()
    given = with_encoding(model, hidden.with_values(leaf), finals)
    assert cast("Any", given).encoder.output_size == 5
    reading.answers(batch, given).sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(leaf.grad, hidden.values.grad)


def test_and_for_a_signature() -> None:
    model = _model(_Ordinal).train()
    found = _Spec().signature(model, _features(), RECIPE)
    assert [(spec.name, spec.dtype, spec.shape) for spec in (*found.inputs, *found.outputs)] == [
        ("input", "int32", ("batch", "time")),
        ("outputs", "float32", ("batch", 2)),
    ]
    assert [(spec.name, spec.shape) for spec in found.states] == [
        ("encoder.0.h", (1, "batch", 5)),
        ("encoder.0.c", (1, "batch", 5)),
    ]
    assert model.training


def test_what_is_missing_is_named() -> None:
    reading = _reading(nn.Linear(2, 3))
    with pytest.raises(RunError, match="the ordinal model can't be diagnosed: its model has no `encoder`"):
        reading.spec.probes(reading)
    batch = reading.spec.batch(reading.examples, np.arange(2))
    with pytest.raises(RunError, match=r"a Linear has no `loss\(batch, training\)`"):
        reading.answers(batch, reading.model)
