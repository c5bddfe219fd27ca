"""Compression, encodings, and files that are no text."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.data.helpers import read, read_same

from ostinato.data.readers.registry import open_source
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError
from ostinato.storage import decompress
from ostinato.storage.decompress import open_binary

COMPRESS: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
ROWS = "text,label\n" + "".join(f"row {random.Random(i).random()},{i}\n" for i in range(3000))


@pytest.mark.parametrize("suffix", COMPRESS)
def test_compressed_files_are_read_like_plain_ones(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / f"rows.csv{suffix}").write_bytes(COMPRESS[suffix](ROWS.encode()))
    plain, packed = read(tmp_path / "rows.csv"), read(tmp_path / f"rows.csv{suffix}", block_bytes=5000)
    assert packed.rows == plain.rows
    assert packed.num_blocks > 10


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("damage", ["cut off", "not compressed"])
def test_damaged_compressed_files(tmp_path: Path, suffix: str, damage: str) -> None:
    packed = COMPRESS[suffix](ROWS.encode())
    path = tmp_path / f"rows.csv{suffix}"
    path.write_bytes(packed[: len(packed) // 2] if damage == "cut off" else ROWS.encode())
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.message.startswith(f"can't read `{path}`: ")
    assert caught.value.hint == "the compressed file is cut off or damaged"


def test_a_compressed_file_under_a_wrong_name(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    for compress, name in zip(COMPRESS.values(), ("gzip", "bzip2", "xz"), strict=True):
        path.write_bytes(compress(ROWS.encode()))
        with pytest.raises(DataError, match=f"is not text but a {name} file"):
            read(path)


@pytest.mark.parametrize("content", [b"", b" \n\r\n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.txt"])
def test_empty_files(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"`.*{name}` is empty"):
        read(tmp_path / name)


def test_blank_beginning_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n" * 500 + "text\nx\n")
    found = read_same(tmp_path / "a.csv")
    assert (found.rows, found.lines) == ([("x",)], [502])


def test_byte_order_mark_is_removed_and_never_a_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("\ufefftext,label\né,1\n".encode())
    found = read_same(tmp_path / "a.csv", ["text"])
    assert (found.texts, found.notes) == (["é"], [])


def test_latin_1_is_found_and_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text,größe\nabc,1\ncafé,2\n\xa33,3\n".encode("latin-1"))
    found = read_same(path, ["text", "größe"])
    assert found.rows == [("abc", "1"), ("café", "2"), ("£3", "3")]
    assert found.notes == [f"{path}: not UTF-8, read as Latin-1 (another: --set data.encoding=cp1250)"]
    assert read(path, ["text"], encoding="latin-1").notes == []


def test_mixed_encodings_few_broken_lines_are_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,label\n" + b"caf\xe9,0\n" + "café,1\n".encode() * 3 + b"plain,2\n")
    found = read_same(path, ["text", "label"])
    assert found.bad == ["2: not valid UTF-8"]
    assert found.texts == ["café"] * 3 + ["plain"]


def test_utf_8_on_demand_names_every_broken_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,label\nx,0\ncaf\xe9,1\nna\xefve,1\n")
    assert read_same(path, ["text"], encoding="utf-8").bad == ["3: not valid UTF-8", "4: not valid UTF-8"]


def test_latin_1_after_the_sample_is_bad_rows_with_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decompress, "DETECT_BYTES", 64)
    path = tmp_path / "a.csv"
    path.write_bytes(b"text\n" + b"plain\n" * 50 + b"caf\xe9\n")
    assert read_same(path, ["text"]).bad == ["52: not valid UTF-8"]


def test_a_file_that_may_not_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("text\nx\n")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"can't open `.*a.csv`: Permission denied."):
        read(tmp_path / "a.csv")


def test_a_member_of_a_zip_file(tmp_path: Path) -> None:
    path = tmp_path / "both.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner/a.csv", "text,label\ngood,1\nbad,0\n")
        archive.writestr("b.txt", "xyz")
    source = open_source(tmp_path / "both.zip#inner/a.csv", BadRows())
    assert source.format == "csv"
    assert [block.table.to_dict(as_series=False) for block in source.blocks(["text", "label"])] == [
        {"text": ["good", "bad"], "label": ["1", "0"]}
    ]
    with pytest.raises(DataError, match=r"has no member `c.txt`. It holds: inner/a.csv, b.txt"):
        open_binary(path, "c.txt")
    with pytest.raises(DataError, match=r"is an archive\. It holds"):
        open_binary(path)
