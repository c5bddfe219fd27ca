"""`intervene` of predictions, of what is written, and of a session's steps: one argument, the same numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Cli

import ostinato
from ostinato.errors import OstinatoError, RecipeError, RunError
from ostinato.serving.session import Depth
from ostinato.serving.sessions import Sessions
from ostinato.serving.snapshot import Seal
from ostinato.serving.sqlite_store import SqliteStore
from ostinato.tasks.intervening import edits_of
from ostinato.tasks.streaming import Reading

OLD = Path(__file__).parents[2] / "fixtures/old_runs"
EXPECTED = json.loads((OLD / "expected.json").read_text())
PROMPT = "(ab) “c"
CHANGE = {"layer 1.c[3]": "= -4 from 3", "layer 1.h[0:2]": 0.7}


def _rows(name: str) -> list[Any]:
    found: list[Any] = EXPECTED[name]["predict"]["rows"]
    return found


@pytest.mark.parametrize(
    "name",
    [
        "classifier_series_ensemble",
        "classifier_labels",
        "classifier_number",
        "forecaster_direct",
        "seq2seq_luong",
        "tagger_crf",
        "tagger_feedback",
        "tagger_numbers",
        "tagger_softmax",
    ],
)
def test_what_does_nothing_changes_no_bit_and_all_else_is_undone(name: str) -> None:
    run, rows = ostinato.load(OLD / name), _rows(name)

    def said(**options: Any) -> list[dict[str, Any]]:
        return [one.to_dict() for one in run.predict(rows, **options)]

    as_it_is = said()
    assert said(intervene={"layer 1.h": "*= 1"}) == as_it_is
    changed = said(intervene={"layer 1.h": 0.9})
    assert _numbers(changed) != _numbers(as_it_is) or changed != as_it_is
    assert _numbers(said(intervene="layer 1.h = 0.9 from 5000")) == pytest.approx(_numbers(as_it_is), abs=1e-5)
    assert said() == as_it_is


def _numbers(said: Any) -> list[float]:
    """All numbers, wherever they stand."""
    if isinstance(said, float):
        return [said]
    parts = said.values() if isinstance(said, dict) else said if isinstance(said, list | tuple) else ()
    return [number for part in parts for number in _numbers(part)]


def test_a_prediction_that_is_changed_from_a_step_on_is_that_of_a_session() -> None:
    run = ostinato.load(OLD / "classifier_long_table")
    row, change = _rows("classifier_long_table")[0], ["layer 1.h[1] = 0.5 from 2", "layer 1.h[0] *= -1"]
    model = run.spec.streaming(run.model, run.features, run.recipe)
    steps, first, both = model.encode(row), edits_of(change)[1:], edits_of([change[0][:18], change[1]])
    (begun,) = model.changed(first).read([Reading(steps.cut(0, 2), model.zero(), "none")])
    (expected,) = model.changed(both).read([Reading(steps.cut(2, len(steps)), begun.state)])
    found = run.predict([row], intervene=change)[0].to_dict()
    assert _numbers(found) == pytest.approx(_numbers(expected.answers[0]), rel=1e-5)
    assert _numbers(found) != pytest.approx(_numbers(run.predict([row], intervene=change[1])[0].to_dict()), rel=1e-3)


def test_both_directions_have_units(cli: Cli) -> None:
    run, rows = ostinato.load(OLD / "classifier_text"), _rows("classifier_text")
    forward, backward = (
        _numbers([one.to_dict() for one in run.predict(rows, intervene={f"layer 1{way}.h": 0.9})])
        for way in ("", " reverse")
    )
    assert forward != backward != _numbers([one.to_dict() for one in run.predict(rows)])
    with pytest.raises(RecipeError, match=r"`layer 1 reverse\.h` reads from a row's end.*Received: from 3"):
        run.predict(rows, intervene="layer 1 reverse.h = 0 from 3")
    shown = cli("predict", OLD / "classifier_text", rows[0], "--intervene", "layer 1.h = 0.9", "--json")
    assert _numbers(json.loads(shown.out)) == forward[: len(_numbers(json.loads(shown.out)))]


@pytest.mark.parametrize(
    ("name", "intervene", "message"),
    [
        ("classifier_long_table", {"layer 3.h": 0}, "the state has the parts layer 1.h"),
        ("classifier_long_table", ["layer 1.h[99] = 0"], "`layer 1.h` has 4 units, from 0 on. Received: 99"),
        ("classifier_long_table", "layer 1.h = 0 from x", "an intervention is spelled layer 1.c[3] = 0"),
        ("conditional_tokens", "layer 1.h = 0", "this model has no single encoder"),
        ("forecaster_segment", "layer 1.h = 0", "a state for each segment of steps"),
    ],
)
def test_what_can_not_be_changed_says_why(name: str, intervene: Any, message: str) -> None:
    run = ostinato.load(OLD / name)
    with pytest.raises((RecipeError, RunError), match=re.escape(message)):
        run.predict(_rows(name), intervene=intervene)


def test_what_is_written_is_what_the_explorer_shows(planted: ostinato.Run, cli: Cli) -> None:
    options: dict[str, Any] = {"max_new_tokens": 90, "temperature": 0.8, "seed": 5}
    as_it_is = planted.generate(PROMPT, **options)
    assert planted.generate(PROMPT, intervene={"layer 1.c": "*= 1", "layer 1.f": "*= 1 from 4"}, **options) == as_it_is
    shown = planted.continued(PROMPT, CHANGE, **options)
    changed = planted.generate(PROMPT, intervene=CHANGE, **options)
    assert changed == PROMPT + shown["changed"] != PROMPT + shown["untouched"] == as_it_is
    late = planted.generate(PROMPT, intervene="layer 1.c = 3 from 14", **options)
    assert late[:15] == as_it_is[:15]
    assert late != as_it_is
    begun = planted.continued(PROMPT, "layer 1.h[0:9] = 0.7", begin=4, **options)["changed"]
    assert planted.generate(PROMPT, intervene="layer 1.h[0:9] = 0.7 from 4", **options) == PROMPT + begun
    words = ("generate", planted.folder, "--prompt", PROMPT, "--max-new-tokens", 90, "--seed", 5)
    spelled = ("--intervene", "layer 1.c[3] = -4 from 3", "--intervene", "layer 1.h[0:2] = 0.7")
    assert cli(*words, *spelled).out != cli(*words).out
    with pytest.raises(RecipeError, match="`precision` does not apply with `intervene`"):
        planted.generate(PROMPT, intervene=CHANGE, precision="int8")


@pytest.mark.parametrize("name", ["next_step_independent", "seq2seq_luong"])
def test_others_write_changed_too(name: str) -> None:
    run = ostinato.load(OLD / name)
    given = {"condition": "abc", "num": 3} if name.startswith("seq2seq") else {"max_new_tokens": 8}
    as_it_is = run.generate(**given, seed=1)
    assert run.generate(**given, seed=1, intervene="layer 1.h *= 1") == as_it_is
    assert run.generate(**given, seed=1, intervene="layer 1.h = 0.9") != as_it_is


# ---- sessions -------------------------------------------------------------------------------------------------------
def _sessions(run: ostinato.Run, store: Path | None = None) -> Sessions:
    model = run.spec.streaming(run.model, run.features, run.recipe)
    kept = None if store is None else SqliteStore(store, "m", "w")
    return Sessions(model, Seal(model, "w", "t", b"key"), kept, depth=Depth(64, 4), shared_bytes=1 << 20)


def _do(sessions: Sessions, operation: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sessions.do(operation))
    return found


def test_a_sessions_steps_are_changed_as_the_explorer_shows(planted: ostinato.Run, tmp_path: Path) -> None:
    """And go back, are kept, and share nothing with those that begin alike."""
    s, drawn = _sessions(planted, tmp_path / "store"), {"temperature": 0.8, "seed": 5}
    plain, other, changed = (str(_do(s, s.create("a"))["session"]) for _ in range(3))
    untouched = _do(s, s.step("a", plain, PROMPT))["answers"]
    assert _do(s, s.step("a", other, PROMPT, intervene="layer 1.c *= 1"))["answers"] == untouched
    read = _do(s, s.step("a", changed, PROMPT, intervene=CHANGE, sequence=1))
    assert read["answers"][0] == untouched[0]
    assert read["answers"] != untouched
    assert _do(s, s.step("a", changed, PROMPT, intervene=CHANGE, sequence=1)) == read
    with pytest.raises(OstinatoError, match="another operation has taken"):
        s.do(s.step("a", changed, PROMPT, sequence=1))
    now = {"layer 1.c[3]": -4, "layer 1.h[0:2]": 0.7}
    expected = planted.continued(PROMPT, CHANGE, max_new_tokens=30, **drawn)["changed"]
    written = _do(s, s.write("a", changed, 30, 0.8, seed=5, intervene=now))["pieces"]
    assert "".join(written) == expected
    peeked = s.do(s.peek("a", changed))
    stands = _do(s, s.about("a", changed))["steps"]
    s.live.close()
    again = _sessions(planted, tmp_path / "store")  # a server that was started again
    assert again.do(again.peek("a", changed)) == peeked
    states = {stands: peeked}
    for to in (stands - 3, len(PROMPT) + 2):
        _do(again, again.rewind("a", changed, to))
        states[to] = again.do(again.peek("a", changed))
    fresh = str(_do(again, again.create("a"))["session"])
    _do(again, again.step("a", fresh, PROMPT, intervene=CHANGE))
    _do(again, again.write("a", fresh, 2, 0.8, seed=5, intervene=now))
    assert json.loads(again.do(again.peek("a", fresh)))["answer"] == json.loads(states[len(PROMPT) + 2])["answer"]
    for to in (len(PROMPT) + 1, 5):
        _do(again, again.rewind("a", changed, to))
    forward = _do(again, again.step("a", changed, PROMPT[5:], intervene=now))["answers"]
    assert forward == read["answers"][5:]


def test_sessions_that_are_changed_otherwise_are_read_together(planted: ostinato.Run) -> None:
    s = _sessions(planted)
    ids = [str(_do(s, s.create("a"))["session"]) for _ in range(4)]
    changes = [None, "layer 1.c[3] = 2", CHANGE, "layer 1.f = 3"]
    found = s.do_all([s.step("a", id, PROMPT, intervene=one) for id, one in zip(ids, changes, strict=True)])
    alone = _sessions(planted)
    for one, said in zip(changes[:3], found, strict=False):
        id = str(_do(alone, alone.create("a"))["session"])
        assert _do(alone, alone.step("a", id, PROMPT, intervene=one))["answers"] == json.loads(said)["answers"]
    assert "the gate `layer 1.f` can be from 0 to 1" in str(found[3])
    with pytest.raises(RecipeError, match="the state has the parts"):
        s.do(s.step("a", ids[0], "a", intervene="layer 9.c = 0"))
    carried = json.loads(s.do(s.carry("a", b"", PROMPT, "each", CHANGE)))
    assert carried["answers"] == json.loads(found[2])["answers"]


def test_a_model_without_layers_of_its_own_refuses() -> None:
    s = _sessions(ostinato.load(OLD / "forecaster_direct"))
    id = str(_do(s, s.create("a"))["session"])
    with pytest.raises(RunError, match="keep no state of layers that could be changed"):
        s.do(s.step("a", id, [1.0, 2.0], intervene="layer 1.h = 0"))
