"""`ostinato verify` on tiny trained runs of each category that is neither classifier nor language model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import Cli
from tests.e2e.every_category import CATEGORIES, train_all
from torch import Tensor

import ostinato
from ostinato.kernels import dispatch, torch_backend
from ostinato.models.tagger import Tagger
from ostinato.types import Ragged, State

EVERY_FORM = {"ragged", "padded", "padded, no lengths", "one at a time", "step by step", "chunked", "stream"}
BOTH_WAYS = {"ragged", "padded", "one at a time"}
PARTS = {
    "tagger": {"encoder": BOTH_WAYS, "encoder.embedding.spelling": BOTH_WAYS},
    "next_step": {"encoder": EVERY_FORM, "output.notes": EVERY_FORM},
    "forecaster": {"encoder": EVERY_FORM},
    "seq2seq": {"encoder": BOTH_WAYS, "decoder": EVERY_FORM},
    "conditional": {"decoder": EVERY_FORM},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By category."""
    return train_all(tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_run_of_any_category_is_verified(runs: dict[str, Path], category: str) -> None:
    certificate = ostinato.load(runs[category]).verify(num_rows=3)
    assert certificate.passed, certificate.failures
    whole = {row.form for row in certificate.rows if row.passed and row.backend == "torch"}
    assert whole == {"ragged", "one at a time", "saved and loaded"}
    compared = {
        part.model.split(":")[0]: {row.form for row in part.rows if row.passed and row.backend == "torch"}
        for part in certificate.parts
    }
    assert compared == {name: {*forms, "saved and loaded"} for name, forms in PARTS[category].items()}
    assert all(1 in part.lengths and len(set(part.lengths)) > 1 for part in certificate.parts)
    saved = json.loads((runs[category] / "certificate.json").read_text(encoding="utf-8"))
    assert [part["passed"] for part in saved["parts"]] == [True] * len(certificate.parts)


def test_what_errs_is_named_with_its_part(runs: dict[str, Path], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def lossy(*arguments: Any) -> tuple[Tensor, State]:
        output, final = torch_backend.scan(*arguments)
        return output.detach() + (output - output.detach()) * 0.9, final

    monkeypatch.setitem(dispatch._BACKENDS, "torch", replace(dispatch._BACKENDS["torch"], scan=lossy))
    broken = cli("verify", runs["conditional"], "--rows", 2)
    assert broken.code == 1
    assert "FAILED: ragged on torch in float64 in Conditional: gradients: a difference of" in broken.out
    assert "FAILED: chunked on torch in float32 in decoder: gradients: a difference of" in broken.out
    assert broken.out.splitlines()[-1].startswith("NOT equivalent: ")


def test_a_model_that_mixes_rows_fails_as_a_whole_alone(runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    forward = Tagger.forward

    def mixes(self: Tagger, inputs: Ragged, extra: Any) -> Ragged:
        outputs = forward(self, inputs, extra)
        return outputs.with_values(outputs.values - outputs.values.mean(0))

    monkeypatch.setattr(Tagger, "forward", mixes)
    certificate = ostinato.load(runs["tagger"]).verify(num_rows=2)
    assert {row.form for row in certificate.failures} == {"one at a time"}
    assert all(part.passed for part in certificate.parts)


def test_a_first_state_that_is_lost_fails(runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder begins where the bridge leaves it: a backend that begins at zero gives other numbers."""

    def forgets(cell: Any, values: Tensor, sizes: Tensor, state: State, weights: Any) -> tuple[Tensor, State]:
        return torch_backend.scan(cell, values, sizes, tuple(torch.zeros_like(part) for part in state), weights)

    monkeypatch.setitem(dispatch._BACKENDS, "torch", replace(dispatch._BACKENDS["torch"], scan=forgets))
    certificate = ostinato.load(runs["conditional"]).verify(num_rows=2)
    (decoder,) = certificate.parts
    assert {"ragged", "one at a time"} <= {row.form for row in decoder.failures if row.backend == "torch"}
    assert not any(row.backend == "native" for row in certificate.failures)
