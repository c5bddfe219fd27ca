"""ARFF, Monash's .tsf, Excel, arrays of NumPy and HDF5, idx: read right, or refused by name."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.data.helpers import read, read_same

from ostinato.data.describe import describe
from ostinato.data.readers.registry import open_source
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError, MissingLibraryError
from ostinato.recipe import build_recipe
from ostinato.tasks.prepare import inferred

GAIT = """% made up
@RELATION gait
@attribute 'step length' NUMERIC
@attribute note string
@attribute when date "yyyy-MM-dd"
@attribute class {walk, 'run fast'}
@DATA
1.5,'it''s',?,walk
% a comment
?,"a, b",2021-01-02,'run fast'
{0 2.5, 3 'run fast'}
3,x
"""
UEA = r"""@relation two
@attribute rel relational
  @attribute t1 numeric
  @attribute t2 numeric
  @attribute t3 numeric
@end rel
@attribute label {a,b}
@data
'1,2,3\n4,5,6',a
'1,?\n4,5',b
'1,2\n3',a
'1,x\n3,4',b
"""


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_arff_is_a_table(tmp_path: Path) -> None:
    path = _write(tmp_path / "gait.arff", GAIT.replace("''", "\\'"))
    found = read_same(path)
    assert found.rows == [
        ("1.5", "it's", None, "walk"),
        (None, "a, b", "2021-01-02", "run fast"),
        ("2.5", "0", "0", "run fast"),
    ]
    assert found.lines == [8, 10, 11]
    assert found.bad == ["12: has 2 fields, the header has 4"]
    source = open_source(path, BadRows())
    assert source.columns() == ["step length", "note", "when", "class"]
    assert source.usual_target == "class"


def test_relational_arff_is_series_with_a_channel_a_line(tmp_path: Path) -> None:
    found = read(_write(tmp_path / "uea.arff", UEA))
    assert found.rows[0] == ([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]], "a")
    assert found.rows[1][0][0] == [1.0, 4.0]
    assert np.isnan(found.rows[1][0][1][0])
    assert found.bad == [
        "11: the channels of a series have different numbers of steps: [2, 1]",
        "12: not a number in a series: 'x'",
    ]
    recipe = inferred(build_recipe({"data": {"train": str(tmp_path / "uea.arff")}}))
    assert (recipe.data.input, recipe.data.target, recipe.features.input.kind) == ("rel", "label", "series")


def test_numbered_attributes_before_a_class_are_a_series(tmp_path: Path) -> None:
    head = "".join(f"@attribute att{n} real\n" for n in range(9))
    rows = "".join(f"{','.join(map(str, range(n, n + 9)))},{'ab'[n % 2]}\n" for n in range(6))
    path = _write(tmp_path / "x.arff", f"@relation x\n{head}@attribute target {{a,b}}\n@data\n{rows}")
    recipe = inferred(build_recipe({"data": {"train": str(path)}}))
    assert (recipe.data.input, recipe.data.target, recipe.model.task) == ("att0:att8", "target", "classification")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("@relation x\n@attribute a numeric\n", "has no line `@data`"),
        ("@relation x\n1,2\n", r":2: a line of the header begins with @"),
        ("@relation x\n@attribute a\n@data\n", r":2: an attribute has a name and a type"),
    ],
)
def test_broken_arff_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        open_source(_write(tmp_path / "x.arff", text), BadRows()).columns()


TSF = """# made up
@relation x
@attribute series_name string
@attribute start_timestamp date
@frequency {frequency}
@missing true
@data
T1:2020-02-28 00-00-00:1,?,3.5
T2:2020-12-31 23-30-00:7
T3:2020-01-01:1,x
T4:soon:1
"""


@pytest.mark.parametrize(
    ("frequency", "second", "third"),
    [
        ("daily", "2020-02-29 00:00:00", "2020-03-01 00:00:00"),
        ("10_minutes", "2020-02-28 00:10:00", "2020-02-28 00:20:00"),
        ("half_hourly", "2020-02-28 00:30:00", "2020-02-28 01:00:00"),
        ("monthly", "2020-03-28 00:00:00", "2020-04-28 00:00:00"),
        ("yearly", "2021-02-28 00:00:00", "2022-02-28 00:00:00"),
    ],
)
def test_tsf_is_a_long_table(tmp_path: Path, frequency: str, second: str, third: str) -> None:
    found = read_same(_write(tmp_path / "x.tsf", TSF.replace("{frequency}", frequency)))
    assert found.rows == [
        ("2020-02-28 00:00:00", "T1", "1"),
        (second, "T1", None),
        (third, "T1", "3.5"),
        ("2020-12-31 23:30:00", "T2", "7"),
    ]
    assert found.lines == [8, 8, 8, 9]
    assert found.bad == ["10: not a number: 'x'", "11: not a time stamp as 2012-01-31 00-00-00: 'soon'"]


def test_tsf_is_forecast(tmp_path: Path) -> None:
    values = ",".join(str(n % 7) for n in range(60))
    path = _write(
        tmp_path / "x.tsf",
        "@relation x\n@attribute series_name string\n@attribute start_timestamp date\n@frequency daily\n@data\n"
        f"T1:2020-01-01 00-00-00:{values}\nT2:2020-01-01 00-00-00:{values}\n",
    )
    recipe = inferred(build_recipe({"data": {"train": str(path)}}))
    assert recipe.model.task == "forecasting"
    assert (recipe.data.time, recipe.data.series, recipe.data.channels) == ("timestamp", "series_name", ("value",))


def _workbook(path: Path, sheets: dict[str, list[list[Any]]]) -> Path:
    xlsxwriter = pytest.importorskip("xlsxwriter")
    pytest.importorskip("fastexcel")
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd hh:mm"}) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return path


def test_excel_cells_are_text(tmp_path: Path) -> None:
    from datetime import datetime

    head = ["text", "n", "x", "when"]
    rows = [head, ["good", 1, 1.5, datetime(2021, 1, 2)], [], ['bad, "so"', 2, 2, datetime(2021, 1, 3)]]
    path = _workbook(tmp_path / "a.xlsx", {"empty": [], "Data": rows, "more": [["a"], [1]]})
    source = open_source(path, BadRows())
    found = read(path)
    assert source.columns() == head
    assert found.rows == [("good", "1", "1.5", "2021-01-02"), ('bad, "so"', "2", "2.0", "2021-01-03")]
    assert found.lines == [2, 4]
    assert found.notes == [f"{path}: its sheet Data is read; others: empty, more ({path}#empty)"]
    assert read(Path(f"{path}#more")).rows == [("1",)]
    with pytest.raises(DataError, match=r"has no sheet `x`. Sheets: empty, Data, more"):
        open_source(Path(f"{path}#x"), BadRows()).columns()


def test_broken_excel_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("fastexcel")
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(DataError, match="not a readable Excel file"):
        open_source(tmp_path / "a.xlsx", BadRows()).columns()


@pytest.mark.parametrize(("name", "module"), [("a.xlsx", "fastexcel"), ("a.h5", "h5py")])
def test_without_its_library_a_format_is_refused_with_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(MissingLibraryError, match="not installed") as caught:
        open_source(tmp_path / name, BadRows()).columns()
    assert str(caught.value.hint).startswith("pip install 'ostinato[")


SERIES = np.arange(24, dtype=np.float32).reshape(2, 4, 3)  # two rows, four steps, three channels


def _save(path: Path, arrays: dict[str, Any]) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                file[name] = values
    return path


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
@pytest.mark.parametrize("turned", [False, True])
def test_arrays_are_series_with_their_labels(tmp_path: Path, suffix: str, turned: bool) -> None:
    values = SERIES.transpose(0, 2, 1) if turned else SERIES
    arrays = {"X": values, "y": np.array([1.0, 0.0]), "subject": np.array([b"ann", b"bob"]), "fs": np.float64(50)}
    path = _save(tmp_path / f"a{suffix}", arrays)
    found = read(path)
    source = open_source(path, BadRows())
    assert sorted(source.columns()) == ["label", "series", "subject"]
    row = dict(zip(source.columns(), found.rows[1], strict=True))
    assert row == {"series": SERIES[1].tolist(), "label": "0", "subject": "bob"}
    assert source.notes[0].endswith(f"the other way: {path}#X.{'nlc' if turned else 'ncl'}")
    other = read(Path(f"{path}#X.{'nlc' if turned else 'ncl'}"), ["series"])
    assert other.rows[1][0] == SERIES[1].T.tolist()


def test_arrays_have_parts_and_ragged_ends(tmp_path: Path) -> None:
    ragged = np.array([[1.0, 2.0, np.nan], [3.0, np.nan, 5.0]])
    arrays = {"X_train": ragged, "y_train": np.array(["a", "b"]), "X_test": ragged[:1], "y_test": np.array(["a"])}
    path = _save(tmp_path / "a.npz", arrays)
    with pytest.raises(DataError, match="several arrays that may be series") as caught:
        open_source(path, BadRows()).columns()
    named = str(caught.value.hint).removeprefix("did you mean ").removesuffix("?")
    assert named == f"{path}#train"
    rows = read(Path(named)).rows
    assert rows[0] == ([1.0, 2.0], "a")
    assert rows[1][0][0] == 3.0
    assert len(rows[1][0]) == 3
    np.save(tmp_path / "only.npy", ragged)
    assert read(tmp_path / "only.npy").rows[0] == ([1.0, 2.0],)


def _claiming(shape: str) -> bytes:
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (_claiming("(1000000000, 1000)"), "claims 1,000,000,000,000 values"),
        (_claiming("(3,"), "has no NumPy header"),
        (b"\x93NUMPY\x01", "has no NumPy header"),
        (b"nothing", "has no NumPy header"),
    ],
)
def test_headers_that_claim_too_much_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DataError, match=said):
        open_source(tmp_path / "a.npy", BadRows()).columns()


def test_objects_are_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=np.array([[1, 2], [3]], dtype=object))
    with pytest.raises(DataError, match="Python objects"):
        open_source(tmp_path / "a.npz", BadRows()).columns()


def test_pandas_hdf_is_refused_by_name(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.h5", {"df/axis0": np.zeros(3), "df/block0_values": np.zeros((3, 3))})
    with pytest.raises(DataError, match="pandas' to_hdf") as caught:
        open_source(path, BadRows()).columns()
    assert "to_parquet" in str(caught.value.hint)


def _idx(*shape: int, count: int | None = None) -> bytes:
    size = int(np.prod(shape)) if count is None else count
    return (
        struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
        + bytes(range(size % 256))
        + bytes(size - size % 256)
    )


def test_idx_is_described(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(_idx(5, 4, 3))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(_idx(5))
    found = describe(str(tmp_path / "train-images-idx3-ubyte"))
    assert found["rows"] == 5
    image, label, word = found["columns"]
    assert (image["name"], image["values"], image["longest"], image["of"]) == ("image", 5, 12, "values")
    assert (label["example"], word["example"]) == ("0", "zero")


@pytest.mark.parametrize("content", [_idx(1 << 31, 1 << 15, 1 << 15, count=9), _idx(5, 4, 3, count=7), b"\0\0\x08"])
def test_idx_that_claims_more_than_there_is_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match=r"a-idx3-ubyte"):
        describe(str(tmp_path / "a-idx3-ubyte"))


def test_a_fasta_header_is_read_in_one_pass(tmp_path: Path) -> None:
    _write(tmp_path / "a.fa", f">one {'a ' * 50_000} x=1 y=two words z=3\nACGT\n")
    assert read(tmp_path / "a.fa", ["x", "y", "z"]).rows == [("1", "two words", "3")]
