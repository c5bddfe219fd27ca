"""Models that write: error rates with pooled references, predictions, the report, and one run from end to end."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import ostinato
from ostinato.cli.app import app
from ostinato.data.dataset import Examples
from ostinato.data.features import TextFeature
from ostinato.data.places import Places
from ostinato.data.sequences import Sequences
from ostinato.errors import RecipeError
from ostinato.layers.beam_search import Written
from ostinato.metrics.edit_distance import align, edit_distance
from ostinato.run import Run
from ostinato.tasks.given import rows_by_given
from ostinato.tasks.prepare import prepare
from ostinato.tasks.seq2seq.model import Seq2Seq
from ostinato.tasks.seq2seq.report import attention_of
from ostinato.tasks.transcripts import Transcript, compared, scores_of, transcribe
from ostinato.training.progress import Observer

LETTERS = "abcd"


def _pairs(path: Path, count: int = 240, seed: int = 0) -> Path:
    """Each letter as a sound; a word may stand twice, then with another last sound."""
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        word = "".join(draw.choice(LETTERS) for _ in range(draw.randint(2, 5)))
        lines.append(f"{word}  {' '.join(letter.upper() for letter in word)}")
    lines += [f"{line}H" for line in lines[:10]]
    path.write_text("\n".join(lines) + "\n")
    return path


SETTINGS: dict[str, Any] = {
    "data.format": "pairs",
    "data.group": "word",
    "data.validation": 0.15,
    "model.embedding_dim": 8,
    "model.hidden_size": 16,
    "model.bidirectional": True,
    "model.decoder.beam_size": 3,
    "model.decoder.max_new_tokens": 8,
    "training.epochs": 16,
    "training.batch_size": 16,
    "training.learning_rate": 0.02,
    "training.num_threads": 1,
    "training.monitor": "token_error_rate",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("pairs")
    return ostinato.train(_pairs(folder / "words.txt"), settings=SETTINGS, out=folder / "run", observer=Observer())


def test_it_learns_and_says_so(run: Run) -> None:
    assert run.recipe.model.task == "seq2seq"
    assert run.recipe.data.target == "phones"
    assert run.summary["validation"]["token_error_rate"] < 0.1
    prediction = run.predict(["abca"])[0]
    assert prediction.text == "A B C A"
    candidates = cast("tuple[tuple[str, float], ...]", prediction.candidates)
    assert candidates[0][0] == "A B C A"
    assert [score for _, score in candidates] == sorted((score for _, score in candidates), reverse=True)


def test_from_the_command_line(run: Run, cli: Callable[..., Any], tmp_path: Path) -> None:
    assert cli("predict", run.folder, "abca").out == "A B C A\n"
    found = json.loads(cli("predict", run.folder, "--json", "abca").out)
    assert found["text"] == "A B C A"
    assert len(found["candidates"]) == 3
    held_out = _pairs(tmp_path / "other.txt", 20, seed=9)
    assert "token error rate" in cli("evaluate", run.folder, held_out).out
    assert cli("predict", run.folder, "--file", held_out).out.count("\n") == 30


def test_figures_of_a_run(run: Run) -> None:
    prepared = prepare(run.recipe)
    examples = cast("Examples", prepared.validation)
    found = run.spec.evaluate(run.model, examples, run.features, run.recipe, run.device)
    assert found["num_examples"] == len(rows_by_given(examples)) < len(examples)
    assert found["exact"] == pytest.approx(1 - found["sequence_error_rate"])
    assert found["loss"] == pytest.approx(run.summary["validation"]["loss"])
    assert set(run.spec.monitor(run.model, examples, run.features, run.recipe, run.device)) == set(found)


def test_the_report(run: Run) -> None:
    page = (run.folder / "report.html").read_text()
    assert "Writes <code>phones</code>, word by word, from <code>word</code>." in page
    for part in ("token error rate", "wrong sequences", "Examples", "Attention", "beam search, 3 wide"):
        assert part in page


def test_other_sequences_are_drawn_for_a_source(run: Run) -> None:
    source = cast("Examples", prepare(run.recipe).validation).preview(0)
    likeliest = run.predict([source])[0].text
    shown = CliRunner().invoke(app, ["generate", str(run.folder), "--condition", source, "-n", "40", "--seed", "1"])
    assert shown.exit_code == 0, shown.output
    drawn = shown.stdout.splitlines()
    assert len(drawn) == 40
    assert likeliest in drawn
    assert len(set(drawn)) > 1
    safest = ["generate", str(run.folder), "--condition", source, "--temperature", "0", "-n", "2"]
    assert len(set(CliRunner().invoke(app, safest).stdout.splitlines())) == 1


def test_attention_has_a_row_a_token_that_sums_to_one(run: Run) -> None:
    examples = cast("Examples", prepare(run.recipe).validation)
    weights = attention_of(cast("Seq2Seq", run.model), examples, 0, [3, 4], torch.device("cpu"))
    assert weights.shape == (3, len(examples.sequences.row(0)))
    np.testing.assert_allclose(weights.sum(1), 1.0, rtol=1e-5)


def test_references_of_equal_sources_are_pooled(run: Run) -> None:
    target = run.features.sequence_target
    ids = {name: number for number, name in enumerate(cast("TextFeature", target).vocabulary.tokens)}

    def found(*written: str) -> Transcript:
        answer = (Written(tuple(ids[sound] for sound in written), 0.0, 0.0),)
        return compared([0], [answer], [("A B C", "A D")], target)[0]

    scored = scores_of([found("A", "D"), found("A", "B"), found("D", "D", "D")], run.features)
    assert scored["sequence_error_rate"] == pytest.approx(2 / 3)
    assert scored["num_tokens"] == 2 + 3 + 2
    assert scored["token_error_rate"] == pytest.approx((0 + 1 + 2) / 7)


def test_rows_are_the_same_that_are_given_the_same() -> None:
    rows = Sequences.from_lengths(np.asarray([3, 4, 3, 4, 3]), np.asarray([2, 2, 1]))
    beside = Sequences.from_lengths(np.asarray([3, 4, 3]), np.asarray([1, 1, 1]))
    assert list(rows_by_given(Examples(rows, None, Places(), np.arange(3))).values()) == [[0, 1], [2]]
    apart = rows_by_given(Examples(rows, None, Places(), np.arange(3), {"speaker": beside}))
    assert list(apart.values()) == [[0], [1], [2]]


def test_a_sample_is_evenly_spaced(run: Run) -> None:
    examples = cast("Examples", prepare(run.recipe).validation)
    target = run.features.sequence_target
    some = transcribe(cast("Seq2Seq", run.model), examples, target, run.device, 1, most=4)
    everything = transcribe(cast("Seq2Seq", run.model), examples, target, run.device, 1)
    assert [one.row for one in some][:: len(some) - 1] == [everything[0].row, everything[-1].row]
    assert len(some) == 4


@pytest.mark.parametrize(
    ("reference", "written", "distance"),
    [("kitten", "sitting", 3), ("", "ab", 2), ("ab", "", 2), ("abc", "abc", 0), ("abcd", "bcda", 2)],
)
def test_edit_distance_and_alignment(reference: str, written: str, distance: int) -> None:
    edits = align(reference, written)
    assert edit_distance(reference, written) == distance == sum(one != other for one, other in edits)
    assert "".join(one for one, _ in edits if one) == reference
    assert "".join(other for _, other in edits if other) == written


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.decoder.beam_size", 50, "`model.decoder.beam_size` must be at most 9, the tokens"),
        ("model.decoder.bridge", "copy", "lays side by side the states of 2 direction.s., 32 units"),
        ("features.target.kind", "category", "`features.target.kind`"),
    ],
)
def test_recipes_that_do_not_fit(tmp_path: Path, key: str, value: object, message: str) -> None:
    settings = {**SETTINGS, "training.epochs": 1, key: value}
    with pytest.raises(RecipeError, match=message):
        ostinato.train(_pairs(tmp_path / "words.txt", 60), settings=settings, out=tmp_path / "run", observer=Observer())
    assert not (tmp_path / "run" / "log.jsonl").exists()
