"""A folder a class."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.data.helpers import read, read_same

from ostinato.data.readers.registry import open_source
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError


def _tree(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


ACL = {
    "aclImdb/README": "read me",
    "aclImdb/imdb.vocab": "the",
    "aclImdb/train/labeledBow.feat": "x",
    "aclImdb/train/pos/1_9.txt": "good",
    "aclImdb/train/pos/0_10.txt": "great\r\nfilm",
    "aclImdb/train/neg/0_1.txt": "bad",
    "aclImdb/train/unsup/0_0.txt": "unknown",
    "aclImdb/test/pos/0_9.txt": "fine",
    "aclImdb/test/neg/0_2.txt": "poor",
}


def test_acl_imdb(tmp_path: Path) -> None:
    found = read_same(_tree(tmp_path, ACL) / "aclImdb/train")
    assert found.rows == [("bad", "neg"), ("great\nfilm", "pos"), ("good", "pos")]
    assert found.files == ["0_1.txt", "0_10.txt", "1_9.txt"]
    assert found.lines == [1, 1, 1]
    assert found.notes == [f"{tmp_path}/aclImdb/train/unsup: unlabelled texts, left out"]


def test_one_level_too_high_names_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(_tree(tmp_path, ACL) / "aclImdb")
    assert caught.value.message == f"`{tmp_path}/aclImdb` holds no .txt files, nor do its subfolders."
    assert caught.value.hint == f"did you mean {tmp_path}/aclImdb/train?"


def test_texts_without_classes(tmp_path: Path) -> None:
    found = read_same(_tree(tmp_path, {"b.txt": "two", "a.TXT": "one", ".hidden.txt": "no", "c.md": "no"}))
    assert found.rows == [("one",), ("two",)]


def test_texts_beside_the_classes_are_left_out_and_said(tmp_path: Path) -> None:
    found = read_same(_tree(tmp_path, {"a/1.txt": "x", "b/1.txt": "y", "readme.txt": "no", ".git/x.txt": "no"}))
    assert found.rows == [("x", "a"), ("y", "b")]
    assert found.notes == [f"{tmp_path}: 1 .txt files next to the class folders, left out"]


@pytest.mark.parametrize("files", [{}, {"a/x.md": "x"}])
def test_no_texts(tmp_path: Path, files: dict[str, str | bytes]) -> None:
    with pytest.raises(DataError, match=r"holds no \.txt files"):
        read(_tree(tmp_path, files))


def test_encodings_are_found_file_by_file(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"a/1.txt": "caf\xe9".encode("latin-1"), "a/2.txt": "café", "a/3.txt": "\ufeffx"}
    found = read_same(_tree(tmp_path, files))
    assert found.texts == ["café", "café", "x"]
    assert found.notes == [f"{tmp_path}: 1 files are not UTF-8, read as Latin-1 (the first: {tmp_path}/a/1.txt)"]
    strict = read(tmp_path, encoding="utf-8")
    assert (strict.texts, strict.bad) == (["café", "x"], ["1: not valid UTF-8"])


def test_what_is_no_folder_and_what_is_one(tmp_path: Path) -> None:
    _tree(tmp_path, {"a.csv": "x\ny\n"})
    with pytest.raises(DataError, match=r"is a file; `data\.format` says folder"):
        open_source(tmp_path / "a.csv", BadRows(), format="folder")
    with pytest.raises(DataError, match=r"is a folder; `data\.format` says csv"):
        open_source(tmp_path, BadRows(), format="csv")


def test_nearest_file_and_unknown_format(tmp_path: Path) -> None:
    _tree(tmp_path, {"reviews.csv": "x\ny\n", "notes.xyz": "x"})
    with pytest.raises(DataError) as caught:
        open_source(tmp_path / "review.csv", BadRows())
    assert caught.value.message == f"no such file or folder: `{tmp_path}/review.csv`."
    assert caught.value.hint == f"did you mean {tmp_path}/reviews.csv?"
    with pytest.raises(DataError) as caught:
        open_source(tmp_path / "no/where.csv", BadRows())
    assert f"there is no folder `{tmp_path}/no` either" in caught.value.message
    with pytest.raises(DataError, match=r"can't tell the format of `.*notes\.xyz`"):
        open_source(tmp_path / "notes.xyz", BadRows())
