"""The portfolios: words, letters, nucleotides, tags and series in time are planned each in their own way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ostinato
from ostinato.data.dataset import Prepared
from ostinato.recipe import apply_overrides, build_recipe, described
from ostinato.tasks.classification.evaluation import predict_examples
from ostinato.tasks.plan import Shape
from ostinato.tasks.prepare import prepare
from ostinato.tasks.registry import task_of
from ostinato.training.progress import Observer

SENTENCES = ["the dog runs home", "a cat sleeps", "the old cat runs", "a dog sleeps well"]
TAGS = ["D N V A", "D N V", "D A N V", "D N V A"]


def _prepared(path: Path, cells: list[str], answers: list[str], **settings: Any) -> Prepared:
    path.write_text("x,y\n" + "".join(f'"{x}",{y}\n' for x, y in zip(cells, answers, strict=True)))
    wanted = {key.replace("__", "."): value for key, value in settings.items()}
    return prepare(described(path, input="x", target="y", settings=wanted))


def _drawn(letters: str, count: int, length: int) -> list[str]:
    draw = np.random.default_rng(0)
    return ["".join(draw.choice(list(letters), length)) for _ in range(count)]


def test_words_have_an_ngram_path_and_letters_a_longer_one(tmp_path: Path) -> None:
    words: Any = _prepared(tmp_path / "a.csv", SENTENCES * 10, ["p", "q"] * 20).recipe
    assert words.training.plan == "words: 36 rows of 4 steps, 2 classes"
    assert (words.model.bidirectional, words.model.pooling) == (True, ("max", "mean"))
    letters: Any = _prepared(tmp_path / "b.csv", _drawn("abcdefgh", 40, 7), ["p", "q"] * 20).recipe
    assert letters.training.plan.startswith("letters: 36 rows of 7 steps")
    assert 1 < words.model.ngrams < letters.model.ngrams


def test_the_share_of_the_linear_score_is_decided_and_kept(tmp_path: Path) -> None:
    rows = _prepared(tmp_path / "a.csv", SENTENCES * 10, ["p", "q"] * 20).validation
    settings = {"training.steps": 12, "training.baselines_seconds": 0, "training.num_threads": 1}
    run = ostinato.train(
        tmp_path / "a.csv", input="x", target="y", settings=settings, out=tmp_path / "run", observer=Observer()
    )
    decided = json.loads((tmp_path / "run" / "decisions.json").read_text())["linear_share"]
    assert 0.5 < decided <= 1  # they know the rows after a few steps
    assert run.model.linear_share == decided
    scored: list[int] = []
    run.model.linear.register_forward_hook(lambda *_: scored.append(1))
    found = [predict_examples(run.model, rows, run.device) for _ in range(2)]
    assert torch.equal(*found)
    assert len(scored) == 1  # what doesn't change is known
    run.model.linear.weight.mul_(2)
    assert not torch.equal(predict_examples(run.model, rows, run.device), found[0])
    assert len(scored) == 2


def test_buckets_grow_with_the_text_and_are_fewer_for_many_classes(tmp_path: Path) -> None:
    recipe = _prepared(tmp_path / "a.csv", SENTENCES * 10, ["p", "q"] * 20).recipe

    def buckets(steps: int, classes: int) -> int:
        shape = Shape(rows=600, steps=steps, typical=9, longest=9, width=0, classes=classes, form="ids")
        return int(task_of(recipe).plan(shape, recipe).options["model.ngram_buckets"])

    assert buckets(100, 2) < buckets(100_000, 2) < buckets(10_000_000, 2)
    assert 60 * buckets(10_000_000, 60) <= buckets(10_000_000, 2)


def test_places_are_read_where_all_rows_are_as_long(tmp_path: Path) -> None:
    same = _prepared(tmp_path / "a.csv", _drawn("ACGT", 40, 30), ["p", "q"] * 20)
    read: Any = same.recipe.features.input
    assert (read.k, read.positions) == (3, 15)
    assert same.train.sequences.values.shape[1] == 4**3 + 15  # the data were read again
    ragged: Any = _prepared(tmp_path / "b.csv", [*_drawn("ACGT", 39, 30), "ACGT" * 9], ["p", "q"] * 20).recipe
    assert (ragged.features.input.k, ragged.features.input.positions) == (3, 0)
    asked = {"features__input__kind": "dna", "features__input__k": 2}
    mine: Any = _prepared(tmp_path / "a.csv", _drawn("ACGT", 40, 30), ["p", "q"] * 20, **asked).recipe
    assert (mine.features.input.k, mine.features.input.positions) == (2, 14)


def test_taggers_read_both_ways_and_words_by_their_characters(tmp_path: Path) -> None:
    tags = _prepared(tmp_path / "a.csv", SENTENCES * 10, TAGS * 10, model__task="tagging")
    recipe: Any = tags.recipe
    assert recipe.training.plan.startswith("words: 36 rows")
    assert (recipe.model.bidirectional, recipe.features.input.characters) == (True, True)
    assert tags.features.input.form == "words"
    mine: Any = _prepared(tmp_path / "b.csv", SENTENCES * 10, TAGS * 10, model__task="tagging", model__delay=1).recipe
    assert (mine.model.bidirectional, mine.model.delay) == (False, 1)
    protein: Any = _prepared(tmp_path / "c.csv", _drawn("ACDEFGHIKLMNPQRSTVWY", 30, 25), _drawn("HEC", 30, 25)).recipe
    assert (protein.features.input.encoding, protein.features.input.scales) == ("shares", True)


def _series(path: Path, values: Any) -> Path:
    path.write_text("time,value\n" + "".join(f"{step},{value:.4f}\n" for step, value in enumerate(values)))
    return path


def test_a_forecast_reads_as_far_back_as_tells_something(tmp_path: Path) -> None:
    steps, drawn = np.arange(600), np.random.default_rng(0).normal(size=600)
    settings = {"model.task": "forecasting", "data.time": "time"}
    seasons = _series(tmp_path / "t.csv", steps / 20 + np.sin(2 * np.pi * steps / 12) + 0.1 * drawn)
    recipe: Any = prepare(described(seasons, settings=settings)).recipe
    assert "a season of 12 steps" in recipe.training.plan
    assert (recipe.model.blend, recipe.model.horizon) == ("auto", 24)
    assert recipe.training.refit == "none"  # the network has learnt the difference from one map, and from no other
    assert 13 <= recipe.model.lookback <= 200
    walk: Any = prepare(described(_series(tmp_path / "u.csv", drawn.cumsum()), settings=settings)).recipe
    assert walk.model.lookback < 13
    short = described(_series(tmp_path / "v.csv", drawn[:90].cumsum()), settings=settings)
    planned: Any = prepare(short).recipe
    assert planned.model.horizon == 10
    asked: Any = prepare(described(tmp_path / "v.csv", settings={**settings, "model.horizon": 24})).recipe
    assert asked.model.horizon == 24


def test_pairs_of_texts_build_on_what_counting_knows(tmp_path: Path) -> None:
    target = {"features__target__kind": "text", "model__task": "seq2seq"}
    words: Any = _prepared(tmp_path / "a.csv", SENTENCES * 10, SENTENCES[::-1] * 10, **target).recipe
    assert words.training.plan == "words: 36 rows of 4 steps"
    assert (words.training.max_minutes, words.model.bidirectional) == (5, True)
    assert words.model.decoder.lexicon > 0
    assert words.features.target.min_frequency == 1  # few rows: no word can be spared
    spelled: Any = _prepared(tmp_path / "b.csv", _drawn("abcd", 40, 7), _drawn("efgh", 40, 7), **target).recipe
    assert spelled.training.plan.startswith("characters: 36 rows of 7 steps")
    assert 1 < words.model.ngrams < spelled.model.ngrams
    mine: Any = _prepared(
        tmp_path / "a.csv", SENTENCES * 10, SENTENCES * 10, model__decoder__attention="none", **target
    ).recipe
    assert (mine.model.decoder.attention, mine.model.decoder.lexicon) == ("none", 0)  # does not go with it
    many = Shape(rows=20_000, steps=200_000, typical=10, longest=40, width=0, classes=0, form="ids")
    options = task_of(words).plan(many, words).options
    assert (options["features.input.min_frequency"], options["features.target.min_frequency"]) == (2, 2)
    assert "features.input.min_frequency" not in task_of(spelled).plan(many, spelled).options
    long = Shape(rows=20_000, steps=9_000_000, typical=450, longest=900, width=0, classes=0, form="ids")
    assert "model.decoder.lexicon" not in task_of(spelled).plan(long, spelled).options


def test_pairs_of_frames_are_planned_without_tokens(tmp_path: Path) -> None:
    rows = ["[1.0, 2.0, 3.0]", "[2.0, 1.0]"] * 20
    target = {"features__target__kind": "series", "model__task": "seq2seq"}
    path = tmp_path / "a.csv"
    path.write_text("x,y\n" + "".join(f'ab,"{row}"\n' for row in rows))
    wanted = {key.replace("__", "."): value for key, value in target.items()}
    recipe: Any = prepare(described(path, input="x", target="y", settings=wanted)).recipe
    assert recipe.training.plan.startswith("frames: 36 rows")
    assert (recipe.model.ngrams, recipe.model.decoder.lexicon) == (0, 0)


def test_what_is_written_for_a_value_builds_on_ngrams(tmp_path: Path) -> None:
    given = {"features__input__kind": "category", "model__task": "conditional"}
    names = _prepared(
        tmp_path / "a.csv", ["p", "q"] * 20, _drawn("abcd", 40, 7), features__target__kind="text", **given
    )
    recipe: Any = names.recipe
    assert recipe.training.plan == "characters: 36 rows of 7 steps"  # of what is written
    assert (recipe.model.ngrams, recipe.model.hidden_size, recipe.training.steps) == (5, 256, 1000)
    (tmp_path / "b.csv").write_text("x,y\n" + 'p,"[1.0, 2.0, 3.0]"\nq,"[2.0, 1.0]"\n' * 20)
    wanted = {"features.target.kind": "series", **{key.replace("__", "."): value for key, value in given.items()}}
    curves: Any = prepare(described(tmp_path / "b.csv", input="x", target="y", settings=wanted)).recipe
    assert (curves.model.ngrams, curves.training.batch_size) == (0, 16)


def test_clips_are_read_small_and_by_what_moves() -> None:
    recipe = build_recipe({"features": {"input": {"kind": "video"}}, "model": {"task": "classification"}})
    clips = Shape(rows=90, steps=900, typical=10, longest=12, width=0, classes=2, form="pictures", shortest=2)
    found = task_of(recipe).plan(clips, recipe)
    assert (found.name, found.reread, found.options["features.input.motion"]) == ("clips", True, "only")
    assert found.options["training.keep"] == "last"
    build_recipe(apply_overrides(recipe.model_dump(), found.options))
    still = replace(clips, shortest=1)
    assert "features.input.motion" not in task_of(recipe).plan(still, recipe).options  # a single frame has none


def test_next_steps_are_planned_by_what_frames_hold(tmp_path: Path) -> None:
    from ostinato.tasks.next_step.plan import plan

    recipe = build_recipe({"features": {"input": {"kind": "series"}}, "model": {"task": "next_step"}})
    shape = Shape(rows=40, steps=800, typical=20, longest=20, width=1, classes=0, form="vectors")
    numbers = plan(shape, recipe)
    assert (numbers.name, numbers.options["model.numbers.components"]) == ("frames of numbers", 5)
    recipe = build_recipe({"features": {"input": {"kind": "notes"}}, "model": {"task": "next_step"}})
    few, many = plan(shape, recipe), plan(replace(shape, steps=90_000), recipe)
    assert "model.recurrence" not in few.options
    assert (many.options["model.recurrence"], many.steps) == ("note", 1500)


def test_a_table_of_series_alone_is_planned(tmp_path: Path) -> None:
    rows = [f'"[{", ".join(str(round((row * at) % 7 / 3, 2)) for at in range(1, 9))}]"' for row in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["x", *rows]), encoding="utf-8")
    recipe = prepare(build_recipe({"data": {"train": str(tmp_path / "t.csv")}})).recipe
    assert (recipe.model.task, recipe.model.cell, recipe.training.steps) == ("next_step", "gru", 500)
