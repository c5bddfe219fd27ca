"""What units do: planted ones are found first, questions are read as they are meant, and no others are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import Cli
from tests.unit.exploration.conftest import planted_text

import ostinato
from ostinato.errors import RecipeError, RunError
from ostinato.exploration import Exploration
from ostinato.exploration.following import follow
from ostinato.exploration.questions import asked
from ostinato.recipe import build_recipe
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe

OLD_RUNS = Path(__file__).parents[2] / "fixtures/old_runs"
TOKENS = np.asarray(list('ab (c(d)) "x" \n5'))
ROWS = np.zeros(len(TOKENS), np.int64)


# ---- questions ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("token == 'c'", "0000100000000000"),
        ("token in 'ac'", "1000100000000000"),
        ("token not in ['a', 'c']", "0111011111111111"),
        ("isalpha() and not token == 'a'", "0100101000010000"),
        ("isdigit() or isspace()", "0010000001000111"),
        ("inside('(', ')')", "0001111100000000"),
        ("depth('(', ')')", "0001122100000000"),
        ("inside('\"')", "0000000000110000"),
        ("before(1) == 'c'", "0000010000000000"),
        ("since('(') * (position < 6)", "0120100000000000"),
        ("position % 2", "0101010101010101"),
        ("1 / position == 1 / 0.25", "0000000000000000"),
    ],
)
def test_questions_are_read_as_they_are_meant(question: str, expected: str) -> None:
    columns = {"token": TOKENS, "position": np.arange(len(TOKENS))}
    assert asked(question, columns, ROWS).tolist() == [float(one) for one in expected]


def test_what_runs_begins_anew_in_each_row() -> None:
    rows = np.asarray([0, 0, 0, 1, 1, 1])
    columns = {"token": np.asarray(list("(abcde")), "position": np.asarray([0, 1, 2, 0, 1, 2])}
    assert asked("inside('(', ')')", columns, rows).tolist() == [1, 1, 1, 0, 0, 0]
    assert asked("since('b')", columns, rows).tolist() == [0, 1, 0, 0, 1, 2]
    assert asked("before(1) == ''", columns, rows).tolist() == [1, 0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    "question",
    [
        "__import__('os').system('true')",
        "token.__class__",
        "(lambda: 1)()",
        "[t for t in token]",
        "open('x')",
        "since(token)",
        "inside()",
        "token in 3",
        "unknown",
        "1 +",
        "'" * 3,
        "before(-1)",
        "position ** position",
        "isalpha",
        "token + 1",
        "token == 'a' * 10_000_000_000",
        "'%9999999999d' % 1 == token",
        "token + token == 'aa'",
        "before(99999999999999999999999) == 'a'",
        "1 / 0 == position",
        "position == 0 or " * 100 + "token",
        "(" * 300 + ")" * 300,
    ],
)
def test_what_is_no_question_is_refused(question: str) -> None:
    """Nothing of Python but arithmetic of numbers is reached, and no expression costs more than the steps it is asked
    of: a server asks what comes over the network."""
    columns = {"token": TOKENS, "position": np.arange(len(TOKENS))}
    with pytest.raises(RecipeError, match=r"can't be asked|a question has at most"):
        asked(question, columns, ROWS)


# ---- a network ------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def explored(planted: ostinato.Run, tmp_path_factory: pytest.TempPathFactory) -> Exploration:
    other = tmp_path_factory.mktemp("other") / "other.txt"
    other.write_text(planted_text(1, 3000))
    return planted.explore(other)


@pytest.mark.parametrize(("question", "unit"), [("depth('(', ')')", 3), ("inside('“', '”')", 7), ("since('\\n')", 11)])
def test_a_planted_unit_is_found_first(explored: Exploration, question: str, unit: int) -> None:
    found = explored.answer(question)
    assert found.units[0].unit == unit
    assert abs(found.units[0].correlation) >= 0.9
    assert found.probe[0].unit == unit
    assert found.r_squared >= 0.8
    assert explored.units(question, 1) == [found.units[0]]


def test_a_question_of_chance_is_told_by_no_unit(explored: Exploration) -> None:
    chance = dict(explored.columns) | {"coin": np.random.default_rng(5).random(explored.num_steps) < 0.5}
    found = Exploration(chance, explored.rows, explored.series).answer("coin")
    assert all(abs(unit.correlation) < 0.12 for unit in found.units)
    assert found.r_squared < 0.02


def test_what_is_the_same_everywhere_is_told_by_no_unit(explored: Exploration) -> None:
    for question in ("1 == 1", "token == '#'", "row"):
        assert explored.answer(question).units == ()


def test_states_are_those_of_the_model(planted: ostinato.Run, explored: Exploration) -> None:
    text = "".join(explored.columns["token"])
    ids = torch.tensor([planted.features.text.vocabulary.ids[one] for one in text]).unsqueeze(1)
    with torch.no_grad():
        hidden, _ = planted.model.encoder(ids)
        logits, _ = planted.model(ids)
    np.testing.assert_allclose(explored.series["layer 1.h"], hidden[:, 0], rtol=1e-4, atol=1e-5)
    expected = -logits[:-1, 0].log_softmax(-1).gather(1, ids[1:])[:, 0]
    assert np.isnan(explored.columns["surprise"][0])
    np.testing.assert_allclose(explored.columns["surprise"][1:], expected, rtol=1e-4, atol=1e-4)
    assert set(explored.series) == {f"layer 1.{part}" for part in "hcifgo"}
    assert explored.time_constants["layer 1"][3] > 1e6
    assert explored.time_constants["layer 1"].shape == (16,)


def test_moments_and_paths(explored: Exploration, tmp_path: Path) -> None:
    moments = explored.nearest(1500, count=4, apart=25)
    assert [one.distance for one in moments] == sorted(one.distance for one in moments)
    places = [1500, *(one.step for one in moments)]
    assert min(abs(a - b) for n, a in enumerate(places) for b in places[:n]) >= 25
    assert "[" in moments[0].around
    path = explored.path()
    assert path.shape == (explored.num_steps, 2)
    assert path[:, 0].std() >= path[:, 1].std()
    explored.save(tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz", allow_pickle=False) as saved:
        np.testing.assert_array_equal(saved["layer 1.c"], explored.series["layer 1.c"])
        assert saved["token"].tolist() == explored.columns["token"].tolist()
    with pytest.raises(RecipeError, match=r"`step` must be from 0 to 2999\. Received: 3000"):
        explored.nearest(3000)


def test_other_models_are_explored_too(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    rows = [f'"{draw.normal(size=int(draw.integers(3, 12))).round(2).tolist()}",{"ab"[n % 2]}' for n in range(60)]
    (tmp_path / "rows.csv").write_text("\n".join(["x,y", *rows]) + "\n")
    recipe: dict[str, Any] = {
        "data": {"train": str(tmp_path / "rows.csv"), "input": "x", "target": "y"},
        "model": {"cell": "gru", "hidden_size": 6, "bidirectional": True},
        "training": {"epochs": 1, "num_threads": 1, "baselines_seconds": 0},
    }
    run = ostinato.load(train_recipe(build_recipe(recipe), tmp_path / "run", Observer()))
    found = run.explore(tmp_path / "rows.csv", num_steps=200)
    assert found.num_steps == 200
    assert "layer 1 reverse.h" in found.series
    assert set(found.columns["label"]) == {"a", "b"}
    lengths = np.bincount(found.rows)
    assert found.columns["position"].tolist() == [n for length in lengths.tolist() for n in range(length)]
    first = json.loads(rows[0].split('"')[1])
    np.testing.assert_allclose(run.features.input.decode(found.columns["value"][: len(first), None]), first, atol=0.01)
    (alone,) = (run.explore(tmp_path / "rows.csv", num_steps=len(first)).series["layer 1.h"],)
    np.testing.assert_allclose(found.series["layer 1.h"][: len(first)], alone, atol=1e-6)
    assert found.answer("value > 0").r_squared > 0.1
    run.model.encoder = None
    with pytest.raises(RunError, match="no single encoder"):
        run.explore()


def test_a_model_that_reads_otherwise_says_so() -> None:
    run = ostinato.load(OLD_RUNS / "next_step_note")
    steps = run.spec.load(str(OLD_RUNS / "data/steps.jsonl"), run.features, run.recipe, print)
    with pytest.raises(RunError, match="only layers that read the input column step by step can be followed"):
        next(follow(run, steps))
    segments = ostinato.load(OLD_RUNS / "forecaster_segment")
    with pytest.raises(RunError, match="a state for each segment of steps"):
        next(follow(segments, steps))


def test_the_command(planted: ostinato.Run, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text(planted_text(1, 800))
    options = (planted.folder, "--data", tmp_path / "other.txt")
    shown = cli("explore", *options, "-q", "token in 'abc'", "--nearest", 100, "--save", "found.npz")
    assert shown.code == 0
    assert "token in 'abc'" in shown.out
    assert "linear probe: " in shown.out
    assert (tmp_path / "found.npz").is_file()
    found = json.loads(cli("explore", *options, "-q", "isspace()", "--json").out)
    assert found["num_steps"] == 800
    assert found["questions"][0]["question"] == "isspace()"
    assert "no unit could tell it" in cli("explore", *options, "-q", "token == '#'").out
    wrong = cli("explore", *options, "-q", "tokens == 'a'")
    assert wrong.code == 1
    assert "`tokens` is not known here; known are token, position" in wrong.err


def test_an_intervention_is_shown_beside_what_is_untouched(planted: ostinato.Run, cli: Cli) -> None:
    options = (planted.folder, "--prompt", "ab", "--seed", 2)
    shown = cli("explore", *options, "--intervene", "layer 1.h *= 0")
    assert shown.code == 0
    assert shown.out.startswith("untouched:")
    assert "layer 1.h *= 0:" in shown.out
    found = json.loads(cli("explore", *options, "--intervene", "layer 1.h *= 0", "--json").out)
    assert found["untouched"] != found["changed"]
    later = cli("explore", planted.folder, "--prompt", "abc(ab", "--from", 3, "--intervene", "layer 1.f = 0", "--json")
    found = json.loads(later.out)
    assert (found["prompt"], found["untouched_nll"] != found["changed_nll"]) == ("abc(ab", True)
    assert "from 0 to the prompt's 2 steps" in cli("explore", *options, "--from", 3, "--intervene", "layer 1.f = 0").err
    wrong = cli("explore", *options, "--intervene", "layer 1.z = 0")
    assert wrong.code == 1
    assert "the state has the parts layer 1.h, layer 1.c" in wrong.err
