"""Certificates of models whose task says how they are run in every form."""

from __future__ import annotations

import pytest
import torch
from tests.unit.diagnostics.certified import failed_forms, failures_of, ids, language_model
from torch import nn
from torch.nn import functional as F

from ostinato.diagnostics import verify
from ostinato.kernels import native
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.classification.recipe import ClassificationRecipe
from ostinato.tasks.language_model.model import LanguageModel


def test_language_models_read_tokens_and_stream_them() -> None:
    model = language_model(num_layers=2, tie_embeddings=True, head_dropout=0.5, input_dropout=0.5).train()
    targets = ids().values.flip(0)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    certificate = verify(model, ids(), loss=lambda scores: F.cross_entropy(scores, targets, reduction="sum"))
    assert certificate.passed, certificate.failures
    forms = {row.form for row in certificate.rows if row.backend == "reference" and row.passed}
    assert {"token ids", "token stream", "stream", "chunked", "step by step"} <= forms
    assert model.training
    assert all(torch.equal(weight, before[name]) and weight.grad is None for name, weight in model.named_parameters())


def test_a_language_model_whose_stream_errs_fails_there(monkeypatch: pytest.MonkeyPatch) -> None:
    model = language_model()
    head = model.projection
    monkeypatch.setattr(LanguageModel, "projection", lambda self: (head()[0] * 1.01, head()[1]))
    failed = failures_of(verify(model, ids()))
    assert failed <= {("token stream", "native")}
    assert failed or native.missing_reason() is not None


@pytest.mark.parametrize("bidirectional", [False, True])
def test_classifiers_with_pooling_and_ngrams(bidirectional: bool) -> None:
    torch.manual_seed(0)
    settings = {"embedding_dim": 4, "hidden_size": 5, "bidirectional": bidirectional, "head_size": 3}
    settings |= {"pooling": ["last", "mean", "max", "attention"], "ngrams": 2, "ngram_buckets": 32}
    model = Classifier(ClassificationRecipe.model_validate({**settings}), 12, 2)
    assert model.ngrams is not None
    nn.init.normal_(model.ngrams.weight)
    nn.init.normal_(model.ngrams.log_ratio)
    certificate = verify(model, ids())
    assert certificate.passed, certificate.failures
    forms = {row.form for row in certificate.rows if row.passed}
    assert ("chunked" in forms) != bidirectional
    assert "token ids" in forms


def test_a_pooling_that_mixes_rows_fails_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    recipe = ClassificationRecipe.model_validate({"embedding_dim": 4, "hidden_size": 5})
    model = Classifier(recipe, 12, 2)
    read = Classifier.read
    monkeypatch.setattr(Classifier, "read", lambda self, pooled, extra: read(self, pooled - pooled.mean(0), extra))
    assert failed_forms(verify(model, ids())) == {"one at a time"}
