"""Metrics of taggers, and tagging from a file to a report by the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import Cli

import ostinato
from ostinato.data.features import TagsFeature
from ostinato.data.sequences import Sequences
from ostinato.metrics.steps import label_metrics, note_metrics, number_metrics
from ostinato.recipe.kinds import TagsRecipe
from ostinato.tasks.tagging.evaluation import tag_metrics

LEXICON = {"the": "DET", "a": "DET", "cat": "NOUN", "dog": "NOUN", "sees": "VERB", "bites": "VERB", "<b>&": "SYM"}
PATTERN = ("DET", "NOUN", "VERB", "DET", "NOUN", "SYM")
BY_TAG = {tag: [word for word, its in LEXICON.items() if its == tag] for tag in PATTERN}


def _sentence(number: int, strange: bool = False) -> list[tuple[str, str]]:
    length = 2 + number % 5
    words = [(BY_TAG[tag][(number + k) % len(BY_TAG[tag])], tag) for k, tag in enumerate(PATTERN[:length])]
    return [("Zyx" if strange and tag == "NOUN" else word, tag) for word, tag in words]


def _conllu(path: Path, sentences: list[list[tuple[str, str]]]) -> Path:
    lines = [
        "".join(f"{k}\t{word}\t_\t{tag}\t{tag}\t_\t0\t_\t_\t_\n" for k, (word, tag) in enumerate(sentence, start=1))
        for sentence in sentences
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _feature(*names: str, **options: Any) -> TagsFeature:
    return TagsFeature.fit(TagsRecipe(**options), np.asarray(names, dtype=object))


def test_tags_are_counted_by_step_and_by_row() -> None:
    feature = _feature("A", "B", "C")
    targets = Sequences.from_lengths(np.asarray([0, 1, 1, 2, -1, -2]), np.asarray([3, 3]))
    answers = [np.asarray([0, 1, 1]), np.asarray([2, 0, 0])]
    found = tag_metrics(answers, targets, feature, np.asarray([False, True, False, False, True, True]))
    assert found["num_tokens"] == 5  # one is ignored
    assert found["accuracy"] == pytest.approx(4 / 5)  # one was never seen, and so is wrong
    assert found["accuracy_unknown"] == pytest.approx(1 / 2)
    assert found["exact"] == pytest.approx(1 / 2)
    assert [row["support"] for row in found["per_class"]] == [1, 2, 1]
    assert found["f1"] == pytest.approx(1.0)
    assert "per_span" not in found


def test_spans_are_scored_where_tags_are_spans_with_tags_never_seen_by_name() -> None:
    feature = _feature("B-X", "I-X", "O", unseen="wrong")
    unseen = feature.transform(np.asarray(["I-Y"], dtype=object))
    targets = Sequences.from_lengths(np.asarray([0, 1, 2, 0, unseen[0]]), np.asarray([3, 2]))
    found = tag_metrics([np.asarray([0, 1, 2]), np.asarray([0, 2])], targets, feature)
    assert found["num_spans"] == 3  # X, X, and the Y that no model can find
    assert found["precision"] == pytest.approx(1.0)
    assert found["recall"] == pytest.approx(2 / 3)
    assert {row["name"]: row["support"] for row in found["per_span"]} == {"X": 2, "Y": 1}


def test_labels_without_an_alignment() -> None:
    targets = [np.asarray([1, 2, 3]), np.asarray([1])]
    found = label_metrics([np.asarray([1, 3]), np.asarray([1])], targets)
    assert found["token_error_rate"] == pytest.approx(1 / 4)
    assert (found["sequence_error_rate"], found["exact"]) == (0.5, 0.5)


def test_notes_and_numbers() -> None:
    truth = np.asarray([[1, 0, 1], [0, 0, 0]])
    found = note_metrics(np.asarray([[1, 1, 0], [0, 0, 0]]), truth)
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert found["f1"] == pytest.approx(1 / 2)
    assert found["exact"] == pytest.approx(1 / 2)
    numbers = number_metrics(np.asarray([[1.0], [2.0]]), np.asarray([[1.0], [4.0]]))
    assert (numbers["mse"], numbers["mae"]) == (2.0, 1.0)
    assert numbers["r2"] == pytest.approx(1 - 4 / 4.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training and validation data, some words of the latter unknown."""
    made = tmp_path_factory.mktemp("tagging")
    _conllu(made / "train.conllu", [_sentence(k) for k in range(60)])
    _conllu(made / "dev.conllu", [_sentence(k, strange=k % 4 == 0) for k in range(20)])
    return made


_SIZES = (
    "model.hidden_size=12",
    "model.embedding_dim=8",
    "training.batch_size=8",
    "training.epochs=4",
    "training.learning_rate=0.03",
)


def _train(cli: Cli, folder: Path, out: Path, *settings: str) -> str:
    arguments = [
        word
        for setting in (*_SIZES, f"data.validation={folder / 'dev.conllu'}", *settings)
        for word in ("--set", setting)
    ]
    result = cli("train", folder / "train.conllu", "--out", out, *arguments)
    assert result.code == 0, result.err
    return result.out + result.err


def test_from_a_conllu_file_to_tags_on_the_command_line(cli: Cli, folder: Path, tmp_path: Path) -> None:
    said = _train(
        cli,
        folder,
        tmp_path / "run",
        "model.bidirectional=true",
        "features.input.characters=true",
        "features.input.kind=tokens",
        "model.characters.hidden_size=4",
        "model.unknown_words=0.5",
    )
    assert "target: upos as tags (a conllu file says so)" in said
    assert "accuracy of unknown words" in said
    predicted = cli("predict", tmp_path / "run", "the cat bites a dog")
    assert predicted.out == "DET NOUN VERB DET NOUN\n"
    as_json = json.loads(cli("predict", tmp_path / "run", "a cat", "--json").out)
    assert as_json["tags"] == ["DET", "NOUN"]
    assert all(0.25 < p <= 1 for p in as_json["details"]["probabilities"])
    of_file = cli("predict", tmp_path / "run", "--file", folder / "dev.conllu").out.splitlines()
    assert len(of_file) == 20
    assert of_file[0].split("\t")[0].endswith("dev.conllu:1")
    metrics = json.loads(cli("evaluate", tmp_path / "run", folder / "dev.conllu", "--json").out)
    assert metrics["accuracy"] > 0.9
    assert metrics["num_tokens"] == sum(2 + k % 5 for k in range(20))
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Gives one of 4 tags (<code>upos</code>) to each word of <code>form</code>" in report
    assert "gives each word its most frequent training tag" in report
    assert "<b>&" not in report
    [prediction] = ostinato.load(tmp_path / "run").predict([["the", "Zyx"]])
    assert prediction.tags == ("DET", "NOUN")


def test_the_worst_rows_are_shown_with_wrong_tags_marked(cli: Cli, folder: Path, tmp_path: Path) -> None:
    _train(cli, folder, tmp_path / "run", "training.epochs=1", "training.learning_rate=1e-6", "model.output=crf")
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "as a chain (CRF)" in report
    assert '<i class="no">' in report
    assert "&lt;b&gt;&amp;" in report
    assert "dev.conllu:" in report


def test_labels_by_ctc(cli: Cli, folder: Path, tmp_path: Path) -> None:
    said = _train(cli, folder, tmp_path / "run", "model.output=ctc", "model.bidirectional=true")
    assert "token error rate" in said
    labels = cli("predict", tmp_path / "run", "the cat bites").out.split()
    assert set(labels) <= set(PATTERN)
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "without an alignment (CTC)" in report
    assert "most frequent labels" in report
    examples = report[report.index("<h3>Examples</h3>") :]
    assert re.search(r"<small class=\"muted\">dev\.conllu:\d+</small></td><td dir=\"auto\">[A-Z ]+</td>", examples)


def test_training_goes_on_where_it_stopped(cli: Cli, folder: Path, tmp_path: Path) -> None:
    settings = ("training.schedule=constant", "model.unknown_words=0.5")
    _train(cli, folder, tmp_path / "whole", *settings)
    _train(cli, folder, tmp_path / "parts", *settings, "training.epochs=1")
    result = cli("train", "--resume", tmp_path / "parts", "--set", "training.epochs=4")
    assert result.code == 0, result.err
    whole, parts = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts"))
    assert whole == parts


def test_a_row_that_can_not_be_used_is_named(cli: Cli, folder: Path, tmp_path: Path) -> None:
    bad = _conllu(tmp_path / "bad.conllu", [_sentence(1), [("cat", "NEVER")], _sentence(2)])
    _train(cli, folder, tmp_path / "run", "training.epochs=1")
    result = cli("evaluate", tmp_path / "run", bad)
    assert result.code == 1
    assert "bad.conllu:5: tag 'NEVER' at step 1 does not occur in the training data: DET, NOUN, SYM, VERB" in result.err
