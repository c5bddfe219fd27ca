"""Folders and archives of media files: one row a file, named parts of names, what is left out."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from ostinato.data.readers.registry import Source, detect_format, open_source
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError
from ostinato.media.files import media_path
from ostinato.recipe import build_recipe
from ostinato.tasks.prepare import prepare

NAMES = ("3_ann_0.wav", "3_bob_11.wav", "5_ann_2.wav")


def _tar(path: Path, members: dict[str, bytes], mode: str = "w:xz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def _rows(source: Source) -> list[dict[str, str]]:
    return [row for block in source.blocks(source.columns()) for row in block.table.to_dicts()]


def test_names_of_files_are_split_into_columns(tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_bytes(b"")
    (folder / "README.md").write_text("read me")
    assert detect_format(folder) == "media"
    plain = open_source(folder, BadRows())
    assert plain.columns() == ["path", "name", "part1", "part2", "part3"]
    assert plain.notes == [f"{folder}: left out, since not audio: README.md"]
    assert plain.kind_of("path") == "audio"
    assert plain.kind_of("part1") is None
    named = _rows(open_source(folder, BadRows(), names=("digit", "speaker", "index")))
    assert [(row["digit"], row["speaker"], row["index"]) for row in named] == [
        ("3", "ann", "0"),
        ("3", "bob", "11"),
        ("5", "ann", "2"),
    ]
    assert [row["name"] for row in named] == ["3_ann_0", "3_bob_11", "5_ann_2"]


def test_subfolders_are_labels(tmp_path: Path) -> None:
    for name in ("yes/a.mp4", "no/deep/b.mp4", "loose.mp4", ".hidden/c.mp4"):
        path = tmp_path / "clips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    source = open_source(tmp_path / "clips", BadRows())
    assert source.format == "media"
    assert source.usual_target in source.columns()
    assert [(row["label"], row["name"]) for row in _rows(source)] == [("no", "b"), ("yes", "a")]
    assert source.notes == [f"{tmp_path / 'clips'}: left out, since not in a class folder: loose.mp4"]


@pytest.mark.parametrize("suffix", [".tar", ".tar.xz", ".tar.gz", ".zip"])
def test_archives_are_read_by_member(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"recordings{suffix}"
    members = {f"recordings/{name}": name.encode() for name in NAMES} | {"recordings/notes.txt": b"x"}
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    else:
        _tar(path, members, "w" + suffix.removeprefix(".tar").replace(".", ":"))
    rows = _rows(open_source(path, BadRows()))
    assert [row["path"] for row in rows] == [f"{path}#recordings/{name}" for name in NAMES]
    assert "label" not in rows[0]
    assert media_path(rows[1]["path"]).read_bytes() == NAMES[1].encode()


def test_a_path_that_leads_out_of_an_archive_is_refused(tmp_path: Path) -> None:
    path = _tar(tmp_path / "bad.tar", {"../evil.wav": b"x"}, "w")
    with pytest.raises(DataError, match="can't unpack"):
        open_source(path, BadRows()).columns()
    assert not (tmp_path / "evil.wav").exists()
    good = _tar(tmp_path / "good.tar", {"a.wav": b"x"}, "w")
    (tmp_path / "secret.wav").write_bytes(b"y")
    with pytest.raises(DataError, match="has no member"):
        media_path(f"{good}#../secret.wav")


def test_names_of_another_number_of_parts_are_bad_rows(tmp_path: Path) -> None:
    for name in ("a_1.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"")
    bad = BadRows()
    rows = _rows(open_source(tmp_path, bad, names=("who", "number")))
    assert [row["who"] for row in rows] == ["a"]
    assert str(bad.rows[0]) == f"{tmp_path / 'b.wav'}:1: its name has 1 parts at `_`, `data.names` has 2"


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(DataError, match=r"`data\.names` must differ from each other"):
        open_source(tmp_path, BadRows(), names=("name",)).columns()
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"`data\.names` does not apply to the format csv"):
        open_source(tmp_path / "rows.csv", BadRows(), names=("name",))
    other = _tar(tmp_path / "other.tar", {"a.txt": b"x"}, "w")
    with pytest.raises(DataError, match="holds no file of sound, video, music or pictures"):
        open_source(other, BadRows(), format="media").columns()
    (tmp_path / "broken.tar.xz").write_bytes(b"no archive")
    with pytest.raises(DataError, match="can't unpack"):
        open_source(tmp_path / "broken.tar.xz", BadRows()).columns()


def test_rows_are_chosen_and_grouped_by_parts_of_names(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    import numpy as np

    for speaker in ("ann", "bob", "cem", "dan"):
        for index in range(4):
            soundfile.write(tmp_path / f"{index % 2}_{speaker}_{index}.wav", np.ones(100), 8000)
    data = {
        "train": str(tmp_path),
        "names": ["digit", "speaker", "index"],
        "target": "digit",
        "where": "CAST(index AS INTEGER) >= 1",
        "group": "speaker",
        "validation": 0.25,
    }
    prepared = prepare(build_recipe({"data": data, "features": {"input": {"kind": "audio", "sample_rate": 8000}}}))
    places = [prepared.validation.location(row) for row in range(3)]  # type: ignore[union-attr]
    assert len(prepared.train) == 9  # type: ignore[arg-type]
    assert len({Path(place).name.split("_")[1] for place in places}) == 1
