"""`ostinato verify`, `diagnose` on tiny trained runs of each category that is neither classifier nor language model."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import pytest
import torch
from tests.conftest import Cli
from tests.e2e.every_category import CATEGORIES, train_all, train_one
from torch import Tensor

import ostinato
from ostinato.data.dataset import Examples
from ostinato.diagnostics.validation import validation_of
from ostinato.kernels import dispatch, torch_backend
from ostinato.recipe.training import Monitor
from ostinato.tasks.prepare import prepare
from ostinato.tasks.probing import Reading
from ostinato.tasks.tagging.model import Tagger
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
def test_the_figures_of_a_category_are_known_beforehand(runs: dict[str, Path], category: str) -> None:
    run = ostinato.load(runs[category])
    measured = run.spec.figures(run.recipe, prepare(run.recipe).validation)
    assert {"loss", *measured} == set(get_args(Monitor)) & set(run.summary["validation"])


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


ALL = 1_000_000
"""Answers to draw: there are fewer."""


def _answers(run: ostinato.Run, examples: Examples) -> Tensor:
    """The loss of every answer."""
    batch = run.spec.batch(examples, np.arange(len(examples)))
    return run.spec.answers(run.model, batch, run.features, run.recipe)


@pytest.mark.parametrize("category", CATEGORIES)
def test_what_is_diagnosed_is_the_loss_of_the_model(runs: dict[str, Path], category: str) -> None:
    """Over all answers, the mean of the subjects' losses is the model's own; with all context it is the whole row's."""
    run = ostinato.load(runs[category])
    examples = cast("Examples", validation_of(run.folder, run.recipe))
    with torch.no_grad():
        own = float(_answers(run, examples).double().sum())
    for part in run.spec.probes(Reading(run.spec, run.model, examples, run.features, run.recipe)):
        subject = part.make(ALL, 0)
        losses = subject.row_losses().double()
        if part.name == "encoder":  # of each row the mean over its tokens
            tokens = torch.from_numpy(cast("Any", examples.targets).lengths) + 1
            assert float((losses * tokens).sum()) == pytest.approx(own, rel=1e-4)
        elif category == "forecaster":  # the mean over a window's values
            assert float(losses.sum()) * 8 == pytest.approx(own, rel=1e-4)
        else:
            assert float(losses.sum()) == pytest.approx(own, rel=1e-4)
        longest = subject.inputs.max_length
        torch.testing.assert_close(subject.losses_within(longest).double(), losses)
        assert not torch.allclose(subject.losses_within(1).double(), losses)


@pytest.mark.parametrize("attention", ["luong", "bahdanau"])
def test_a_decoder_that_reads_what_attention_made(tmp_path: Path, attention: str) -> None:
    """It runs step by step; what it read then gives the same losses in one go, and the report says what is left out."""
    decoder = {"attention": attention, "input_feeding": True, "max_new_tokens": 8}
    run = ostinato.load(train_one(tmp_path, "seq2seq", decoder=decoder))
    examples = cast("Examples", validation_of(run.folder, run.recipe))
    _, part = run.spec.probes(Reading(run.spec, run.model, examples, run.features, run.recipe))
    with torch.no_grad():
        own = _answers(run, examples)
    torch.testing.assert_close(part.make(ALL, 0).row_losses(), own, rtol=1e-4, atol=1e-5)
    assert "memory through that path is not measured" in part.remarks[0]


def test_a_recurrence_for_each_note_is_verified_and_diagnosed(tmp_path: Path) -> None:
    """Each answer is a row for each note."""
    notes = {"output": "autoregressive", "output_size": 3}
    run = ostinato.load(train_one(tmp_path, "next_step", recurrence="note", notes=notes, hidden_size=3))
    examples = cast("Examples", validation_of(run.folder, run.recipe))
    (part,) = run.spec.probes(Reading(run.spec, run.model, examples, run.features, run.recipe))
    subject = part.make(ALL, 0)
    with torch.no_grad():
        own = _answers(run, examples)
    torch.testing.assert_close(subject.row_losses(), own)
    assert subject.inputs.num_rows == 88 * len(own)
    few = part.make(4, 0)
    assert few.inputs.num_rows == 88
    torch.testing.assert_close(few.losses_within(few.inputs.max_length), few.row_losses())
    certificate = run.verify(num_rows=2)
    assert certificate.passed
    assert [part.model.split(":")[0] for part in certificate.parts] == ["encoder", "output.upwards"]


def test_a_tagger_whose_tags_hang_on_the_word_before(runs: dict[str, Path]) -> None:
    found = ostinato.load(runs["tagger"]).diagnose(num_rows=16)
    assert found.horizon.steps is not None
    assert 1.5 < found.horizon.steps < 4
    assert found.horizon_ahead is not None
    assert found.horizon_ahead.steps is None
    assert "one_direction" in [advice.kind for advice in found.advice]
    assert not found.reads_every_step


@pytest.mark.parametrize("category", ["next_step", "forecaster", "seq2seq", "conditional"])
def test_a_run_of_any_category_is_diagnosed(cli: Cli, runs: dict[str, Path], category: str) -> None:
    result = cli("diagnose", runs[category], "--rows", 8)
    assert result.code == 0, result.err
    saved = json.loads((runs[category] / "diagnosis.json").read_text(encoding="utf-8"))
    names = ["encoder", "decoder"] if category == "seq2seq" else [""]
    assert [part["name"] for part in (saved, *saved["parts"])] == names
    assert result.out.count("gradient horizon, steps") == len(names)
    assert saved["horizon"]["loss"][0] > saved["horizon"]["full_loss"]
    page = (runs[category] / "report.html").read_text(encoding="utf-8")
    section = page[page.index('<section id="diagnosis"') : page.index('<section id="recipe"')]
    assert section.count("Layer by layer") == len(names)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
