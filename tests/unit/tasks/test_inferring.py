"""Tasks say which data are for them; a recipe that leaves its task open gets the one that does."""

from __future__ import annotations

from pathlib import Path

import pytest

from ostinato.errors import RecipeError
from ostinato.recipe import build_recipe
from ostinato.tasks.prepare import inferred
from ostinato.tasks.registry import task_named

TEXTS = "text,label\n" + "good film,p\nbad film,n\n" * 20


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(TEXTS)
    return path


def _task(path: Path) -> str:
    return inferred(build_recipe({"data": {"train": str(path), "input": "text", "target": "label"}})).model.task


def test_two_that_claim_the_same_data_are_both_named(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(task_named("tagging")), "infers", lambda *_: "I say so")
    with pytest.raises(RecipeError, match="can't be inferred from the data") as error:
        _task(table)
    assert "classification, since there is a target column, label; tagging, since I say so." in error.value.message
    assert error.value.hint == "set it: --set model.task=classification"


def test_the_one_of_higher_precedence_is_taken(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _task(table) == "classification"
    spec = type(task_named("conditional"))
    monkeypatch.setattr(spec, "infers", lambda *_: "there is a label")
    monkeypatch.setattr(spec, "precedence", 1)
    with pytest.raises(RecipeError, match="a conditional model is given one value a row"):
        _task(table)


def test_data_that_no_task_claims_must_be_told(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(task_named("classification")), "infers", lambda *_: None)
    with pytest.raises(RecipeError, match="no task fits such data"):
        _task(table)
