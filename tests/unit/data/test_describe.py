"""What is in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ostinato.data.describe import describe
from ostinato.storage import decompress


def test_a_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("text,label\ncafé noir,1\n,0\nthé,1\nbroken\n".encode("latin-1"))
    said: list[str] = []
    found = describe(str(path), said.append)
    assert said == [f"{path}: not UTF-8, read as Latin-1 (another: --set data.encoding=cp1250)"]
    assert (found["format"], found["encoding"], found["rows"]) == ("csv", "Latin-1", 3)
    assert found["columns"] == [
        {
            "name": "text",
            "values": 2,
            "distinct": "2",
            "mean_characters": 6.0,
            "longest": 9,
            "of": "characters",
            "example": "café noir",
        },
        {
            "name": "label",
            "values": 3,
            "distinct": "2",
            "mean_characters": 1.0,
            "longest": 1,
            "of": "characters",
            "example": "1",
        },
    ]
    assert found["bad_rows"] == [f"{path}:5: has 1 field, the header has 2"]


def test_a_text_is_one_row_however_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decompress, "BLOCK_BYTES", 50)
    (tmp_path / "a.txt").write_text("a line of text\n" * 100)
    found = describe(str(tmp_path / "a.txt"))
    assert (found["format"], found["encoding"], found["rows"]) == ("text", "UTF-8", 1)
    column = found["columns"][0]
    assert (column["values"], column["distinct"], column["longest"]) == (1, "1", 1500)
