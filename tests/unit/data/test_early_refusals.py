"""What a recipe and the head of its data decide is refused before the data are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ostinato.data.inference.open_target import possible_recipes
from ostinato.data.inference.sample import DataSample
from ostinato.data.io.blocks import Block
from ostinato.data.readers.delimited import DelimitedSource
from ostinato.data.rejects import BadRows
from ostinato.errors import RecipeError
from ostinato.recipe import build_recipe
from ostinato.tasks.prepare import prepare

TAGS = {"features.target.kind": "tags"}


class _ReadError(Exception):
    """The data were read."""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sentences with a class, a measured number, a few whole numbers, labels and a tag for each word; its head may be
    looked at, no more."""
    rows = ["text,kind,price,stars,themes,tags"]
    for n in range(40):
        rows.append(f'{"good" * (n % 2) or "bad"} film {n},{"pq"[n % 2]},{n / 8},{n % 5},"a,{"bc"[n % 2]}",{"X Y Z"}')
    path = tmp_path / "films.csv"
    path.write_text("\n".join(rows) + "\n")

    def blocks(self: DelimitedSource, columns: Sequence[str]) -> Iterator[Block]:
        raise _ReadError(f"{self.path}: {columns}")

    monkeypatch.setattr(DelimitedSource, "blocks", blocks)
    return path


def _mapping(path: Path, target: str, settings: dict[str, Any]) -> dict[str, Any]:
    mapping: dict[str, Any] = {"data": {"train": str(path), "input": "text", "target": target}}
    for key, value in settings.items():
        *parents, last = key.split(".")
        node = mapping
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return mapping


@pytest.mark.parametrize(
    ("target", "settings", "message"),
    [
        ("kind", {"training.monitor": "mae"}, "measured here: loss, accuracy, f1. Received: 'mae'"),
        ("price", {"training.monitor": "f1"}, "measured here: loss, mae, rmse, r2. Received: 'f1'"),
        ("stars", {"training.monitor": "bleu"}, "measured here: loss, accuracy, f1, mae, rmse, r2. Received: 'bleu'"),
        ("tags", {**TAGS, "training.monitor": "bleu"}, "measured here: loss, accuracy, f1, exact. Received: 'bleu'"),
        ("price", {"training.label_smoothing": 0.1}, "label_smoothing` only applies with classes or labels"),
        ("price", {"data.stratify": True}, "stratify` only applies with a target of classes"),
        ("themes", {"data.stratify": True, "features.target.kind": "labels"}, "stratify` only applies with"),
        ("price", {"features.target.separator": "|"}, "separator` only applies with a target of labels"),
        (
            "tags",
            {"training.label_smoothing": 0.1, "model.task": "tagging", "model.output": "crf"},
            "not apply with crf",
        ),
        ("kind", {"model.task": "classification", "features.target.kind": "tags"}, "auto, class, .* for a classifier"),
        ("kind", {"model.task": "seq2seq", "features.target.kind": "class"}, r"text, .* for a seq2seq"),
    ],
)
def test_it_is_refused(table: Path, target: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        prepare(build_recipe(_mapping(table, target, settings)))


@pytest.mark.parametrize(
    ("target", "settings"),
    [
        ("kind", {"training.monitor": "f1", "training.label_smoothing": 0.1, "data.stratify": True}),
        ("price", {"training.monitor": "rmse"}),
        ("stars", {"training.monitor": "mae", "training.label_smoothing": 0.1}),
        ("price", {"training.monitor": "f1", "data.where": "price = 1"}),
        ("tags", {**TAGS, "training.monitor": "exact"}),
    ],
)
def test_what_only_the_rest_can_decide_is_read(table: Path, target: str, settings: dict[str, Any]) -> None:
    with pytest.raises(_ReadError):
        prepare(build_recipe(_mapping(table, target, settings)))


@pytest.mark.parametrize(
    ("target", "kinds"),
    [
        ("kind", ["class", "labels"]),
        ("price", ["number"]),
        ("stars", ["class", "labels", "number"]),
        ("themes", ["class", "labels"]),
    ],
)
def test_what_an_open_target_may_become(table: Path, target: str, kinds: list[str]) -> None:
    recipe = build_recipe(_mapping(table, target, {"model.task": "classification"}))
    found = possible_recipes(recipe, DataSample(DelimitedSource(table, BadRows())))
    assert [one.features.target.kind for one in found] == kinds
