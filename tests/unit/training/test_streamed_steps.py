"""Taggers and next-step models read window by window, their state carried: the same losses as whole rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tagged import tagged_by_the_word_before

from ostinato.data.batching import BucketedBatches
from ostinato.data.dataset import Examples, Prepared
from ostinato.errors import RecipeError
from ostinato.recipe import Recipe, build_recipe
from ostinato.tasks.next_step.model import NextStep
from ostinato.tasks.next_step.recipe import NextStepRecipe
from ostinato.tasks.prepare import prepare
from ostinato.tasks.registry import task_of
from ostinato.tasks.tagging.model import Tagger
from ostinato.tasks.training import training_of
from ostinato.tasks.training_streamed import StreamedRowsTraining
from ostinato.training.progress import Observer
from ostinato.training.train import resume_run, train_recipe

WINDOWS = [{"window": 5}, {"window": 3, "backprop": 9}, {"window": 3, "backprop": 9, "truncation": "random"}]


def _rolls(folder: Path) -> Path:
    draw = np.random.default_rng(0)
    parts: dict[str, Any] = {}
    for name, count in (("train", 12), ("valid", 4)):
        lengths = draw.integers(3, 20, count)
        parts[name] = (draw.random((int(lengths.sum()), 88)) < 0.05).astype(np.uint8)
        parts[f"{name}_lengths"] = lengths
    np.savez(folder / "rolls.npz", **parts)
    return folder / "rolls.npz"


def _sentences(folder: Path) -> Path:
    """A state is needed, and must not leak between sentences."""
    return tagged_by_the_word_before(folder / "words.conll", 60, ["a", "b", "c"], np.random.default_rng(1))


def _music(folder: Path, bptt: Any, **features: Any) -> Recipe:
    path = _rolls(folder)
    return build_recipe(
        {
            "data": {"train": f"{path}#train", "validation": f"{path}#valid"},
            "features": {"input": {"kind": "notes", **features}},
            "model": {"task": "next_step", "hidden_size": 6},
            "training": {"epochs": 2, "batch_size": 3, "bptt": bptt, "num_threads": 1},
        }
    )


def _tied_music(folder: Path, bptt: Any) -> Recipe:
    """Each note with a state of its own, which goes with its row from window to window."""
    recipe = _music(folder, bptt)
    return recipe.model_copy(update={"model": NextStepRecipe(hidden_size=6, recurrence="note", reach=2)})


def _tags(folder: Path, bptt: Any, epochs: int = 2, **model: Any) -> Recipe:
    return build_recipe(
        {
            "data": {"train": str(_sentences(folder)), "input": "form", "target": "tag"},
            "features": {"input": {"kind": "tokens"}, "target": {"kind": "tags"}},
            "model": {"task": "tagging", "hidden_size": 8, "embedding_dim": 6, **model},
            "training": {"epochs": epochs, "batch_size": 4, "bptt": bptt, "num_threads": 1, "learning_rate": 0.02},
        }
    )


def _whole_nll(model: torch.nn.Module, prepared: Prepared) -> float:
    """The losses of all training rows, each read whole."""
    examples = prepared.train
    assert isinstance(examples, Examples)
    with torch.no_grad():
        batch = BucketedBatches(examples, len(examples)).batch(np.arange(len(examples)))
        if isinstance(model, NextStep):
            return float(model.nll(batch.inputs).sum())
        assert isinstance(model, Tagger)
        return float(model.head.total(model(batch.inputs), batch.sequence_targets)[0])


@pytest.mark.parametrize("make", [_music, _tied_music, _tags])
@pytest.mark.parametrize("bptt", WINDOWS[:2])
def test_the_losses_of_an_epoch_are_those_of_whole_rows(make: Any, bptt: Any, tmp_path: Path) -> None:
    prepared = prepare(make(tmp_path, bptt))
    torch.manual_seed(0)
    model = task_of(prepared.recipe).build(prepared.recipe, prepared.features)
    task = training_of(task_of(prepared.recipe), model, prepared, torch.device("cpu"))
    assert isinstance(task, StreamedRowsTraining)
    total = 0.0
    for update in task.training.batches(0):
        mean, _ = task.backward(update)
        total += mean * sum(chunk.window.num_steps for chunk in update.chunks if chunk.counts)
    assert total == pytest.approx(_whole_nll(model, prepared), rel=1e-5)


@pytest.mark.parametrize("make", [_music, _tied_music, _tags])
def test_a_window_as_long_as_the_rows_has_their_gradient(make: Any, tmp_path: Path) -> None:
    prepared = prepare(make(tmp_path, {"window": 10_000}))
    torch.manual_seed(0)
    model = task_of(prepared.recipe).build(prepared.recipe, prepared.features)
    task = training_of(task_of(prepared.recipe), model, prepared, torch.device("cpu"))
    (update,) = task.batches(0, 0)
    task.backward(update)
    found = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad()
    examples = prepared.train
    assert isinstance(examples, Examples)
    batch = BucketedBatches(examples, len(examples)).batch(np.arange(len(examples)))
    model.loss(batch, prepared.recipe.training).backward()  # type: ignore[operator, union-attr]
    for name, weight in model.named_parameters():
        torch.testing.assert_close(found[name], weight.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("bptt", WINDOWS)
def test_a_tagger_learns_in_windows_what_needs_the_step_before(bptt: Any, tmp_path: Path) -> None:
    folder = train_recipe(_tags(tmp_path, bptt, epochs=25), tmp_path / "run", Observer())
    import ostinato

    assert ostinato.load(folder).summary["validation"]["accuracy"] > 0.95


def test_resuming_takes_up_the_state(tmp_path: Path) -> None:
    from tests.unit.training.test_exactness import _StopAt

    recipe = _music(tmp_path, {"window": 5})
    whole = train_recipe(recipe, tmp_path / "whole", Observer())
    with pytest.raises(KeyboardInterrupt):
        train_recipe(recipe, tmp_path / "cut", _StopAt(5))
    again = resume_run(tmp_path / "cut", None, Observer())
    assert (again / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (lambda folder: _music(folder, 5, transpose=2), "`features.input.transpose` needs whole rows"),
        (lambda folder: _tags(folder, 5, output="crf"), "`model.output` needs whole rows"),
        (lambda folder: _tags(folder, 5, delay=2), "`model.delay` needs whole rows"),
        (lambda folder: _tags(folder, 5, bidirectional=True), "`model.bidirectional` needs whole rows"),
        (lambda folder: _tags(folder, {"window": 5, "carry_state": False}), "`training.bptt.carry_state` must be true"),
    ],
)
def test_what_needs_whole_rows_is_refused(recipe: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=said):
        train_recipe(recipe(tmp_path), tmp_path / "run", Observer())
    assert not (tmp_path / "run").exists()
