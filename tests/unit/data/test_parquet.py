"""Parquet: every type as text, blocks, damage."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from tests.unit.data.helpers import read, read_same

from ostinato.errors import DataError

COLUMNS = {
    "text": pl.Series(["a", "é😀", None, ""]),
    "number": pl.Series([1, 2, None, -4]),
    "real": pl.Series([0.5, 1.0, None, 1e300]),
    "flag": pl.Series([True, False, None, True]),
    "day": pl.Series([date(2020, 1, 2), date(1999, 12, 31), None, date(1, 1, 1)]),
    "kind": pl.Series(["x", "y", None, "x"], dtype=pl.Categorical),
    "level": pl.Series(["lo", "hi", None, "lo"], dtype=pl.Enum(["lo", "hi"])),
    "list": pl.Series([["a", "é"], [], None, [None]], dtype=pl.List(pl.String)),
    "days": pl.Series([[date(2020, 1, 2)], [], None, []], dtype=pl.List(pl.Date)),
    "struct": pl.Series([{"a": 1}, {"a": 2}, None, {"a": None}]),
    "nothing": pl.Series([None] * 4, dtype=pl.Null),
}
EXPECTED: dict[str, list[str | None]] = {
    "text": ["a", "é😀", None, ""],
    "number": ["1", "2", None, "-4"],
    "real": ["0.5", "1.0", None, "1e+300"],
    "flag": ["true", "false", None, "true"],
    "day": ["2020-01-02", "1999-12-31", None, "0001-01-01"],
    "kind": ["x", "y", None, "x"],
    "level": ["lo", "hi", None, "lo"],
    "list": ['["a", "é"]', "[]", None, "[null]"],
    "days": ['["2020-01-02"]', "[]", None, "[]"],
    "struct": ['{"a": 1}', '{"a": 2}', None, '{"a": null}'],
    "nothing": [None] * 4,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    pl.DataFrame(COLUMNS).write_parquet(tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


@pytest.mark.parametrize("name", COLUMNS)
def test_every_type_as_text(path: Path, name: str) -> None:
    found = read_same(path, [name])
    assert found.texts == EXPECTED[name]
    assert found.lines == [1, 2, 3, 4]


def test_many_row_groups_in_many_blocks(tmp_path: Path) -> None:
    frame = pl.DataFrame({"text": [f"row {i}" for i in range(5000)], "unused": range(5000)})
    frame.write_parquet(tmp_path / "rows.parquet", row_group_size=700)
    found = read(tmp_path / "rows.parquet", ["text"], block_bytes=2000)
    assert found.num_blocks > 5
    assert found.texts == frame["text"].to_list()
    assert found.lines == list(range(1, 5001))


def test_a_column_of_bytes_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"text": [b"\xff"]}).write_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=r"column `text` of .* holds bytes, not text"):
        read(tmp_path / "rows.parquet")


def test_no_rows(tmp_path: Path) -> None:
    pl.DataFrame({"text": pl.Series([], dtype=pl.String)}).write_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match="is empty"):
        read(tmp_path / "rows.parquet")


@pytest.mark.parametrize("damage", ["cut", "middle", "empty", "text"])
def test_damaged_files(path: Path, damage: str) -> None:
    whole = path.read_bytes()
    broken = bytearray(whole)
    broken[4:200] = bytes(196)
    content = {"cut": whole[:-30], "middle": bytes(broken), "empty": b"", "text": b"text,label\n"}[damage]
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not a readable Parquet file"):
        read(path)


def test_a_compressed_parquet_file_is_refused(path: Path) -> None:
    packed = path.rename(path.with_name("rows.parquet.gz"))
    with pytest.raises(DataError, match="Parquet compresses inside"):
        read(packed)


def test_durations_are_seconds(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"waited": [timedelta(minutes=1), None, timedelta(milliseconds=1500)]}).write_parquet(path)
    assert read(path).texts == ["60.0", None, "1.5"]
