"""JSONL: types, blank and broken lines, by line number."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.data.helpers import read, read_same

from ostinato.errors import DataError


def _write(folder: Path, lines: list[str] | bytes) -> Path:
    path = folder / "rows.jsonl"
    path.write_bytes(lines if isinstance(lines, bytes) else "\n".join(lines).encode() + b"\n")
    return path


LABELS = st.none() | st.integers() | st.booleans() | st.text(max_size=5)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=20), LABELS), min_size=1), st.booleans())
def test_what_python_writes_is_read_back(rows: list[tuple[str, object]], escaped: bool) -> None:
    lines = [json.dumps({"text": text, "label": label}, ensure_ascii=escaped) for text, label in rows]
    with tempfile.TemporaryDirectory() as folder:
        found = read_same(_write(Path(folder), lines), ["text", "label"])
    if found.bad:  # integers beyond 128 bits are refused
        assert any(isinstance(label, int) and abs(label) >= 1 << 64 for _, label in rows)
        return
    assert found.rows == [(text, _shown(label)) for text, label in rows]
    assert found.lines == list(range(1, len(rows) + 1))


def _shown(label: object) -> str | None:
    return label if label is None or isinstance(label, str) else json.dumps(label)


def test_numbers_lists_and_nulls_are_text_with_and_without_a_broken_line(tmp_path: Path) -> None:
    lines = ['{"a": 1, "b": 1.0}', '{"a": [1, "é"], "b": {"k": [null, true]}}', '{"a": null}', '{"b": "x"}', "{}"]
    expected = [("1", "1"), ('[1, "é"]', '{"k": [null, true]}'), (None, None), (None, "x"), (None, None)]
    assert read_same(_write(tmp_path, lines)).rows == expected
    found = read_same(_write(tmp_path, [*lines, "{broken", *lines]))
    assert found.rows == expected * 2
    assert found.lines == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]


def test_broken_line_17_and_blank_lines(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"row {i}"}) for i in range(1, 31)]
    lines[16] = '{"text": "cut off'
    lines[4] = ""
    lines[5] = "  \r"
    found = read_same(_write(tmp_path, lines))
    assert found.bad == ["17: invalid JSON: Unterminated string starting at at column 10"]
    assert found.lines == [n for n in range(1, 31) if n not in (5, 6, 17)]
    assert found.texts[-1] == "row 30"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[1, 2]", "not a JSON object but a list"),
        ('"text"', "not a JSON object but a text or number"),
        ("5", "not a JSON object but a text or number"),
        ("null", "not a JSON object but null"),
        ('{"text": NaN}', "invalid JSON: NaN is not a JSON value"),
        ('{"text": "a"} {"text": "b"}', "invalid JSON: Extra data at column 15"),
        ("{'text': 'a'}", "invalid JSON: Expecting property name enclosed in double quotes at column 2"),
        ('{"text": "tab\there"}', "invalid JSON: Invalid control character at at column 14"),
        ('{"text": "half \\ud800 a pair"}', "escapes half a character (a surrogate without its pair)"),
        ('{"text": "low \\udc00"}', "escapes half a character (a surrogate without its pair)"),
        ('{"text": 1e999}', "not valid JSON (RFC 8259)"),
        ('{"text": ' + "[" * 3000 + "]" * 3000 + "}", "invalid JSON: nested too deeply"),
        ('{"text": "a \0 b"}', "holds a NUL byte"),
    ],
)
def test_lines_that_are_no_objects(tmp_path: Path, line: str, reason: str) -> None:
    good = '{"text": "good"}'
    found = read_same(_write(tmp_path, [good, line, good]))
    assert found.bad == [f"2: {reason}"]
    assert (found.texts, found.lines) == (["good", "good"], [1, 3])


def test_escapes_that_are_whole_characters(tmp_path: Path) -> None:
    lines = ['{"text": "\\ud83d\\ude00 \\u00e9"}', '{"text": "\\\\ud800"}', '{"text": "\\\\\\ud83d\\ude00"}']
    found = read_same(_write(tmp_path, lines))
    assert found.texts == ["😀 é", "\\ud800", "\\😀"]
    assert found.bad == []


def test_many_broken_lines_are_all_found(tmp_path: Path) -> None:
    lines = [f'{{"text": "{i}"}}' if i % 3 else "{" for i in range(200)]
    found = read_same(_write(tmp_path, lines))
    assert found.texts == [str(i) for i in range(200) if i % 3]
    assert [int(b.split(":")[0]) - 1 for b in found.bad] == list(range(0, 200, 3))


def test_only_broken_lines(tmp_path: Path) -> None:
    path = _write(tmp_path, ['{"text": "x"}', "{", "]"])
    assert read_same(path, ["text"]).texts == ["x"]
    with pytest.raises(DataError, match="has no JSON object in its first 100 lines"):
        read(_write(tmp_path, ["{", "]"]))


def test_one_json_list_gets_a_hint(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(_write(tmp_path, ["[", '  {"text": "x"},', "]"]))
    assert caught.value.hint == "if it is one JSON list: jq -c '.[]' FILE.json > FILE.jsonl"


def test_columns_are_the_keys_of_the_first_hundred_objects(tmp_path: Path) -> None:
    lines = ['{"a": 1}'] * 99 + ['{"b": 2}', '{"c": 3}']
    path = _write(tmp_path, lines)
    with pytest.raises(DataError, match=r"has no column `c`\. Columns: a, b\."):
        read(path, ["c"], block_bytes=64)


def test_no_newline_at_the_end(tmp_path: Path) -> None:
    assert read_same(_write(tmp_path, b'{"a": "x"}\r\n{"a": "y"}')).texts == ["x", "y"]
