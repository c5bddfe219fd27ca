"""Files of the UCR archive and of sktime/aeon: values, labels, shorter series, and each thing that can be wrong."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest
from tests.unit.data.helpers import Read, read, read_same

from ostinato.data.readers.registry import detect_format
from ostinato.errors import DataError

_TS = """# a comment
@problemName Toy
@timeStamps false
@univariate false
@dimensions 2
@classLabel true a b
@data
"""


def _read_alike(path: Path) -> Read:
    """As `read_same`, for rows that hold NaN, which equals nothing."""
    whole, bits = read(path), read(path, block_bytes=7)
    assert (repr(whole.rows), whole.lines, whole.bad) == (repr(bits.rows), bits.lines, bits.bad)
    return whole


def test_ucr_lines_are_a_class_and_values(tmp_path: Path) -> None:
    path = tmp_path / "Toy_TRAIN.tsv"
    path.write_text("1\t0.5\t-1e-3\t2\n\n1.0000000e+00\t3\t4\t5\n-1\t1\tNaN\t2\nb\t1\tNaN\tNaN\n")
    found = _read_alike(path)
    assert detect_format(path) == "ucr"
    assert [row[1] for row in found.rows] == ["1", "1", "-1", "b"]
    series = [row[0] for row in found.rows]
    assert series[:2] == [[0.5, -0.001, 2.0], [3.0, 4.0, 5.0]]
    assert str(series[2]) == "[1.0, nan, 2.0]"
    assert series[3] == [1.0]
    assert found.lines == [1, 3, 4, 5]


def test_ucr_reads_commas_and_compressed_files(tmp_path: Path) -> None:
    path = tmp_path / "Toy_TEST.tsv.xz"
    path.write_bytes(lzma.compress(b"2,0.5,1\n1,2,3\n"))
    assert read(path).rows == [([0.5, 1.0], "2"), ([2.0, 3.0], "1")]


def test_bad_ucr_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "Toy_TRAIN.tsv"
    path.write_text("1\t0.5\n1\t0.5\tlow\n2\tNaN\n2\n1\t7\n")
    found = read_same(path)
    assert found.bad == [
        "2: not a number: 'low'",
        "3: holds no value after its class",
        "4: holds no value after its class",
    ]
    assert found.lines == [1, 5]


def test_a_tsv_of_another_name_is_a_table(tmp_path: Path) -> None:
    path = tmp_path / "reviews_train.tsv"
    path.write_text("text\tlabel\nx\t1\n")
    assert detect_format(path) == "tsv"
    assert read(path).rows == [("x", "1")]


def test_ts_dimensions_become_frames_of_any_length(tmp_path: Path) -> None:
    path = tmp_path / "toy.ts"
    path.write_text(_TS + "1,2,3:4,5,6:a\n7:8:b\n\n1,?,NaN:2,3,?:a\n")
    found = _read_alike(path)
    assert [row[1] for row in found.rows] == ["a", "b", "a"]
    assert found.rows[0][0] == [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]
    assert found.rows[1][0] == [[7.0, 8.0]]
    assert str(found.rows[2][0]) == "[[1.0, 2.0], [nan, 3.0]]"
    assert found.lines == [8, 9, 11]


def test_univariate_ts_without_labels_is_plain_numbers(tmp_path: Path) -> None:
    path = tmp_path / "toy.ts"
    path.write_text("@univariate true\n@classLabel false\n@data\n1,2\n3\n")
    found = read_same(path, ["series"])
    assert found.rows == [([1.0, 2.0],), ([3.0],)]
    with pytest.raises(DataError, match="has no column `label`"):
        read(path, ["label"])


def test_bad_ts_cases_are_named(tmp_path: Path) -> None:
    path = tmp_path / "toy.ts"
    path.write_text(_TS + "1,2:3:a\n1,2:a\n1,x:2,3:b\n?:?:b\n1:2:a\n")
    assert read_same(path).bad == [
        "8: its dimensions have different numbers of steps: [2, 1]",
        "9: has 1 dimensions, the header says 2",
        "10: not a number: 'x'",
        "11: holds no value",
    ]


def test_ts_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "toy.ts"
    path.write_text("@timeStamps true\n@classLabel true a\n@data\n(0,1),(1,2):a\n")
    with pytest.raises(DataError, match="has a time stamp for each value"):
        read(path)
    path.write_text("1,2,3:a\n")
    with pytest.raises(DataError, match="has data before its line `@data`"):
        read(path)
    path.write_text("@classLabel true\n")
    with pytest.raises(DataError, match="has no line `@data`"):
        read(path)


def test_percent_begins_a_comment_as_a_number_sign_does(tmp_path: Path) -> None:
    text = "%# by weka\n#x\n@problemname p\n@univariate true\n@classLabel true a b\n@data\n%1:a\n1,2:a\n#\n3:b\n"
    (tmp_path / "p_TRAIN.ts").write_text(text)
    assert read(tmp_path / "p_TRAIN.ts").rows == [([1.0, 2.0], "a"), ([3.0], "b")]
