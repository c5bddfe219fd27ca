"""Data sets written out in a form a reader knows."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ostinato.data import catalog
from ostinato.data.catalog.convert import scenes_of
from ostinato.data.catalog.entries import CATALOG
from ostinato.data.features.video import read_clip
from ostinato.errors import DataError
from ostinato.recipe.kinds import VideoRecipe

pytest.importorskip("av")


def _clips() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Five clips of three scenes: the second and third are the first with a little noise."""
    random = np.random.default_rng(0)
    scenes = np.kron(random.integers(30, 220, (3, 4, 4)), np.ones((4, 4)))
    noise = random.integers(0, 12, (5, 6, 16, 16))
    return (scenes[[0, 0, 1, 2, 0]][:, None] + noise).astype(np.uint8)


def test_clips_of_one_camera_are_one_scene() -> None:
    scene = scenes_of(_clips())
    assert scene.tolist() == [0, 0, 1, 2, 0]


def test_scenes_are_joined_by_a_third() -> None:
    """a and c are unlike, but b is like both."""
    random = np.random.default_rng(1)
    a = random.normal(size=400)
    step = 0.28 * random.normal(size=400)
    means = np.stack([a, a + step, a + 2 * step])
    correlation = np.asarray(np.corrcoef(means))
    assert correlation[0, 2] < 0.95 < min(correlation[0, 1], correlation[1, 2])
    assert scenes_of(means.reshape(3, 1, 20, 20)).tolist() == [0, 0, 0]


def test_the_fights_set_is_written_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTINATO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "data" / CATALOG["fights"].splits["train"][0]
    source.parent.mkdir(parents=True)
    clips = _clips()
    names = np.asarray([f"clip{n}.mp4" for n in range(5)])
    np.savez(source, X=clips, y=np.asarray([1, 0, 0, 1, 1]), names=names)
    said: list[str] = []
    table = catalog.find("fights", "train", said.append)
    assert len(said) == 1
    with table.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["label"] for row in rows] == ["fight", "no fight", "no fight", "fight", "fight"]
    assert [row["scene"] for row in rows] == ["scene000", "scene000", "scene001", "scene002", "scene000"]
    for row, clip in zip(rows, clips, strict=True):
        found = read_clip(VideoRecipe(size=(16, 16)), str(table.parent / row["path"]))[:, 0]
        assert np.abs(found.astype(int) - clip).mean() < 4
    assert catalog.find("fights", "train", said.append) == table
    assert len(said) == 1
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["fights-train"]


def test_what_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTINATO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    entry = replace(CATALOG["fights"], splits={"train": ("x.npz",)})
    monkeypatch.setitem(CATALOG, "fights", entry)
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "x.npz", X=_clips())
    with pytest.raises(DataError, match="has no array y, names"):
        catalog.find("fights", "train")
    assert list((tmp_path / "cache").iterdir()) == []
