"""Tiny trained runs, one of each kind, whose data is as hostile as text can be."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ostinato.data.dataset import Prepared
from ostinato.recipe import build_recipe
from ostinato.run import Run, load
from ostinato.tasks.prepare import prepare
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe

HOSTILE = (
    "<script>alert(1)</script> \"a\" & 'b' </title></style><img src=x onerror=alert(2)> {{ 7*7 }} \x1b[31m \u202e $x^2$"
)
WORDS = ("a", "good", "film", "about", "bad", "people", "who", "do", "nothing", "well", "and", "everything", "badly")


class Trained(NamedTuple):
    """A run in memory with its data."""

    run: Run
    prepared: Prepared


def _texts() -> list[str]:
    return [
        HOSTILE if i % 3 == 0 else " ".join(WORDS[(i * 7 + k * k) % len(WORDS)] for k in range(3 + i % 11))
        for i in range(90)
    ]


def _table(path: Path, column: str, cells: list[str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out)
        rows.writerow(["text", column])
        rows.writerows(zip(_texts(), cells, strict=True))
    return path


def _recipe(kind: str, folder: Path) -> dict[str, Any]:
    target = 'say "<u>"'
    data: dict[str, Any] = {"input": "text", "target": target, "validation": 0.4}
    features: dict[str, Any] = {}
    model: dict[str, Any] = {}
    training: dict[str, Any] = {}
    if kind == "two":
        cells = ["good" if i % 2 else "<script>bad()</script>" for i in range(90)]
        data["train"] = _table(folder / "two <i>.csv", target, cells)
        model = {"bidirectional": True, "pooling": ["max", "mean"], "head_size": 3}
    elif kind == "four":
        cells = [("<b>one</b>", "$two^2$", "良い & co", "four")[i % 4] for i in range(90)]
        data["train"] = _table(folder / "four.csv", target, cells)
    elif kind == "labels":
        cells = [json.dumps([n for n, k in (("<i>x", 2), ('"y"', 3), ("z", 5)) if i % k == 0]) for i in range(90)]
        data["train"] = _table(folder / "labels.csv", target, cells)
    elif kind == "number":
        data["train"] = _table(folder / "number.csv", target, [str(0.25 * (i % 13) - 1) for i in range(90)])
    else:
        data = {"validation": 0.3, "train": folder / "book.txt"}
        features = {"input": {"unit": kind}}
        if kind == "subwords":
            features["input"]["max_size"] = 300
        model = {"num_layers": 2, "tie_embeddings": True}
        training = {"bptt": 20}
        book = "\n\n".join(f"{text}\n{text[::-1]}" for text in _texts())
        (folder / "book.txt").write_text(book, encoding="utf-8")
        if kind == "documents":
            features = {}
            data |= {"input": "text", "train": folder / "documents.jsonl"}
            lines = [json.dumps({"text": text[:30]}) for text in _texts()]
            (folder / "documents.jsonl").write_text("\n".join(lines), encoding="utf-8")
    data["train"] = str(data["train"])
    return {
        "name": '<b>"run" & co',
        "data": data,
        "features": features,
        "model": {"embedding_dim": 4, "hidden_size": 5, **model},
        "training": {"epochs": 2, "batch_size": 8, "num_threads": 1, "learning_rate": 0.01, **training},
    }


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trained]:
    """The run of a kind: two, four, labels, number, characters, words, subwords, documents. Trained once a session."""

    @cache
    def make(kind: str) -> Trained:
        folder = tmp_path_factory.mktemp(kind)
        train_recipe(build_recipe(_recipe(kind, folder)), folder / "run", Observer())
        run = load(folder / "run")
        return Trained(run, prepare(run.recipe))

    return make
