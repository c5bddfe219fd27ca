"""Taggers that read their own answers: forced by them they are the free model, and a task that needs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from ostinato.api import train
from ostinato.errors import RecipeError
from ostinato.layers.inputs import embed_ids
from ostinato.recipe import apply_overrides, build_recipe
from ostinato.run import load
from ostinato.tasks.tagging.feedback import FeedbackTagger
from ostinato.tasks.tagging.recipe import TaggingRecipe
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe
from ostinato.types import Ragged


def _model(kind: str = "tags", cell: str = "gru") -> FeedbackTagger:
    torch.manual_seed(1)
    recipe = TaggingRecipe(hidden_size=6, embedding_dim=5, embedding_std=2.0, cell=cell, num_layers=2)
    return FeedbackTagger(recipe, embed_ids(9, recipe), num_outputs=4, kind=kind).double().eval()


def _ids(*lengths: int) -> Ragged:
    generator = torch.Generator().manual_seed(2)
    total = sum(lengths)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return Ragged.from_rows(torch.randint(0, 9, (total,), generator=generator), starts, lengths)


@pytest.mark.parametrize("kind", ["tags", "notes", "series"])
@pytest.mark.parametrize("cell", ["lstm", "jordan"])
def test_forced_by_its_own_answers_it_is_the_free_model(kind: str, cell: str) -> None:
    model, ids = _model(kind, cell), _ids(3, 7, 0, 1)
    with torch.no_grad():
        free = model(ids)
        forced = model.led(ids, model.head.decode(free))
    torch.testing.assert_close(forced.values, free.values, rtol=1e-12, atol=1e-12)


def test_another_answer_changes_what_follows_and_nothing_before() -> None:
    model, ids = _model(), _ids(6)
    answers = ids.with_values(torch.tensor([0, 1, 2, 3, 0, 1]))
    other = ids.with_values(torch.tensor([0, 1, 3, 3, 0, 1]))
    with torch.no_grad():
        first, second = (model.led(ids, each).values for each in (answers, other))
    assert torch.equal(first[:3], second[:3])
    assert (first[3:] != second[3:]).any(dim=1).all()


def test_rows_together_are_rows_one_by_one() -> None:
    model, lengths = _model(), (4, 2, 5)
    ids = _ids(*lengths)
    with torch.no_grad():
        together = model(ids).split_rows()
        for row, one in zip(ids.split_rows(), together, strict=True):
            alone = model(Ragged.from_rows(row, [0], [len(row)]))
            torch.testing.assert_close(alone.values, one, rtol=1e-12, atol=1e-12)


def test_no_rows_give_no_outputs() -> None:
    assert _model()(_ids(0, 0)).values.shape == (0, 4)


def test_unknown_tags_before_are_as_none() -> None:
    model, ids = _model(), _ids(2)
    with torch.no_grad():
        unseen, none = (
            model.led(ids, ids.with_values(torch.tensor([first, 0]))).values
            for first in (-2, model.output.out_features)
        )
    assert torch.equal(unseen, none)


@pytest.mark.parametrize(("key", "value"), [("bidirectional", True), ("output", "crf"), ("delay", 2)])
def test_what_needs_whole_rows_is_refused(key: str, value: object) -> None:
    with pytest.raises(RecipeError, match=r"`model.feedback: output` answers step by step"):
        build_recipe({"model": {"task": "tagging", "feedback": "output", key: value}})


def _toggles(path: Path) -> Path:
    """A tag that turns over whenever the input says so: the answer before is all there is to know."""
    random = np.random.default_rng(0)
    x = [[f"{word}" for word in np.where(random.random(12) < 0.3, "turn", "keep")] for _ in range(200)]
    y = [["on" if n % 2 else "off" for n in np.cumsum([word == "turn" for word in row])] for row in x]
    pl.DataFrame({"x": x, "y": y}).write_parquet(path)
    return path


def test_a_run_learns_what_the_answer_before_tells(tmp_path: Path) -> None:
    settings = {
        "features.target.kind": "tags",
        "model.task": "tagging",
        "model.feedback": "output",
        "model.hidden_size": 16,
        "model.cell": "elman",
        "training.epochs": 12,
        "training.learning_rate": 0.02,
        "training.num_threads": 1,
    }
    data = _toggles(tmp_path / "toggles.parquet")
    mapping = apply_overrides({"data": {"train": str(data), "input": "x", "target": "y"}}, settings)
    run = load(train_recipe(build_recipe(mapping), tmp_path / "run", Observer()))
    assert run.summary["validation"]["accuracy"] == 1.0
    assert load(run.folder).predict([["turn", "keep", "turn"]])[0].tags == ("on", "on", "off")
    with pytest.raises(RecipeError, match="feedback"):
        train(data, input="x", target="y", settings={**settings, "training.bptt": 4}, out=tmp_path / "r2")


def test_feedback_has_no_meaning_elsewhere(polarity: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"`model.feedback` does not apply to a classifier"):
        train(polarity, input="text", target="label", settings={"model.feedback": "output"}, out=tmp_path / "run")
    with pytest.raises(RecipeError, match="feedback"):
        build_recipe({"model": {"feedback": "input"}})
