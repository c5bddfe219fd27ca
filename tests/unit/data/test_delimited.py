"""CSV and TSV: quotes, line ends, bad rows; Python's csv module is the judge of what is well-formed."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.data.helpers import read, read_same

from ostinato.errors import DataError


def _write(folder: Path, content: str | bytes, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


CELLS = st.text(st.sampled_from('ab ,;\t"\n\r\u2028\x0bé日😀'), max_size=12)


@settings(max_examples=120, deadline=None)
@given(st.data(), st.sampled_from([",", "\t"]), st.sampled_from(["\n", "\r\n"]))
def test_what_python_writes_is_read_back(data: st.DataObject, separator: str, line_end: str) -> None:
    width = data.draw(st.integers(1, 4))
    rows = data.draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=12))
    out = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if line_end == "\n" else csv.QUOTE_MINIMAL  # Python leaves a lone \r unquoted with \n
    writer = csv.writer(out, delimiter=separator, lineterminator=line_end, quoting=quoting)
    writer.writerow([f"c{i}" for i in range(width)])
    starts = []
    for row in rows:
        starts.append(out.getvalue().count("\n") + 1)
        writer.writerow(row)
    with tempfile.TemporaryDirectory() as folder:
        path = _write(Path(folder), out.getvalue(), "rows.csv" if separator == "," else "rows.tsv")
        found = read_same(path)
    assert found.rows == [tuple(cell or None for cell in row) for row in rows]
    assert found.lines == starts
    assert found.bad == []


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from('ab,"\n\r'), min_size=1, max_size=80))
def test_anything_is_read_the_same_whatever_the_block(content: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = read_same(_write(Path(folder), "a,b\n" + content + "z"))
    assert len(found.rows) + len(found.bad) > 0
    widths = {len(row) for row in found.rows}
    assert widths <= {2} or widths == {3}  # one more field than the header in each row: names of rows come first


def test_lines_are_counted_through_newlines_in_quotes(tmp_path: Path) -> None:
    path = _write(tmp_path, 'text,label\n"a\nb\n",1\n\n\nc,2\r\n"d""",3\n')
    found = read_same(path)
    assert found.rows == [("a\nb\n", "1"), ("c", "2"), ('d"', "3")]
    assert found.lines == [2, 7, 8]


def test_empty_cells_are_no_value_quoted_or_not(tmp_path: Path) -> None:
    found = read_same(_write(tmp_path, 'a,b\n,"x"\n"",y\n'))
    assert found.rows == [(None, "x"), (None, "y")]


def test_a_quote_inside_an_unquoted_field_is_a_character(tmp_path: Path) -> None:
    found = read_same(_write(tmp_path, 'a,b\n5" pipe,x\nfoo,y\n6" and 7",z\n'))
    assert found.rows == [('5" pipe', "x"), ("foo", "y"), ('6" and 7"', "z")]
    assert found.bad == []


def test_text_after_a_closing_quote_is_a_bad_row_and_the_next_line_is_not(tmp_path: Path) -> None:
    found = read_same(_write(tmp_path, 'a,b\n"He said "hello" to me",1\nfine,2\n"x" ,3\n'))
    assert found.rows == [("fine", "2")]
    reason = "text follows a closing quote (a quote inside quotes is written twice)"
    assert found.bad == [f"2: {reason}", f"4: {reason}"]


def test_a_quote_that_never_closes(tmp_path: Path) -> None:
    found = read_same(_write(tmp_path, 'a,b\nx,1\n"y,2\nz,3\n'))
    assert found.rows == [("x", "1")]
    assert found.bad == ["3: a quoted field begins here and never closes"]


def test_wrong_field_counts_are_named_never_filled_up(tmp_path: Path) -> None:
    found = read_same(_write(tmp_path, "a,b,c\n1,2,3\n1\n1,2\n1,2,3,4\n4,5,6"))
    assert found.rows == [("1", "2", "3"), ("4", "5", "6")]
    assert found.lines == [2, 6]
    said = {3: "1 field", 4: "2 fields", 5: "4 fields"}
    assert found.bad == [f"{line}: has {fields}, the header has 3" for line, fields in said.items()]


def test_columns_by_name_in_any_order(tmp_path: Path) -> None:
    path = _write(tmp_path, "a,b,c\n1,2,3\n")
    assert read(path, ["c", "a"]).rows == [("3", "1")]


def test_index_column_without_a_name(tmp_path: Path) -> None:
    assert read_same(_write(tmp_path, ",text\n0,x\n1,y\n"), ["text"]).texts == ["x", "y"]


def test_header_with_blank_lines_before_it(tmp_path: Path) -> None:
    found = read_same(_write(tmp_path, "\n\r\na,b\n1,2\n"))
    assert (found.rows, found.lines) == ([("1", "2")], [4])


def test_header_only_gives_no_rows(tmp_path: Path) -> None:
    assert read_same(_write(tmp_path, "a,b\n")).rows == []
    assert read_same(_write(tmp_path, "a,b")).rows == []


def test_a_doubled_name_gets_a_number_and_that_is_said(tmp_path: Path) -> None:
    path = _write(tmp_path, "text,label,text,text_2,text\n1,2,3,4,5\n")
    found = read_same(path, ["text", "label", "text_3", "text_2", "text_4"])
    assert found.rows == [("1", "2", "3", "4", "5")]
    said = [f"there are several columns `text`: one is renamed to {name}" for name in ("text_3", "text_4")]
    assert found.notes == [f"{path}: {'; '.join(said)}"]


def test_missing_column_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = _write(tmp_path, "text,label\n1,2\n")
    with pytest.raises(DataError) as caught:
        read(path, ["txt"])
    assert caught.value.message == f"`{path}` has no column `txt`. Columns: text, label."
    assert caught.value.hint == "did you mean text?"


def test_nul_bytes_and_broken_utf8_take_the_whole_record(tmp_path: Path) -> None:
    good = "é,9\n" * 5
    content = good.encode() + b'"one\ntw\0o\nthree",1\nx,2\n"caf\xe9\nmore",3\ny,4\n'
    found = read_same(_write(tmp_path, b"a,b\n" + content))
    assert found.texts == ["é"] * 5 + ["x", "y"]
    assert found.bad == ["7: holds a NUL byte", "11: not valid UTF-8"]
    assert found.lines[-2:] == [10, 13]


def test_a_row_of_two_million_characters(tmp_path: Path) -> None:
    long = "word, " * 333_334
    found = read(_write(tmp_path, f'text,label\n"{long}",1\nshort,2\n'), block_bytes=64 << 10)
    assert found.texts == [long, "short"]
    assert found.lines == [2, 3]


def test_a_file_of_many_blocks(tmp_path: Path) -> None:
    rows = [(f'text {i}\nwith "quotes", and commas', str(i % 3)) for i in range(3000)]
    out = io.StringIO(newline="")
    csv.writer(out).writerows([("text", "label"), *rows])
    found = read(_write(tmp_path, out.getvalue()), block_bytes=4096)
    assert found.num_blocks > 10
    assert found.rows == rows
    assert found.lines == list(range(2, 6002, 2))


def test_where_polars_does_not_agree_each_record_is_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(tmp_path, 'a,b\n"x,1",2\n"y""",3\r\n,4\n')
    expected = read(path)
    monkeypatch.setattr("polars.read_csv", lambda *_, **__: __import__("polars").DataFrame())
    assert read(path) == expected


@pytest.mark.parametrize("mark", [";", "|"])
def test_cells_that_are_a_mark_are_no_separators(tmp_path: Path, mark: str) -> None:
    path = _write(tmp_path, f"c0\r\n{mark}\r\n{mark}\r\n{mark}\r\n", "rows.csv")
    assert read_same(path).rows == [(mark,)] * 3
    path = _write(tmp_path, f"c0\r\na\r\n{mark}\r\n{mark}\r\n{mark}\r\n", "more.csv")
    assert read_same(path).rows == [("a",), *[(mark,)] * 3]
