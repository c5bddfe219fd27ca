"""Parallel files and pairs a line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from tests.unit.data.helpers import read, read_same

from ostinato.data.readers.registry import open_source
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError
from ostinato.recipe import build_recipe
from ostinato.tasks.prepare import prepare

ENGLISH = ["A dog runs.", "Two men cook.", "", "A girl sings.", "Nobody."]
GERMAN = ["Ein Hund rennt.", "Zwei Männer kochen.", "", "", "Niemand."]


def _write(folder: Path, english: list[str] = ENGLISH, german: list[str] = GERMAN) -> Path:
    (folder / "train.en").write_text("\n".join(english) + "\n", encoding="utf-8")
    (folder / "train.de").write_text("\n".join(german) + "\n", encoding="utf-8")
    return folder / "train.en"


def test_columns_are_named_by_the_suffixes(tmp_path: Path) -> None:
    path = _write(tmp_path)
    (tmp_path / "train.fr.gz").write_bytes(b"packed in another way: no sibling")
    (tmp_path / "test.cs").write_text("another stem\n")
    source = open_source(path, BadRows())
    assert source.format == "parallel"
    assert source.columns() == ["en", "de"]
    assert source.usual_input == "en"
    assert open_source(tmp_path / "train.de", BadRows()).columns() == ["de", "en"]


def test_rows_and_their_lines(tmp_path: Path) -> None:
    found = read_same(_write(tmp_path))
    assert found.rows == [
        ("A dog runs.", "Ein Hund rennt."),
        ("Two men cook.", "Zwei Männer kochen."),
        ("A girl sings.", None),
        ("Nobody.", "Niemand."),
    ]
    assert found.lines == [1, 2, 4, 5]
    assert read(_write(tmp_path), ["de"]).texts == ["Ein Hund rennt.", "Zwei Männer kochen.", "Niemand."]


def test_compressed_files(tmp_path: Path) -> None:
    for name, lines in (("en", ENGLISH), ("de", GERMAN)):
        (tmp_path / f"val.{name}.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    assert read_same(tmp_path / "val.en.gz").rows[0] == ("A dog runs.", "Ein Hund rennt.")


@pytest.mark.parametrize("count", [1, 4])
def test_unequal_numbers_of_lines(tmp_path: Path, count: int) -> None:
    path = _write(tmp_path, german=GERMAN[:count])
    for size in (7, 1 << 20):
        with pytest.raises(
            DataError, match=rf"as many lines each.*train.en` has 5, .*train.de` has {count}\."
        ) as caught:
            read(path, block_bytes=size)
        assert "a line is missing somewhere" in str(caught.value.hint)


def test_a_source_without_target_is_a_bad_row(tmp_path: Path) -> None:
    recipe = build_recipe({"data": {"train": str(_write(tmp_path)), "target": "de", "validation": 0.4}})
    with pytest.raises(DataError, match=r"1 row can't be used:\n.*train.en:4: no value in column `de`"):
        prepare(recipe)


def test_an_empty_source_is_a_bad_row(tmp_path: Path) -> None:
    path = _write(tmp_path, german=[*GERMAN[:2], "Ein Lied.", "Ein Mädchen singt.", "Niemand."])
    recipe = build_recipe({"data": {"train": str(path), "target": "de", "validation": 0.4}})
    with pytest.raises(DataError, match=r"train.en:3: no value in column `en`"):
        prepare(recipe)


def test_a_line_that_is_no_text_takes_its_pair_with_it(tmp_path: Path) -> None:
    path = _write(tmp_path)
    (tmp_path / "train.de").write_bytes(
        "Ein Hund\nZwei M\xe4nner\n\nÄ\nNiemand\n".encode("latin-1").replace(b"\xc4", b"x\0")
    )
    found = read(path, encoding="utf-8")
    assert found.bad == ["2: not valid UTF-8", "4: holds a NUL byte"]
    assert [row[0] for row in found.rows] == ["A dog runs.", "Nobody."]


def test_a_file_without_siblings_has_no_known_format(tmp_path: Path) -> None:
    (tmp_path / "alone.en").write_text("A dog runs.\n")
    with pytest.raises(DataError, match="can't tell the format"):
        open_source(tmp_path / "alone.en", BadRows())


def _pairs(path: Path, text: str) -> tuple[list[str], list[tuple[str | None, ...]], list[str]]:
    path.write_text(text, encoding="utf-8")
    bad_rows = BadRows()
    source = open_source(path, bad_rows, format="pairs")
    rows = [row for block in source.blocks(source.columns()) for row in block.table.rows()]
    return source.columns(), rows, [f"{row.line}: {row.reason}" for row in bad_rows.in_order()]


def test_a_pronouncing_dictionary(tmp_path: Path) -> None:
    text = ";;; comment\n'CAUSE  K AH Z\n\nTHE  DH AH\nTHE  DH  IY\nBROKEN K\nEMPTY  \n"
    columns, rows, bad = _pairs(tmp_path / "words.txt", text)
    assert columns == ["word", "phones"]
    assert rows == [("'CAUSE", "K AH Z"), ("THE", "DH AH"), ("THE", "DH  IY"), ("EMPTY", None)]
    assert bad == ["6: has 1 field with two spaces between, a pair has 2"]


def test_pairs_with_a_tab_between(tmp_path: Path) -> None:
    columns, rows, bad = _pairs(tmp_path / "pairs.txt", "one  two\tzwei\na\tb\tc\n;;; x\ty\n")
    assert columns == ["source", "target"]
    assert rows == [("one  two", "zwei"), (";;; x", "y")]
    assert bad == ["2: has 3 fields with tab between, a pair has 2"]


def test_a_file_of_comments_holds_no_pair(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no pair"):
        _pairs(tmp_path / "none.txt", ";;; nothing\n")
