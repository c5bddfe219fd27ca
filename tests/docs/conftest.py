"""A folder as the documentation supposes it: the package's samples, cut short, and a few runs trained on them."""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path

import pytest

from ostinato.data.catalog import find
from ostinato.recipe import apply_overrides, build_recipe
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe
from tests.docs.made import write_files

ROWS = 120
BOOK = 12_000  # characters
TINY = {
    "model.hidden_size": 4,
    "training.epochs": 1,
    "training.num_threads": 1,
    "training.baselines_seconds": 0,
}
RUNS = {
    "names": {"data.train": "names.csv", "data.input": "name", "data.target": "language"},
    "reviews": {"data.train": "reviews.csv", "data.input": "text", "data.target": "label"},
    "sensors": {"data.train": "sensors.csv", "model.lookback": 24, "model.horizon": 12},
    "island": {"data.train": "island.txt", "training.bptt": 20},
    "people": {"data.train": "people.csv", "data.input": "country", "data.target": "name"},
    "tunes": {"data.train": "tunes.jsonl", "data.input": "tune", "data.extra": ["mode"]},
    "shapes": {"data.train": "curves.jsonl", "data.input": "kind", "data.target": "curve"},
}


def write_samples(folder: Path) -> None:
    """The samples names, reviews and sensors, cut; island.txt, the start of its book, and other.txt, what follows."""
    for name in ("names.csv", "reviews.csv", "sensors.csv"):
        lines = (resources.files("ostinato.data") / "samples" / name).read_text(encoding="utf-8").splitlines()
        (folder / name).write_text("\n".join(lines[: ROWS + 1]) + "\n", encoding="utf-8")
    shutil.copy(folder / "reviews.csv", folder / "test.csv")
    book = find("mysterious-island", "train").read_text(encoding="utf-8")
    (folder / "island.txt").write_text(book[:BOOK], encoding="utf-8")
    (folder / "other.txt").write_text(book[BOOK : BOOK + 500], encoding="utf-8")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder; tests copy it (`world`)."""
    folder = tmp_path_factory.mktemp("docs")
    write_samples(folder)
    write_files(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, settings in RUNS.items():
            train_recipe(build_recipe(apply_overrides({}, {**TINY, **settings})), Path("runs") / name, Observer())
    return folder


@pytest.fixture
def world(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, in which the test runs."""
    folder = tmp_path / "world"
    shutil.copytree(trained, folder)
    monkeypatch.chdir(folder)
    return folder
