"""A run directory is its training's alone, leads nowhere else, and is as training left it or is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.conftest import DATA

import ostinato
from ostinato.errors import CheckpointError, FolderInUseError, RecipeError, RunError
from ostinato.recipe import Recipe, build_recipe
from ostinato.storage.files import write_atomically
from ostinato.storage.locks import FolderLock
from ostinato.storage.log import RunLog
from ostinato.training.checkpoint import read_checkpoint, write_checkpoint
from ostinato.training.progress import Observer
from ostinato.training.train import resume_run, train_recipe


def _recipe(data: Path, name: str = "run") -> Recipe:
    return build_recipe(
        {
            "name": name,
            "data": {"train": str(data), "input": "text", "target": "label"},
            "model": {"embedding_dim": 4, "hidden_size": 5},
            "training": {"epochs": 1, "num_threads": 1},
        }
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_recipe(_recipe(DATA / "polarity.csv"), tmp_path_factory.mktemp("runs") / "run", Observer())


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "copy")


class _Meanwhile(Observer):
    """Trains once more in the same place as soon as the first training has its directory."""

    def __init__(self, recipe: Recipe, out: Path | None) -> None:
        self.recipe, self.out = recipe, out
        self.second: Path | None = None

    def note(self, text: str) -> None:
        if text.startswith("run: ") and self.second is None:
            self.second = train_recipe(self.recipe, self.out, Observer())


def test_two_trainings_never_share_a_directory(polarity: Path, tmp_path: Path) -> None:
    with FolderLock(tmp_path / "run"), pytest.raises(FolderInUseError, match="another process trains there"):
        train_recipe(_recipe(polarity), tmp_path / "run", Observer())
    meanwhile = _Meanwhile(_recipe(polarity), tmp_path / "run")
    with pytest.raises(RunError, match="already exists"):
        train_recipe(_recipe(polarity), tmp_path / "run", meanwhile)


def test_without_a_name_the_second_takes_the_next(
    polarity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    meanwhile = _Meanwhile(_recipe(polarity, "twice"), None)
    assert train_recipe(_recipe(polarity, "twice"), None, meanwhile) == Path("runs/twice")
    assert meanwhile.second == Path("runs/twice-2")


def test_a_run_in_training_is_not_resumed(run: Path) -> None:
    with FolderLock(run), pytest.raises(FolderInUseError):
        resume_run(run, None, Observer())


def test_a_place_that_cannot_be_a_directory(polarity: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="can't use"):
        train_recipe(_recipe(polarity), tmp_path / "file" / "run", Observer())


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\0b", "é" * 101])
def test_a_name_stays_below_runs(name: str) -> None:
    with pytest.raises(RecipeError, match="name"):
        build_recipe({"name": name})


@pytest.mark.parametrize(("key", "value"), [("seed", 2**63), ("num_threads", 100_000)])
def test_numbers_beyond_what_machines_take(key: str, value: int) -> None:
    with pytest.raises(RecipeError, match=f"training.{key}"):
        build_recipe({"training": {key: value}})


def test_links_of_a_foreign_run_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    run = tmp_path / "run"
    run.mkdir()
    for name in (".report.html.partial", "report.html", "log.jsonl"):
        (run / name).symlink_to(outside)
    write_atomically(run / "report.html", b"<html>")
    assert not (run / "report.html").is_symlink()
    log = RunLog(run / "log.jsonl")
    with pytest.raises(CheckpointError, match="it is a symbolic link"):
        log.write("note", {"note": "hello"})
    assert outside.read_text() == "mine"


def test_a_link_in_place_of_the_checkpoints_is_not_followed(run: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (run / "checkpoint").rename(outside)
    (run / "checkpoint").symlink_to(outside)
    before = sorted(path.name for path in outside.iterdir())
    for act in (lambda: read_checkpoint(run), lambda: write_checkpoint(run, 99, {}, {})):
        with pytest.raises(CheckpointError, match="symbolic link"):
            act()
    assert sorted(path.name for path in outside.iterdir()) == before


@pytest.mark.parametrize("name", ["model.safetensors", "features.json"])
def test_one_flipped_bit_is_noticed(run: Path, name: str) -> None:
    path = run / name
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(RunError, match=name):
        ostinato.load(run)


def test_weights_that_are_no_numbers_are_refused(run: Path) -> None:
    tensors = load_file(run / "model.safetensors")
    next(iter(tensors.values())).view(-1)[0] = torch.nan
    save_file(tensors, run / "model.safetensors")
    summary = json.loads((run / "summary.json").read_text())
    del summary["sha256"]  # as of a run of version 0.1
    (run / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(RunError, match="not finite"):
        ostinato.load(run)


@pytest.mark.parametrize("size", [300_000, 10**10])
def test_a_model_beyond_memory_is_refused_before_it_is_built(polarity: Path, tmp_path: Path, size: int) -> None:
    recipe = build_recipe({**_recipe(polarity).model_dump(), "model": {"task": "classification", "hidden_size": size}})
    with pytest.raises(RecipeError, match=r"parameters: training it takes|too large"):
        train_recipe(recipe, tmp_path / "run", Observer())
    assert not (tmp_path / "run").exists()


@pytest.fixture
def moved(polarity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run and its data, trained in one place by names from there, then carried to another as they lay."""
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    shutil.copy(polarity, home / "data" / "rows.csv")
    monkeypatch.chdir(home)
    train_recipe(_recipe(Path("data/rows.csv")), Path("runs/mine"), Observer())
    shutil.move(home, tmp_path / "away")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "away"


def test_a_run_finds_its_data_when_both_have_moved(moved: Path) -> None:
    run = ostinato.load(moved / "runs" / "mine")
    assert run.recipe.data.train == str(moved / "data" / "rows.csv")
    assert run.diagnose(num_rows=4).to_dict()


def test_a_run_finds_its_data_when_it_alone_has_moved(moved: Path, tmp_path: Path) -> None:
    home = moved.rename(tmp_path / "home")
    run = shutil.move(home / "runs" / "mine", tmp_path / "elsewhere")
    assert ostinato.load(run).recipe.data.train == str(home / "data" / "rows.csv")


def test_evaluating_on_the_training_file_is_said(finished: Path, polarity: Path, tmp_path: Path) -> None:
    notes: list[str] = []

    class _Notes(Observer):
        def note(self, text: str) -> None:
            notes.append(text)

    copy = shutil.copy(polarity, tmp_path / "new.csv")
    ostinato.load(finished).evaluate(copy, _Notes())
    assert any("is the file of data.train" in note for note in notes)
    copy.write_bytes(polarity.read_bytes() + b"good film,positive\n")
    notes.clear()
    ostinato.load(finished).evaluate(copy, _Notes())
    assert not notes
