"""Runs in a folder: listed, side by side, without their checkpoints, and packed to be shared."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ostinato
from ostinato.cli.app import app
from ostinato.errors import RunError
from ostinato.shelf.packed import pack
from ostinato.training.progress import Observer

TEXTS = ["a good film", "a bad film", "good", "bad", "so good", "so bad"] * 5


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that differ in a cell."""
    folder = tmp_path_factory.mktemp("shelf")
    rows = "".join(f"{text},{'p' if 'good' in text else 'n'}\n" for text in TEXTS)
    (folder / "t.csv").write_text(f"text,label\n{rows}")
    for name, cell in (("one", "gru"), ("two", "lstm")):
        settings = {"model.cell": cell, "model.hidden_size": 4, "training.epochs": 1, "training.baselines_seconds": 0}
        given = {"input": "text", "target": "label", "out": folder / "runs" / name}
        ostinato.train(folder / "t.csv", settings=settings, observer=Observer(), **given)
    return folder / "runs"


def _said(*words: object) -> str:
    found = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


def test_runs_are_listed_with_what_they_take(shelf: Path) -> None:
    found = {one["name"]: one for one in json.loads(_said("runs", "list", shelf, "--json"))}
    assert set(found) == {"one", "two"}
    assert (found["two"]["cell"], found["two"]["state"]) == ("lstm", "finished")
    assert found["one"]["bytes"] == sum(path.stat().st_size for path in (shelf / "one").rglob("*") if path.is_file())
    assert "classification" in _said("runs", "list", shelf)


def test_runs_side_by_side_show_what_differs(shelf: Path) -> None:
    found = json.loads(_said("runs", "compare", shelf / "one", shelf / "two", "--json"))
    assert found["settings"]["model.cell"] == ["gru", "lstm"]
    assert "training.epochs" not in found["settings"]
    assert len(found["figures"]["accuracy"]) == 2
    assert "gru" in _said("runs", "compare", shelf / "one", shelf / "two")


@pytest.mark.parametrize("out", ["shared.zip", "shared"])
def test_what_is_packed_answers_as_the_run(shelf: Path, tmp_path: Path, out: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(shelf / "one", run)
    made = pack(run, tmp_path / out)
    answers = ostinato.load(run).predict(TEXTS)
    shutil.rmtree(run)
    assert made.after < made.before / 3
    found = ostinato.load(tmp_path / out).predict(TEXTS)
    assert [one.probabilities for one in found] == [one.probabilities for one in answers]
    assert json.loads(_said("predict", tmp_path / out, TEXTS[0], "--json"))["label"] == answers[0].label


def test_the_same_run_makes_the_same_file(shelf: Path, tmp_path: Path) -> None:
    first, second = (pack(shelf / "one", tmp_path / name).path.read_bytes() for name in ("a.zip", "b.zip"))
    assert first == second
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert {name.partition("/")[0] for name in archive.namelist()} == {"one"}
        assert not any("checkpoint" in name or "log" in name for name in archive.namelist())


def test_a_packed_run_is_not_written_to(shelf: Path, tmp_path: Path) -> None:
    pack(shelf / "one", tmp_path / "a.zip")
    with pytest.raises(RunError, match="a run directory was expected"):
        CliRunner().invoke(app, ["report", str(tmp_path / "a.zip")], catch_exceptions=False)


def test_what_is_there_already_is_not_written_over(shelf: Path, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("mine")
    with pytest.raises(RunError, match="already exists") as caught:
        pack(shelf / "one", tmp_path / "a.zip")
    assert str(caught.value.hint).endswith("a-2.zip")
    assert (tmp_path / "a.zip").read_text() == "mine"


def test_checkpoints_of_ended_runs_go_and_others_stay(shelf: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(shelf, runs)
    summary = runs / "two" / "summary.json"
    summary.unlink()  # as if it had been interrupted
    asked = CliRunner().invoke(app, ["runs", "clean", str(runs)], input="n\n", catch_exceptions=False)
    assert "nothing was removed" in asked.stdout
    assert (runs / "one" / "checkpoint").is_dir()
    assert "1 run" in _said("runs", "clean", runs, "--yes")
    assert not (runs / "one" / "checkpoint").exists()
    assert (runs / "two" / "checkpoint").is_dir()
    assert ostinato.load(runs / "one").predict(["good"])
    with pytest.raises(RunError, match="no checkpoints any more"):
        ostinato.resume(runs / "one", {"training.epochs": 2}, Observer())
    assert "nothing to remove" in _said("runs", "clean", runs, "--yes")


def test_folders_without_runs_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no runs in"):
        CliRunner().invoke(app, ["runs", "list", str(tmp_path)], catch_exceptions=False)
    with pytest.raises(RunError, match="two runs or more"):
        CliRunner().invoke(app, ["runs", "compare", str(tmp_path)], catch_exceptions=False)


def test_the_same_rows_under_two_names_are_the_same_data(shelf: Path, tmp_path: Path) -> None:
    table, runs = [{"text": text, "label": str("good" in text)} for text in TEXTS], []
    settings = {"model.hidden_size": 4, "training.epochs": 1}
    for name in ("a", "b"):
        given = {"input": "text", "target": "label", "out": tmp_path / name}
        runs.append(ostinato.train(table, settings=settings, observer=Observer(), report=False, **given).folder)
    found = CliRunner().invoke(app, ["runs", "compare", *map(str, runs)], catch_exceptions=False)
    assert "different data" not in found.output
    found = CliRunner().invoke(app, ["runs", "compare", str(runs[0]), str(shelf / "one")], catch_exceptions=False)
    assert "different data" in found.output


def test_a_packed_run_knows_its_own_training_file(shelf: Path, tmp_path: Path) -> None:
    packed = ostinato.load(pack(shelf / "one", tmp_path / "a.zip").path)
    said = list[str]()
    observer = Observer()
    observer.note = said.append  # type: ignore[method-assign]
    packed.evaluate(str(shelf.parent / "t.csv"), observer)
    assert any("is the file of" in note for note in said)
