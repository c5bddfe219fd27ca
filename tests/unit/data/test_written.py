"""Target columns of text: classes, or sequences to write."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from ostinato.errors import DataError
from ostinato.recipe import build_recipe
from ostinato.tasks.prepare import inferred, prepare


def _table(path: Path, targets: list[str]) -> Path:
    with path.open("w", newline="") as out:
        csv.writer(out).writerows([("text", "said"), *((f"w{i}", target) for i, target in enumerate(targets))])
    return path


def test_many_different_texts_are_sequences_to_write(tmp_path: Path) -> None:
    path = _table(tmp_path / "rows.csv", [f"Say it {i} times, <b>please</b>!" for i in range(150)])
    said: list[str] = []
    prepared = prepare(build_recipe({"data": {"train": str(path), "input": "text", "target": "said"}}), said.append)
    assert prepared.recipe.model.task == "seq2seq"
    reason = "150 of the first 150 cells are different texts: sequences to write, hardly classes"
    assert said[:4] == [
        f"target: said as text ({reason})",
        "model: seq2seq (said holds a sequence of its own)",
        "input: text as characters (most cells hold one word)",
        "target: said as words (most cells hold several words)",
    ]
    target = prepared.recipe.features.target.model_dump()
    assert {key: target[key] for key in ("unit", "case", "punctuation", "markup")} == {
        "unit": "words",
        "case": "keep",
        "punctuation": "keep",
        "markup": "keep",
    }


@pytest.mark.parametrize(
    "targets",
    [
        ["yes", "no"] * 75,
        [str(i) for i in range(150)],
        [f"text {i}" for i in range(60)],
        [f'["a{i}"]' for i in range(150)],
    ],
    ids=["classes", "numbers", "few rows", "lists of labels"],
)
def test_other_targets_stay_what_they_were(tmp_path: Path, targets: list[str]) -> None:
    path = _table(tmp_path / "rows.csv", targets)
    assert inferred(build_recipe({"data": {"train": str(path), "input": "text", "target": "said"}})).model.task == (
        "classification"
    )


def test_a_classifier_still_refuses_them(tmp_path: Path) -> None:
    path = _table(tmp_path / "rows.csv", [f"text {i}" for i in range(150)])
    recipe = {"data": {"train": str(path), "input": "text", "target": "said"}, "model": {"task": "classification"}}
    with pytest.raises(DataError, match="it is hardly a class column"):
        prepare(build_recipe(recipe))
