"""Files as programs and people leave them: titles above tables, wrong suffixes, empty rows, JSON by columns."""

from __future__ import annotations

import json
import shlex
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.unit.data.helpers import read, read_same

from ostinato.data.inference.kinds import _NUMBERS
from ostinato.data.inference.target import infer_target
from ostinato.data.readers.registry import detect_format, open_source
from ostinato.data.rejects import BadRows
from ostinato.data.times.columns import dated_names
from ostinato.errors import DataError, RecipeError
from ostinato.recipe import apply_overrides, build_recipe
from ostinato.tasks.prepare import inferred, prepare

ROWS = [(f"a {word} film", ("bad", "good")[number % 2]) for number, word in enumerate("abcdefghij")]
TSV = "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in ROWS)
COLUMNS = {"text": [text for text, _ in ROWS], "label": [label for _, label in ROWS]}
INDEXED = {name: {str(number): cell for number, cell in enumerate(cells)} for name, cells in COLUMNS.items()}
SPLIT = {"columns": ["text", "label"], "index": list(range(10)), "data": [list(row) for row in ROWS]}
TABLE = {"schema": {"fields": []}, "data": [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("columns of lists.json", json.dumps(COLUMNS).encode()),
        ("pandas.json", json.dumps(INDEXED).encode()),
        ("split.json", json.dumps(SPLIT, indent=1).encode()),
        ("table.json", json.dumps(TABLE).encode()),
        ("a table.xls", TSV.encode()),
        ("Unicode text.txt", TSV.replace("\n", "\r\n").encode("utf-16")),
        ("trailing.csv", TSV.replace("\t", ",").replace("\n", ",\n").encode()),
        ("lines without a cell.csv", (",\n\n,\r\n" + TSV.replace("\t", ",")).encode()),
        ("old Mac.csv", TSV.replace("\t", ",").replace("\n", "\r").encode()),
        ("among others.json", json.dumps({"count": 10, "rows": TABLE["data"]}).encode()),
        ("CRLF.tsv", TSV.replace("\n", "\r\n\r\n").encode()),
    ],
)
def test_the_same_table_however_it_is_left(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    found = read_same(path, ["text", "label"])
    assert (found.rows, found.bad) == (ROWS, [])


@pytest.mark.parametrize("content", ['{"a": [1, 2], "b": [3]}', '{"a": {"x": 1}, "b": {"y": 2}}', '{"a": {"x": 1}}'])
def test_other_objects_are_no_tables(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    assert len(read(tmp_path / "a.json").rows) == 1


ACCOUNT = "Konto:;DE12\nVon:;01.01.2021\n\nTag;Zweck;Wert;\n" + "".join(
    f"{day:02}.01.2021;Einkauf;-1.234,{day:02};\n" for day in range(1, 29)
)
TITLED = "Sales report\ndate,sales\n" + "".join(f"2021-01-{day:02},{day}\n" for day in range(1, 29))
NAMED = "Account,1234\n\nDate,What,Amount\n" + "".join(f'01/{day:02}/2021,Food,"${day}.50"\n' for day in range(1, 29))
ROW_NAMES = "mpg,cyl\n" + "".join(f"car {row},{row}.5,{row % 4}\n" for row in range(28))


@pytest.mark.parametrize(
    ("content", "columns", "last", "bad"),
    [
        (ACCOUNT, ["Tag", "Zweck", "Wert"], ("28.01.2021", "Einkauf", "-1234.28"), [1, 2]),
        (TITLED, ["date", "sales"], ("2021-01-28", "28"), [1]),
        (NAMED, ["Date", "What", "Amount"], ("01/28/2021", "Food", "28.50"), [1]),
        (ROW_NAMES, ["column_1", "mpg", "cyl"], ("car 27", "27.5", "3"), []),
    ],
)
def test_lines_above_a_table_are_told_from_its_header(
    tmp_path: Path, content: str, columns: list[str], last: tuple[str, ...], bad: list[int]
) -> None:
    (tmp_path / "t.csv").write_text(content)
    found = read_same(tmp_path / "t.csv", columns)
    assert (len(found.rows), found.rows[-1]) == (28, last)
    assert [int(one.partition(":")[0]) for one in found.bad] == bad


PAIRS = "".join(f"Go {word}.\tVa {word} !\tCC-BY 2.0 (France) #{word}\n" for word in "abcdefgh")
DNA = "".join(f"{'+-'[row % 2]},S{row},\t\t{'acgt' * 5}{'acgt'[row % 4]}\n" for row in range(20))
QUESTIONS = "What do you like. Or not?,Why?\n" + "".join(f"I like it {word}.,So it is.\n" for word in "abcdefgh")


@pytest.mark.parametrize(
    ("name", "content", "format", "count"),
    [("pairs.txt", PAIRS, "tsv", 8), ("dna.data", DNA, "csv", 20), ("form.csv", QUESTIONS, "csv", 8)],
)
def test_sentences_and_letters_like_those_below_are_no_header(
    tmp_path: Path, name: str, content: str, format: str, count: int
) -> None:
    (tmp_path / name).write_text(content)
    assert detect_format(tmp_path / name) == format
    assert len(read_same(tmp_path / name).rows) == count


def _workbook(path: Path, rows: list[list[Any]]) -> Path:
    xlsxwriter = pytest.importorskip("xlsxwriter")
    pytest.importorskip("fastexcel")
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd"}) as book:
        sheet = book.add_worksheet("One")
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    return path


DAYS = [[datetime(2021, 1, 1) + timedelta(days=day), "North", 1.5 * day] for day in range(9)]
HEAD = ["day", "store", "sales"]


@pytest.mark.parametrize(
    ("above", "columns"),
    [
        ([HEAD], HEAD),
        ([["Sales of 2021"], [], HEAD], HEAD),
        ([["Sales", None, 2021], ["by day"], HEAD], HEAD),
        ([[None, "store", "sales"]], ["__UNNAMED__0", "store", "sales"]),
    ],
)
def test_titles_of_sheets_name_no_columns(tmp_path: Path, above: list[list[Any]], columns: list[str]) -> None:
    path = _workbook(tmp_path / "a.xlsx", [*above, *DAYS])
    found = read(path)
    assert open_source(path, BadRows()).columns() == columns
    assert found.rows[-1] == ("2021-01-09", "North", "12.0")
    assert found.lines == list(range(len(above) + 1, len(above) + 10))
    assert bool(found.notes) == (len(above) > 1)


def test_a_web_page_that_is_named_as_a_sheet(tmp_path: Path) -> None:
    pytest.importorskip("fastexcel")
    (tmp_path / "a.xls").write_text("<html><table><tr><td>1</td></tr></table></html>")
    with pytest.raises(DataError, match="not a readable Excel file: it is HTML or XML") as caught:
        read(tmp_path / "a.xls")
    assert "save it as .xlsx" in str(caught.value.hint)


CHAT = "".join(f"[{day:02}.01.21, 10:{day:02}:00] Ada: what a day it was, and so on\n" for day in range(1, 29))


def test_a_text_whose_lines_begin_with_brackets_holds_no_lists(tmp_path: Path) -> None:
    (tmp_path / "chat.txt").write_text(CHAT)
    recipe = inferred(build_recipe({"data": {"train": str(tmp_path / "chat.txt")}}))
    assert (recipe.model.task, recipe.features.input.kind) == ("language_model", "text")


@pytest.mark.parametrize("cell", ["[1, 2.5, -3e4]", "[[1, 2], [3, 4]]", "[NaN, null, -Infinity]", "[]", " [ 7 ] "])
def test_lists_of_numbers_are(cell: str) -> None:
    assert _NUMBERS.match(cell)
    assert not _NUMBERS.match(cell.replace("]", ""))
    assert not _NUMBERS.match(cell + " he said")


def test_words_that_programs_write_for_no_value_are_told_among_classes(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    labels = ["pos", "neg", "NaN", "pos", "neg", "n/a", "pos", "neg", "neg"] * 4
    path.write_text("text,label\n" + "".join(f"film {number},{label}\n" for number, label in enumerate(labels)))
    (note,) = read(path).notes
    assert "`label` holds NaN in 4 of its first 36 rows; `label` holds n/a in 4" in note
    said = shlex.split(note.partition("--set ")[2])[0]
    assert said == "data.null_values=[NaN, n/a]"
    found = read(path, ["label"], null_values=build_recipe(apply_overrides({}, [said])).data.null_values)
    assert (set(found.texts), found.notes) == ({"pos", "neg", None}, [])
    path.write_text("text,x\n" + "".join(f"film {number},{number}\n" for number in range(30)) + "none,NaN\n")
    assert read(path).notes == []  # numbers know what NaN is


def test_several_labels_between_bars_are_offered(tmp_path: Path) -> None:
    cells = pl.Series(["a|b", "b|c", "a", "c|a", "b"] * 6)
    kind, reason = infer_target(cells, "genres")
    assert kind == "class"
    assert reason.endswith(
        "several labels a cell: --set features.target.kind=labels --set 'features.target.separator=|'"
    )
    assert "several labels" not in infer_target(pl.Series(["a|b", "c|d", "e"] * 9), "genres")[1]


@pytest.mark.parametrize("say", ["{0.month}/{0.day}/{0:%y}", "{0:%Y-%m-%d}", "{0:%d.%m.%Y}"])
def test_columns_that_are_named_as_days_are_the_values_of_rows(tmp_path: Path, say: str) -> None:
    days = [say.format(datetime(2021, 1, 1) + timedelta(days=day)) for day in range(40)]
    rows = [
        f"{'' if row % 2 else 'p'},country {row},1.5,{','.join(str(row * day) for day in range(40))}"
        for row in range(4)
    ]
    path = tmp_path / "wide.csv"
    path.write_text("\n".join([",".join(["province", "country", "lat", *days]), *rows]) + "\n")
    with pytest.raises(RecipeError) as caught:
        inferred(build_recipe({"data": {"train": str(path)}}))
    assert caught.value.hint == f"ostinato train {path} --set model.task=forecasting --set data.layout=rows"
    data = {"train": str(path), "layout": "rows"}
    prepared = prepare(build_recipe({"data": data, "model": {"task": "forecasting", "horizon": 3, "lookback": 6}}))
    assert (prepared.recipe.data.series, prepared.recipe.data.channels) == ("country", tuple(days))


def test_other_names_with_numbers_are_no_days(tmp_path: Path) -> None:
    for names in ([f"x{number}" for number in range(40)], [str(number) for number in range(40)], ["2021-01-01"] * 3):
        assert dated_names(["id", *names]) == []
    assert dated_names(["Country", *map(str, range(1960, 2020))]) == list(map(str, range(1960, 2020)))


def test_numbers_line_by_line_are_a_column(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("load\n" + "".join(f"{number / 7:.3f}\n" for number in range(20)))
    assert (detect_format(tmp_path / "x.txt"), len(read(tmp_path / "x.txt").rows)) == ("csv", 20)
