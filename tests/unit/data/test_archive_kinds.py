"""What is in an archive is read as it would be beside it; hostile ones are refused by file and member."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from tests.unit.data.helpers import read

from ostinato.data.readers.registry import open_source
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError
from ostinato.recipe import build_recipe
from ostinato.storage import unpack
from ostinato.tasks.prepare import inferred, prepare

ROWS = b"text,label\ngood,1\nbad,0\n"
SESSION = b"time,x,y\n0,1,2\n1,3,4\n"
LABELLED = {"s/walk/a.csv": SESSION, "s/run/b.csv": SESSION, "s/run/c.csv": SESSION}
TEXTS = {"t/pos/1.txt": b"good film", "t/neg/1.txt": b"bad film"}
FASTA = {"d/coding.fa": b">1\nACGT\n", "d/other.fa": b">1\nGGGG\n"}


def _pack(path: Path, members: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return path
    mode = {".tar": "w", ".tgz": "w:gz", ".gz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz", ".txz": "w:xz"}[path.suffix]
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


KINDS = [  # archive, members, format, columns, the first row's label
    ("a.zip", {"rows.csv": ROWS}, "csv", "text label", "1"),
    ("a.tar", {"rows.csv": ROWS}, "csv", "text label", "1"),
    ("a.tgz", {"data/rows.csv": ROWS, "data/README.md": b"x", "LICENSE": b"y"}, "csv", "text label", "1"),
    ("a.tar.bz2", {"rows.tsv": ROWS.replace(b",", b"\t")}, "tsv", "text label", "1"),
    ("a.tar.xz", {"rows.jsonl": b'{"text": "good", "label": 1}\n'}, "jsonl", "text label", "1"),
    ("a.txz", {"rows.csv.gz": gzip.compress(ROWS)}, "csv", "text label", "1"),
    ("a.zip", {"._rows.csv": b"x", "__MACOSX/rows.csv": b"x", "rows.csv": ROWS}, "csv", "text label", "1"),
    ("a.zip", TEXTS, "folder", "text label", "neg"),
    ("a.tar.gz", TEXTS, "folder", "text label", "neg"),
    ("a.zip", LABELLED, "tables", "time x y file label", "run"),
    ("a.tar", {**LABELLED, "s/README.txt": b"x"}, "tables", "time x y file label", "run"),
    ("a.zip", FASTA, "fasta", "id description sequence label", "coding"),
    ("a.tar", {"m/yes/1.wav": b"", "m/no/2.wav": b""}, "media", "path label name part1", "no"),
    ("a.zip", {"book.txt": b"Once upon a time\n"}, "text", "text", None),
]


@pytest.mark.parametrize(("name", "members", "format", "columns", "label"), KINDS)
def test_every_kind_of_archive(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    members: dict[str, bytes],
    format: str,
    columns: str,
    label: str | None,
) -> None:
    _pack(tmp_path / name, members)
    monkeypatch.chdir(tmp_path)
    source = open_source(Path(name), BadRows())  # by a relative path
    assert source.format == format
    assert source.columns() == columns.split()
    first = next(iter(source.blocks(source.columns())))
    assert first.table.to_dicts()[0].get("label") == label
    assert first.location(0)[0].startswith(f"{name}#")
    assert source.name.startswith(name)


def test_places_and_errors_name_the_archive(tmp_path: Path) -> None:
    path = _pack(tmp_path / "a.zip", {"in/rows.csv": ROWS + b"one,two,three\n"})
    bad_rows = BadRows()
    source = open_source(path, bad_rows)
    list(source.blocks(["text"]))
    assert str(bad_rows.rows[0]).startswith(f"{path}#in/rows.csv:4: has 3 fields")
    with pytest.raises(DataError, match=r"`.*a\.zip#in/rows\.csv` has no column `txt`"):
        source.require("txt")
    empty = _pack(tmp_path / "empty.zip", {"rows.csv": b""})
    with pytest.raises(DataError, match=r"`.*empty\.zip#rows\.csv` is empty"):
        open_source(empty, BadRows()).columns()


def test_a_member_or_folder_may_be_named(tmp_path: Path) -> None:
    path = _pack(tmp_path / "a.tar", {"train.csv": ROWS, "test.csv": ROWS + b"fine,1\n", "deep/t/pos/1.txt": b"x"})
    assert len(read(Path(f"{path}#test.csv")).rows) == 3
    assert open_source(Path(f"{path}#deep/t"), BadRows()).format == "folder"
    with pytest.raises(DataError, match=r"has no member `none\.csv`. It holds: deep/t/pos/1\.txt, test\.csv") as caught:
        open_source(Path(f"{path}#none.csv"), BadRows())
    assert caught.value.instead == ("none.csv", "test.csv")
    splits = _pack(tmp_path / "b.zip", {"train.csv": ROWS, "test.csv": ROWS})
    with pytest.raises(DataError, match=r"one table per part of the data: test\.csv, train\.csv") as caught:
        open_source(splits, BadRows()).columns()
    named = str(caught.value.hint).removeprefix("did you mean ").removesuffix("?")
    assert len(read(Path(named)).rows) == 2


def test_media_beside_a_table_in_an_archive_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ostinato.data.io.blocks import located
    from ostinato.media.files import media_path

    _pack(tmp_path / "a.zip", {"rows.csv": b"path,label\nclips/1.wav,x\n", "clips/1.wav": b"sound"})
    monkeypatch.chdir(tmp_path)
    [block] = open_source(Path("a.zip#rows.csv"), BadRows()).blocks(["path"])
    [cell] = located(block, block.table["path"]).to_list()
    assert media_path(cell).read_bytes() == b"sound"


HOSTILE = [  # members of a zip, what is said
    ({"../out.csv": ROWS}, r"member `\.\./out\.csv` points outside the folder"),
    ({"/etc/out.csv": ROWS}, r"member `/etc/out\.csv` points outside the folder"),
    ({"x" * 300 + ".csv": ROWS}, "can't unpack `x"),
    ({"a": b"1", "a/b.csv": ROWS}, "can't unpack `a/b.csv`"),
]


@pytest.mark.parametrize(("members", "said"), HOSTILE)
def test_hostile_members_are_refused(tmp_path: Path, members: dict[str, bytes], said: str) -> None:
    before = set(os.listdir(tempfile.gettempdir()))
    with pytest.raises(DataError, match=said):
        open_source(_pack(tmp_path / "a.zip", members), BadRows())
    left = {name for name in set(os.listdir(tempfile.gettempdir())) - before if name.startswith("ostinato-")}
    assert not left


def _damaged(kind: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", ROWS * 50)
    raw = bytearray(buffer.getvalue())
    central = raw.index(b"PK\x01\x02")
    if kind == "encrypted":
        raw[6] |= 1
        raw[central + 8] |= 1
    elif kind == "exotic":
        raw[8] = raw[central + 10] = 97
    elif kind == "checksum":
        raw[14] ^= 0xFF
        raw[central + 16] ^= 0xFF
    else:
        raw = raw[: len(raw) // 2]
    return bytes(raw)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("encrypted", r"can't unpack `rows\.csv` of .*: it is encrypted"),
        ("exotic", r"can't unpack `rows\.csv` of .*compression"),
        ("checksum", r"can't unpack `rows\.csv` of .*CRC"),
        ("cut", r"can't unpack `.*a\.zip`"),
    ],
)
def test_damaged_archives_are_named_with_the_member(tmp_path: Path, kind: str, said: str) -> None:
    (tmp_path / "a.zip").write_bytes(_damaged(kind))
    with pytest.raises(DataError, match=said):
        open_source(tmp_path / "a.zip", BadRows())


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "FREE_BYTES", 1 << 20)
    bomb = _pack(tmp_path / "a.zip", {"rows.csv": b"0" * (3 << 20)})
    with pytest.raises(DataError, match="grows to more than 100 times its size"):
        open_source(bomb, BadRows())
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"0" * (8 << 20)))
    with pytest.raises(DataError, match="grows to more than 100 times its size"):
        read(tmp_path / "a.csv.gz")
    monkeypatch.setattr(unpack, "MOST_BYTES", 10)
    with pytest.raises(DataError, match="holds more than"):
        open_source(_pack(tmp_path / "b.zip", {"rows.csv": ROWS}), BadRows())


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_files_that_are_cut_off_are_named(tmp_path: Path, pack: object) -> None:
    suffix = {gzip.compress: "gz", bz2.compress: "bz2", lzma.compress: "xz"}[pack]  # type: ignore[index]
    path = tmp_path / f"rows.csv.{suffix}"
    path.write_bytes(pack(ROWS * 500)[:-20])  # type: ignore[operator]
    with pytest.raises(DataError, match=r"can't read `.*rows\.csv"):
        read(path)


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.csv")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        open_source(tmp_path / "rows.csv", BadRows())


def test_what_a_killed_process_left_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    old, mine = tmp_path / "ostinato-999999999-abc", tmp_path / f"ostinato-{os.getpid()}-abc"
    old.mkdir()
    mine.mkdir()
    read(_pack(tmp_path / "a.zip", {"rows.csv": ROWS}))
    assert not old.exists()
    assert mine.exists()


def test_a_file_is_a_session_where_a_table_or_a_folder_labels_it(tmp_path: Path) -> None:
    for name, content in LABELLED.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    recipe = inferred(build_recipe({"data": {"train": str(tmp_path / "s")}}))
    assert (recipe.data.session, recipe.data.input, recipe.data.target) == ("file", "x,y", "label")
    assert recipe.model.task == "classification"
    places = prepare(recipe.model_copy(update={"data": recipe.data.model_copy(update={"validation": 0.4})})).train
    where = {Path(places.location(row)).name for row in range(len(places))}  # type: ignore[union-attr, arg-type]
    assert len(where) == 2
    assert where <= {"a.csv:2", "b.csv:2", "c.csv:2"}
    flat = tmp_path / "flat"
    flat.mkdir()
    for number in range(4):
        (flat / f"r{number}.csv").write_bytes(SESSION)
    (flat / "labels.csv").write_text("name,kind\n" + "".join(f"r{number}.csv,{number % 2}\n" for number in range(4)))
    assert open_source(flat, BadRows()).columns() == ["time", "x", "y", "file", "kind"]
    recipe = inferred(build_recipe({"data": {"train": str(flat)}}))
    assert (recipe.data.session, recipe.data.input, recipe.data.target) == ("file", "x,y", "kind")
    rows = inferred(build_recipe({"data": {"train": str(flat), "input": "x", "target": "y"}}))
    assert rows.data.session is None


def test_a_bad_row_of_a_session_is_told_once(tmp_path: Path) -> None:
    for name, content in LABELLED.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content + (b"2,5\n" if "c.csv" in name else b""))
    with pytest.raises(DataError, match=r"1 row can't be used:\n.*c\.csv:4: has 2 fields"):
        prepare(build_recipe({"data": {"train": str(tmp_path / "s")}}))


def test_a_table_of_another_form_among_others_is_a_bad_row(tmp_path: Path) -> None:
    for name, content in LABELLED.items():
        path = tmp_path / name.replace("s/", "")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if "c.csv" not in name else b"a,b\n1,2\n")
    found = read(tmp_path)
    assert found.bad == ["1: has the columns a, b, most files have time, x, y"]
    assert [row[3] for row in found.rows] == ["run/b", "run/b", "walk/a", "walk/a"]
