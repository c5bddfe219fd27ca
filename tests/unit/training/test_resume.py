"""Going on with a run: after every way to die, with what was forced, and never with what does not fit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.unit.training.test_exactness import _StopAt

import ostinato
from ostinato.errors import CheckpointError, RunError
from ostinato.recipe import Recipe, build_recipe
from ostinato.storage.log import read_log
from ostinato.training import train as training
from ostinato.training.checkpoint import read_checkpoint
from ostinato.training.progress import Observer
from ostinato.training.resume import FREE, HARMLESS, recipe_changes
from ostinato.training.run_folder import read_recipe_of
from ostinato.training.saved import make_optimizer, restore_optimizer
from ostinato.training.train import resume_run, train_recipe


class _Notes(_StopAt):
    """Presses Ctrl-C after some step, and keeps what it was told."""

    def __init__(self, step: int = -1) -> None:
        super().__init__(step)
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def data(polarity: Path, tmp_path: Path) -> Path:
    """300 rows to train on; validation is a file of its own."""
    path = tmp_path / "data.csv"
    path.write_text("\n".join(polarity.read_text().splitlines()[:301]) + "\n")
    (tmp_path / "validation.csv").write_text(path.read_text())
    return path


def _recipe(data: Path, **settings: Any) -> Recipe:
    return build_recipe(
        {
            "data": {"train": str(data), "validation": str(data.with_name("validation.csv")), "input": "text",
                     "target": "label"},
            "model": {"embedding_dim": 4, "hidden_size": 5},
            "training": {"epochs": 2, "num_threads": 1, **settings},
        }
    )  # fmt: skip


def _stopped(data: Path, folder: Path, step: int = 4, **settings: Any) -> Recipe:
    with pytest.raises(KeyboardInterrupt):
        train_recipe(_recipe(data, **settings), folder, _StopAt(step))
    return read_recipe_of(folder)


def _with(recipe: Recipe, **settings: Any) -> Recipe:
    return build_recipe({**recipe.model_dump(), "training": {**recipe.training.model_dump(mode="json"), **settings}})


def _notes(folder: Path) -> list[str]:
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [event["note"] for event in events if event["kind"] == "note"]


def test_a_run_has_a_checkpoint_before_its_first_step(data: Path, tmp_path: Path) -> None:
    class Die(Observer):
        def step(self, event: dict[str, Any], progress: float) -> None:
            raise MemoryError

    with pytest.raises(MemoryError):
        train_recipe(_recipe(data), tmp_path / "run", Die())
    whole = train_recipe(_recipe(data), tmp_path / "whole", Observer())
    resume_run(tmp_path / "run", None, Observer())
    assert (tmp_path / "run/model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


@pytest.mark.parametrize("left", [["recipe.yaml"], ["recipe.yaml", "features.json"]])
def test_a_run_that_died_before_it_began_says_so(left: list[str], data: Path, tmp_path: Path) -> None:
    _stopped(data, tmp_path / "run")
    (tmp_path / "dead").mkdir()
    for name in left:
        (tmp_path / "dead" / name).write_bytes((tmp_path / "run" / name).read_bytes())
    with pytest.raises(RunError, match="before its first step"):
        resume_run(tmp_path / "dead", None, Observer())


def test_a_run_that_died_before_its_summary_gets_it_without_another_step(data: Path, tmp_path: Path) -> None:
    folder = train_recipe(_recipe(data), tmp_path / "run", Observer())
    before = json.loads((folder / "summary.json").read_text())
    log = (folder / "log.jsonl").read_bytes()
    (folder / "summary.json").unlink()
    resume_run(folder, None, Observer())
    after = json.loads((folder / "summary.json").read_text())
    assert {**before, "finished": 0} == {**after, "finished": 0}
    assert (folder / "log.jsonl").read_bytes() == log


def test_a_run_that_died_before_its_report_gets_it(data: Path, tmp_path: Path) -> None:
    folder = train_recipe(_recipe(data), tmp_path / "run", Observer())
    assert not (folder / "report.html").exists()
    ostinato.resume(folder, observer=Observer())
    assert (folder / "report.html").is_file()
    with pytest.raises(RunError, match="has ended"):
        ostinato.resume(folder, observer=Observer())


def test_what_an_interrupted_run_knew_of_its_data_is_in_the_summary(data: Path, tmp_path: Path) -> None:
    whole = train_recipe(_recipe(data), tmp_path / "whole", Observer())
    _stopped(data, tmp_path / "run")
    resume_run(tmp_path / "run", None, Observer())
    notes = [json.loads((folder / "summary.json").read_text())["notes"] for folder in (whole, tmp_path / "run")]
    assert notes[0] == notes[1]
    assert notes[0]


def test_leftovers_of_a_killed_write_are_cleared_away(data: Path, tmp_path: Path) -> None:
    _stopped(data, tmp_path / "run")
    (tmp_path / "run/.model.safetensors.partial").write_bytes(b"half")
    resume_run(tmp_path / "run", None, Observer())
    assert not list((tmp_path / "run").rglob("*.partial"))


def test_a_log_that_a_kill_left_with_half_a_line_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"kind": "step", "step": 1}\n{"kind": "st')
    assert read_log(tmp_path / "log.jsonl") == ([{"step": 1}], [])


def test_the_optimiser_forgets_what_came_after_the_checkpoint() -> None:
    """Back at step 0 there is no state to put in the place of the one that diverged: it has to go."""
    model = torch.nn.Linear(2, 1)
    optimizer = make_optimizer(model, _recipe(Path("x")).training)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert optimizer.state
    restore_optimizer(model, optimizer, {})
    assert not optimizer.state


def test_other_threads_are_noted(data: Path, tmp_path: Path) -> None:
    saved = _stopped(data, tmp_path / "run")
    observer = _Notes()
    threads = torch.get_num_threads()
    try:
        resume_run(tmp_path / "run", _with(saved, num_threads=2), observer)
    finally:
        torch.set_num_threads(threads)
    assert any("1 threads, cpu, from here on with" in note for note in observer.notes)


@pytest.mark.parametrize(
    ("setting", "shown"),
    [({"learning_rate": 0.5}, "training.learning_rate was 0.001, is 0.5"), ({"clip": "none"}, "training.clip was")],
)
def test_a_harmless_change_needs_force_and_is_noted_for_good(
    setting: dict[str, Any], shown: str, data: Path, tmp_path: Path
) -> None:
    saved = _stopped(data, tmp_path / "run")
    with pytest.raises(RunError, match=shown) as caught:
        resume_run(tmp_path / "run", _with(saved, **setting), Observer())
    assert "--force-recipe" in str(caught.value)
    with pytest.raises(KeyboardInterrupt):
        resume_run(tmp_path / "run", _with(saved, **setting), _StopAt(6), force_recipe=True)
    resume_run(tmp_path / "run", None, Observer())
    (note,) = _notes(tmp_path / "run")
    assert note.startswith(f"resumed after step 4 although {shown}")
    assert note in json.loads((tmp_path / "run/summary.json").read_text())["notes"]


def _die_at_once(folder: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resume by force, and die before the next step."""

    def die(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(training, "_run", die)
        with pytest.raises(MemoryError):
            resume_run(folder, recipe, Observer(), force_recipe=True)


def test_a_forced_change_is_in_a_checkpoint_before_the_next_step(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = _stopped(data, tmp_path / "run")
    _die_at_once(tmp_path / "run", _with(saved, learning_rate=0.5), monkeypatch)
    resume_run(tmp_path / "run", None, Observer())
    assert len(_notes(tmp_path / "run")) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda recipe: _with(recipe, batch_size=7),
        lambda recipe: _with(recipe, seed=7),
        lambda recipe: _with(recipe, optimizer="adamw"),
        lambda recipe: recipe.model_copy(update={"model": recipe.model.model_copy(update={"hidden_size": 7})}),
    ],
)
def test_what_does_not_fit_cannot_be_forced(change: Callable[[Recipe], Recipe], data: Path, tmp_path: Path) -> None:
    saved = _stopped(data, tmp_path / "run")
    with pytest.raises(RunError, match=r"can't be resumed with another recipe: .* was .*, is ") as caught:
        resume_run(tmp_path / "run", change(saved), Observer(), force_recipe=True)
    assert "of `training` may change" in str(caught.value)


def test_a_recipe_file_that_was_edited_by_hand_is_noticed(data: Path, tmp_path: Path) -> None:
    _stopped(data, tmp_path / "run")
    path = tmp_path / "run/recipe.yaml"
    path.write_text(path.read_text().replace("hidden_size: 5", "hidden_size: 6"))
    with pytest.raises(RunError, match=r"model\.hidden_size was 5, is 6"):
        resume_run(tmp_path / "run", None, Observer())


def test_keys_that_may_change_are_keys_of_the_recipe() -> None:
    recipe = Recipe()
    assert set(type(recipe.training).model_fields) >= FREE | HARMLESS
    assert not FREE & HARMLESS
    assert recipe_changes(recipe, _with(recipe, epochs=99), force=False) == []


def test_data_that_moved_is_the_same_data(data: Path, tmp_path: Path) -> None:
    saved = _stopped(data, tmp_path / "run")
    moved = data.rename(tmp_path / "elsewhere.csv")
    place = saved.data.model_copy(update={"train": str(moved)})
    resume_run(tmp_path / "run", saved.model_copy(update={"data": place}), Observer())
    assert read_recipe_of(tmp_path / "run").data.train == str(moved)


def _labels(head: str, first: str, *rest: str) -> list[str]:
    text, label = first.rsplit(",", 1)
    return [head, f"{text},{'negative' if label == 'positive' else 'positive'}", *rest]


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (_labels, r"train\.targets_sha256 was '.*…', is "),  # the same tokens in the same order
        (lambda head, first, second, *rest: [head, second, first, *rest], r"train\.sha256 was "),
        (lambda *lines: [*lines, "zyzzyva xylographic films,positive"], r"train\.rows was 300, is 301"),
    ],
)
def test_other_rows_need_force_and_begin_the_epoch_anew(
    change: Callable[..., list[str]], shown: str, data: Path, tmp_path: Path
) -> None:
    """New rows are read with the words that the run knows."""
    _stopped(data, tmp_path / "run", step=12)  # in the second epoch, of ten steps
    data.write_text("\n".join(change(*data.read_text().splitlines())) + "\n")
    with pytest.raises(RunError, match=shown) as caught:
        resume_run(tmp_path / "run", None, Observer())
    assert "--force-data" in str(caught.value)
    resume_run(tmp_path / "run", None, Observer(), force_data=True)
    steps, validations = read_log(tmp_path / "run/log.jsonl")
    assert [event["step"] for event in steps] == list(range(1, 12 + 10 + 1))
    assert len(validations) == 2
    assert "although the data has changed: train." in _notes(tmp_path / "run")[0]
    assert ostinato.load(tmp_path / "run").predict("a good film")


def test_rows_cannot_be_forced_where_validation_is_a_share_of_them(data: Path, tmp_path: Path) -> None:
    recipe = _recipe(data)
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"validation": 0.2})})
    with pytest.raises(KeyboardInterrupt):
        train_recipe(recipe, tmp_path / "run", _StopAt(4))
    data.write_text(data.read_text() + "a good film,positive\n")
    with pytest.raises(RunError, match=r"rows that it is validated on") as caught:
        resume_run(tmp_path / "run", None, Observer(), force_data=True)
    assert "train again" in str(caught.value)


def test_a_text_that_grew_is_read_on_by_force(book: Path, tmp_path: Path) -> None:
    held_out = tmp_path / "held_out.txt"
    held_out.write_text(book.read_text()[:2000])
    recipe = build_recipe(
        {
            "data": {"train": str(book), "validation": str(held_out)},
            "model": {"embedding_dim": 4, "hidden_size": 5},
            "training": {"epochs": 2, "bptt": 50, "num_threads": 1},
        }
    )
    with pytest.raises(KeyboardInterrupt):
        train_recipe(recipe, tmp_path / "run", _StopAt(25))
    book.write_text(book.read_text() + book.read_text()[:5000] + " \u2603")
    resume_run(tmp_path / "run", None, Observer(), force_data=True)
    steps, _ = read_log(tmp_path / "run/log.jsonl")
    assert len(steps) == 25 + 22  # of 19 steps an epoch had, and now has 22


def test_another_monitor_begins_to_look_for_the_best_anew(data: Path, tmp_path: Path) -> None:
    saved = _stopped(data, tmp_path / "run", step=12)
    assert read_checkpoint(tmp_path / "run").state["position"]["best"] is not None
    resume_run(tmp_path / "run", _with(saved, monitor="accuracy"), Observer(), force_recipe=True)
    _, validations = read_log(tmp_path / "run/log.jsonl")
    assert [event["best"] for event in validations] == [True, True]
    best = read_checkpoint(tmp_path / "run").state["position"]["best"]
    assert best == validations[1]["accuracy"]


def test_many_checkpoints_of_one_step_stay_in_order(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often a run dies where it goes on, the last checkpoint is the one that is read."""
    saved = _stopped(data, tmp_path / "run")
    for number in range(5):
        _die_at_once(tmp_path / "run", _with(saved, learning_rate=0.1 + number), monkeypatch)
        state = read_checkpoint(tmp_path / "run").state
        assert state["recipe"]["training"]["learning_rate"] == 0.1 + number
        assert state["position"]["step"] == 4
        assert len(list((tmp_path / "run/checkpoint").iterdir())) == 2


def test_every_checkpoint_damaged_is_an_error_that_names_them(data: Path, tmp_path: Path) -> None:
    _stopped(data, tmp_path / "run")
    for path in (tmp_path / "run/checkpoint").glob("step-*/best*"):
        path.unlink()
    for path in (tmp_path / "run/checkpoint").glob("step-*/state.json"):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"step-0000000004: `state\.json` is damaged"):
        resume_run(tmp_path / "run", None, Observer())


def test_going_back_before_a_validation_brings_the_best_weights_of_then_back(data: Path, tmp_path: Path) -> None:
    """A better model of a path that was left must not survive it."""
    folder = train_recipe(_recipe(data, checkpoint_steps=6, keep_checkpoints=9), tmp_path / "run", Observer())
    epochs = {path.name: path for path in (folder / "checkpoint").iterdir()}
    first = (epochs["step-0000000012"] / "best.safetensors").read_bytes()
    assert (folder / "model.safetensors").read_bytes() != first
    for name in ("step-0000000018", "step-0000000020"):
        (epochs[name] / "state.json").unlink()
    observer = _Notes(13)
    with pytest.raises(KeyboardInterrupt):
        resume_run(folder, None, observer)
    assert (folder / "model.safetensors").read_bytes() == first
    assert [note.split(":")[1].strip() for note in observer.notes if "is skipped" in note] == [
        "step-0000000020",
        "step-0000000018",
    ]


@pytest.mark.parametrize("clock", ["wall", "processor"])
def test_minutes_are_counted_by_the_clock_that_the_recipe_names(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: str
) -> None:
    ticks = iter(range(0, 1_000_000, 20))
    other = "wall" if clock == "processor" else "processor"
    monkeypatch.setattr("ostinato.training.loop.CLOCKS", {clock: lambda: float(next(ticks)), other: lambda: 0.0})
    settings = {"training.max_minutes": 5, "training.clock": clock, "training.epochs": 1000, "model.hidden_size": 4}
    run = ostinato.train(
        data, input="text", target="label", settings=settings, out=tmp_path / "run", observer=Observer()
    )
    assert run.summary["ended"] == "training.max_minutes = 5 reached"
    assert run.summary["seconds"] % 20 == 0


def test_a_run_of_options_that_are_refused_by_now_is_read_and_gone_on_with(
    polarity: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {"training.epochs": 1, "model.hidden_size": 4, "training.num_threads": 1}
    out = tmp_path / "old"
    ostinato.train(polarity, input="text", target="label", settings=settings, out=out, observer=Observer())
    recipe = out / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("model:\n", "model:\n  unknown_words: 2.0\n"))
    state = read_checkpoint(out).folder / "state.json"
    changed = json.loads(state.read_text())
    changed["recipe"]["model"]["unknown_words"] = 2.0
    state.write_text(json.dumps(changed))
    manifest = state.parent / "manifest.json"
    sums = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(sums | {"state.json": hashlib.sha256(state.read_bytes()).hexdigest()}))
    run = ostinato.load(out)
    run.report()
    assert [line for line in caplog.messages if "ignored: model.unknown_words (2.0)" in line]
    caplog.clear()
    longer = ostinato.resume(out, ["training.epochs=2"], observer=Observer())
    assert longer.summary["epochs"] == 2
    assert not caplog.messages  # it is said once
