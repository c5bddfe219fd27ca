"""What is written is scored against what stood in the file: sources and references never pass through a vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import pytest

from ostinato.data.features import TextFeature, TrainingPart
from ostinato.layers.beam_search import Written
from ostinato.recipe import TextRecipe, build_recipe
from ostinato.run import Run, load
from ostinato.tasks.given import rows_by_given
from ostinato.tasks.prepare import prepare
from ostinato.tasks.transcripts import compared, scores_of, transcribe
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe

COLOURS = ("rot", "blau", "gelb", "weiss")


def _write(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("source\ttarget\n" + "".join(f"{source}\t{target}\n" for source, target in rows))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Trained on colours; validated on sources of which it knows no word, each with one of four targets."""
    folder = tmp_path_factory.mktemp("colours")
    train = _write(folder / "train.tsv", [(f"{one} thing", f"{one} haus") for one in COLOURS] * 5)
    other = [(f"{'zq' * (i + 1)} huh{i}", f"{COLOURS[i % 4]} haus") for i in range(12)]
    other.append((other[0][0], "Haus unerhört"))
    recipe = build_recipe(
        {
            "data": {
                "train": str(train),
                "validation": str(_write(folder / "other.tsv", other)),
                "input": "source",
                "target": "target",
            },
            "features": {"input": {"unit": "words"}, "target": {"kind": "text", "unit": "words"}},
            "model": {"task": "seq2seq", "hidden_size": 4},
            "training": {"epochs": 1, "num_threads": 1},
        }
    )
    return load(train_recipe(recipe, folder / "run", Observer()))


def test_sources_of_unknown_words_are_not_one(run: Run) -> None:
    examples = prepare(run.recipe).validation
    assert len({examples.sequences.row(row).tobytes() for row in range(len(examples))}) == 1
    assert list(rows_by_given(examples).values()) == [[0, 12], *([row] for row in range(1, 12))]
    assert run.summary["validation"]["num_examples"] == 12


def test_one_answer_is_right_for_its_share_of_the_sources(run: Run) -> None:
    examples, target = prepare(run.recipe).validation, cast("TextFeature", run.features.sequence_target)
    found = transcribe(cast("Any", run.model), examples, target, run.device, 1)
    answer = (Written(tuple(target.vocabulary.ids[word] for word in ("rot", "haus")), 0.0, 0.0),)
    scored = scores_of(
        compared([one.row for one in found], [answer] * 12, [one.references for one in found], target), run.features
    )
    assert scored["exact"] == pytest.approx(3 / 12)
    assert scored["sequence_error_rate"] == pytest.approx(9 / 12)
    assert scored["token_error_rate"] == pytest.approx(9 / 24)


def test_what_is_right_is_shown_as_it_stood(run: Run) -> None:
    found = transcribe(
        cast("Any", run.model), prepare(run.recipe).validation, run.features.sequence_target, run.device, 1
    )
    assert found[0].references == ("rot haus", "Haus unerhört")


def _words(tokens: list[str], **options: Any) -> TextFeature:
    feature = TextFeature.builder(
        TextRecipe(unit="words", **{"markup": "keep", "case": "keep", "punctuation": "keep", **options})
    )
    draft = feature.draft(pl.Series([" ".join(tokens)]))
    feature.add(draft, np.ones(1, dtype=np.bool_))
    return cast("TextFeature", feature.finish(TrainingPart())[0])


def test_folding_does_not_make_small_letters_right() -> None:
    feature = _words(["das", "haus", "."], case="fold")
    answer = (Written(tuple(feature.vocabulary.ids[word] for word in ("das", "haus", ".")), 0.0, 0.0),)
    one = compared([0], [answer], [("Das Haus.",)], feature)[0]
    assert one.right == ("Das", "Haus", ".")
    assert one.distance == 2


def test_an_unknown_word_of_a_reference_is_itself() -> None:
    feature = _words(["das", "haus"])
    answer = (Written((feature.vocabulary.ids["das"],), 0.0, 0.0),)
    one = compared([0], [answer], [("das Schloss", "der Dom zu Köln")], feature)[0]
    assert (one.nearest, one.right, one.said, one.distance) == ("das Schloss", ("das", "Schloss"), ("das",), 1)


def test_bleu_is_of_the_text_of_the_file(run: Run) -> None:
    pytest.importorskip("sacrebleu")
    feature = _words(["Ein", "Hund", "läuft", "schnell", "."])
    numbers = feature.vocabulary.ids
    answer = (Written(tuple(numbers[word] for word in ("Ein", "Hund", "läuft", "schnell", ".")), 0.0, 0.0),)
    features = type(run.features)(run.features.input, feature)
    right = compared([0], [answer], [("Ein Hund läuft schnell.",)], feature)
    wrong = compared([0], [answer], [("Ein Dackel läuft schnell.",)], feature)
    assert scores_of(right, features)["bleu"] == pytest.approx(100)
    assert scores_of(wrong, features)["bleu"] < 60


def test_the_input_of_a_file_is_given_back_in_full(run: Run, tmp_path: Path) -> None:
    source = "red thing " * 60
    file = tmp_path / "long.tsv"
    file.write_text(f"source\n{source}\n")
    assert run.predict_file(file)[0][1].strip() == source.strip()
