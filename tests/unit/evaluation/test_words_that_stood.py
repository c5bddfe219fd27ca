"""Passages of a report show the words of the data, also those that the vocabulary does not hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ostinato.recipe import build_recipe
from ostinato.run import load
from ostinato.tasks.language_model.report import language_results
from ostinato.tasks.language_model.stood import words_that_stood
from ostinato.tasks.prepare import prepare
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe

SMALL: dict[str, Any] = {"embedding_dim": 4, "hidden_size": 5}
LINES = [f"the cat number{i} sat on mat{i}" for i in range(40)]
WORDS = " ".join(LINES).split()


def _recipe(folder: Path, kind: str) -> dict[str, Any]:
    data: dict[str, Any] = {"train": str(folder / "book.txt"), "validation": 0.3}
    (folder / "book.txt").write_text("\n".join(LINES))
    if kind == "own file":
        data["validation"] = str(folder / "other.txt")
        (folder / "other.txt").write_text("\n".join(reversed(LINES)))
    if kind == "documents":
        data |= {"train": str(folder / "docs.jsonl"), "input": "text"}
        (folder / "docs.jsonl").write_text("\n".join(json.dumps({"text": line}) for line in LINES))
    features = {"input": {"unit": "words", "min_frequency": 2}}
    training = {"epochs": 1, "batch_size": 2, "bptt": 20, "num_threads": 1}
    return {"data": data, "features": features, "model": SMALL, "training": training}


@pytest.mark.parametrize("kind", ["share", "own file", "documents"])
def test_unknown_words_are_read_again(tmp_path: Path, kind: str) -> None:
    prepared = prepare(build_recipe(_recipe(tmp_path, kind)))
    values, feature = prepared.validation.sequences.values, prepared.features.text
    shown = words_that_stood(prepared, 0, len(values))
    read = " ".join(reversed(LINES)).split() if kind == "own file" else WORDS[len(WORDS) - len(shown or ()) :]
    assert shown == read
    assert len(read) == len(values) - (int((values == 2).sum()))
    known = [feature.vocabulary.tokens[token] for token in values if token != 2]
    assert known.count("<unk>") > 10
    assert all(one in ("<unk>", word) for one, word in zip(known, read, strict=True))
    place = 2 if kind == "documents" else 7
    assert (
        words_that_stood(prepared, place, 9)
        == read[place - int((values[:place] == 2).sum()) :][: 9 - int((values[place : place + 9] == 2).sum())]
    )


def test_the_report_shows_them_and_data_that_changed_are_not_shown(tmp_path: Path) -> None:
    train_recipe(build_recipe(_recipe(tmp_path, "share")), tmp_path / "run", Observer())
    run = load(tmp_path / "run")
    prepared = prepare(run.recipe)
    shown = [column["token"] for column in language_results(run.model, prepared, run.device)["passage"]["columns"]]
    assert any(token.startswith("number") for token in shown)
    assert "<unk>" not in shown
    (tmp_path / "book.txt").write_text("\n".join(LINES[:-1]))
    assert words_that_stood(prepared, 0, 40) is None
