"""`training.bptt` from the recipe on: classifiers in windows, documents reset, evaluation and text as in training."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.unit.training.test_exactness import _StopAt

import ostinato
from ostinato.data.vocabulary import END_ID
from ostinato.errors import RecipeError
from ostinato.recipe import BpttRecipe, Recipe, build_recipe
from ostinato.tasks.language_model.evaluation import evaluate_stream
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.sampling import encode_prompt, generate_chunks
from ostinato.tasks.prepare import prepare
from ostinato.tasks.registry import task_of
from ostinato.tasks.training import training_of
from ostinato.tasks.training_streamed import StreamedRowsTraining
from ostinato.training.progress import Observer
from ostinato.training.train import resume_run, train_recipe

WINDOWS = [
    {"window": 6},
    {"window": 4, "backprop": 10},
    {"window": 4, "backprop": 12, "truncation": "random"},
]


def _classifier(polarity: Path, bptt: Any, **model: Any) -> Recipe:
    return build_recipe(
        {
            "data": {"train": str(polarity), "input": "text", "target": "label"},
            "model": {"embedding_dim": 8, "hidden_size": 8, "pooling": ["last", "mean", "attention"], **model},
            "training": {"epochs": 2, "batch_size": 8, "bptt": bptt, "num_threads": 1, "learning_rate": 0.01},
        }
    )


def _documents(folder: Path, bptt: Any) -> Recipe:
    texts = ["one two three", "four", "five six seven eight nine ten", "one four five", "two two two"] * 6
    path = folder / "documents.jsonl"
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8")
    return build_recipe(
        {
            "data": {"train": str(path), "input": "text", "validation": 0.3},
            "model": {"embedding_dim": 6, "hidden_size": 7},
            "training": {"epochs": 2, "batch_size": 3, "bptt": bptt, "num_threads": 1},
        }
    )


@pytest.mark.parametrize("bptt", WINDOWS)
def test_a_classifier_reads_in_windows_and_learns(bptt: Any, polarity: Path, tmp_path: Path) -> None:
    recipe = _classifier(polarity, bptt, ngrams=2, ngram_buckets=64)
    recipe = recipe.model_copy(update={"training": recipe.training.model_copy(update={"epochs": 6})})
    folder = train_recipe(recipe, tmp_path / "run", Observer())
    steps = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    losses = {epoch: [e["loss"] for e in steps if e["kind"] == "step" and e["epoch"] == epoch] for epoch in (1, 6)}
    assert np.mean(losses[6]) < 0.8 * np.mean(losses[1])
    run = ostinato.load(folder)
    assert run.predict("a fine film")[0].probabilities is not None
    (validation,) = [event["loss"] for event in steps if event["kind"] == "validation"][-1:]
    assert run.summary["validation"]["loss"] <= validation


def test_each_row_is_scored_once_an_epoch_as_evaluation_scores_it(polarity: Path) -> None:
    """With weights that stand still, the losses of an epoch in windows are those of the rows read whole."""
    prepared = prepare(_classifier(polarity, {"window": 5}))
    torch.manual_seed(0)
    model = task_of(prepared.recipe).build(prepared.recipe, prepared.features)
    task = training_of(task_of(prepared.recipe), model, prepared, torch.device("cpu"))
    assert isinstance(task, StreamedRowsTraining)
    total, count = 0.0, 0
    for update in task.training.batches(0):
        value, _ = task.backward(update)
        ended = sum(int(chunk.window.pieces.ends.sum()) for chunk in update.chunks if chunk.counts)
        total, count = total + value * ended, count + ended
    assert count == len(task.examples)
    task.prepared = dataclasses.replace(prepared, validation=task.examples)
    assert total / count == pytest.approx(float(task.evaluate()["loss"]), rel=1e-5)


@pytest.mark.parametrize("kind", ["classifier", "documents"])
@pytest.mark.parametrize("bptt", [*WINDOWS, {"window": 4, "backprop": 12, "truncation": "adaptive"}])
def test_stopped_in_the_middle_of_a_row_and_resumed_bit_for_bit(
    kind: str, bptt: Any, polarity: Path, tmp_path: Path
) -> None:
    if kind == "classifier" and bptt.get("truncation") == "adaptive":
        pytest.skip("needs a loss at each step")
    recipe = _classifier(polarity, bptt) if kind == "classifier" else _documents(tmp_path, bptt)
    whole = train_recipe(recipe, tmp_path / "whole", Observer())
    folder = tmp_path / "pieces"
    with pytest.raises(KeyboardInterrupt):
        train_recipe(recipe, folder, _StopAt(3))
    with pytest.raises(KeyboardInterrupt):
        resume_run(folder, None, _StopAt(13))
    resume_run(folder, None, Observer())
    assert (folder / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("model", "training", "message"),
    [
        ({"bidirectional": True}, {}, "`model.bidirectional` needs whole rows, but `training.bptt` reads windows of 5"),
        ({}, {"adversarial": 1.0}, "`training.adversarial` needs whole rows"),
        ({}, {"bptt": {"window": 5, "carry_state": False}}, "carry_state` must be true"),
    ],
)
def test_what_needs_whole_rows_is_refused_in_windows(
    model: dict[str, Any], training: dict[str, Any], message: str, polarity: Path, tmp_path: Path
) -> None:
    def train() -> None:
        recipe = _classifier(polarity, {"window": 5}, **model)
        recipe = build_recipe({**recipe.model_dump(), "training": {**recipe.training.model_dump(), **training}})
        train_recipe(recipe, tmp_path / "run", Observer())

    with pytest.raises(RecipeError, match=message):
        train()
    assert not (tmp_path / "run").exists()


def _language_model(folder: Path, bptt: Any) -> tuple[LanguageModel, Any, Any]:
    prepared = prepare(_documents(folder, bptt))
    torch.manual_seed(0)
    model = task_of(prepared.recipe).build(prepared.recipe, prepared.features)
    assert isinstance(model, LanguageModel)
    return model.eval(), prepared.features, prepared.validation.sequences.values


def test_documents_are_scored_each_from_a_fresh_state(tmp_path: Path) -> None:
    model, features, values = _language_model(tmp_path, 100)
    nll = 0.0
    bounds = [0, *np.flatnonzero(values == END_ID).tolist()]
    for start, stop in zip(bounds, [*bounds[1:], None], strict=True):
        ids = torch.from_numpy(values[start : None if stop is None else stop + 1].astype(np.int64)).unsqueeze(1)
        if len(ids) > 1:
            nll += float(model.nll(ids[:-1], ids[1:])[0].detach())
    expected = nll / (len(values) - 1)
    for num_streams in (1, 2):
        found = evaluate_stream(model, values, features, torch.device("cpu"), BpttRecipe(window=100), num_streams)
        assert num_streams == 2 or found["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_model_that_forgets_in_training_forgets_in_evaluation_and_text(tmp_path: Path) -> None:
    model, features, values = _language_model(tmp_path, 100)
    values = values[values != END_ID]
    nll = 0.0
    for start in range(0, len(values) - 1, 5):
        ids = torch.from_numpy(values[start : start + 6].astype(np.int64)).unsqueeze(1)
        nll += float(model.nll(ids[:-1], ids[1:])[0].detach())
    bptt = BpttRecipe(window=5, carry_state=False)
    found = evaluate_stream(model, values, features, torch.device("cpu"), bptt)
    assert found["loss"] == pytest.approx(nll / (len(values) - 1), rel=1e-5)
    prompt = values[:8]
    drawn = np.concatenate(list(generate_chunks(model, prompt, max_new_tokens=30, seed=1, state_reset_interval=5)))
    context = [*prompt.tolist(), *drawn.tolist()]
    greedy = np.concatenate(list(generate_chunks(model, prompt, max_new_tokens=30, top_k=1, state_reset_interval=5)))
    context = [*prompt.tolist(), *greedy.tolist()]
    for place in range(len(prompt), len(context)):
        begin = (place - 1) // 5 * 5
        with torch.no_grad():
            scores = model(torch.tensor(context[begin:place]).unsqueeze(1))[0][-1, 0]
        scores[:2] = -torch.inf
        assert int(scores.argmax()) == context[place], place
    assert len(drawn) <= 30


def test_a_prompt_of_a_document_model_begins_a_document(tmp_path: Path) -> None:
    _, features, _ = _language_model(tmp_path, 100)
    assert encode_prompt(features, "one")[0] == END_ID
    assert encode_prompt(features, "").tolist() == [END_ID]
