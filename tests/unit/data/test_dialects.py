"""Tables of text however they are written: separators, quotes, numbers, headers; found by content, and said."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from tests.unit.data.helpers import read, read_same

from ostinato.data.describe import describe
from ostinato.data.readers import delimited
from ostinato.data.readers.open import open_stored
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError, RecipeError
from ostinato.recipe import apply_overrides, build_recipe
from ostinato.recipe.dialect import Dialect

ROWS = [(f"2021-01-{day:02d}", str(20 + day / 4), ("neg", "pos")[day % 2]) for day in range(1, 13)]
NAMES = ("date", "load", "label")


def _table(separator: str = ",", *, header: bool = True, quote: str = "", end: str = "\n", decimal: str = ".") -> str:
    rows = [NAMES, *ROWS] if header else ROWS
    cells = [[f"{quote}{cell.replace('.', decimal)}{quote}" for cell in row] for row in rows]
    return "".join(separator.join(row) + end for row in cells)


def _resolved(path: Path, **dialect: Any) -> dict[str, Any]:
    recipe = build_recipe({"data": {"train": str(path), **dialect}})
    source = open_stored(str(path), recipe, BadRows(), lambda _: None)
    source.columns()
    return {key: value for key, value in source.resolved().items() if key != "format"}


SEPARATED = {
    "commas.csv": (_table(","), {}),
    "commas, CRLF.csv": (_table(",", end="\r\n"), {}),
    "semicolons.csv": (_table(";"), {"separator": ";"}),
    "tabs.csv": (_table("\t"), {"separator": "\t"}),
    "pipes.csv": (_table("|"), {"separator": "|"}),
    "blanks.csv": (_table("  "), {"separator": "blanks"}),
    "one blank.csv": (_table(" ", end="\r\n"), {"separator": "blanks"}),
    "told.csv": ("sep=;\n" + _table(";"), {"separator": ";"}),
    "tabs.tsv": (_table("\t"), {}),
    "commas.tsv": (_table(","), {"separator": ","}),
    "quoted.csv": (_table(",", quote='"'), {}),
    "quoted semicolons.csv": (_table(";", quote='"'), {"separator": ";"}),
    "quoted.tsv": (_table("\t", quote='"'), {"quote": '"'}),
    "single quotes.csv": (_table(",", quote="'"), {"quote": "'"}),
    "single quotes.tsv": (_table("\t", quote="'"), {"quote": "'"}),
    "comments.csv": ("# station 42\n# made in May\n" + _table(","), {"comment": "#"}),
    "one comment.csv": ("# station 42, north\n" + _table(";"), {"separator": ";", "comment": "#"}),
    "percents.csv": ("% relation\n%\n" + _table(","), {"comment": "%"}),
    "decimal commas.csv": (_table(";", decimal=","), {"separator": ";", "decimal": ","}),
    "quoted decimal commas.csv": (_table(",", quote='"', decimal=","), {"decimal": ","}),
    "decimal commas.tsv": (_table("\t", decimal=","), {"decimal": ","}),
    "nothing after.csv": (_table(",").replace("\n", ",\n"), {}),
    "a header in a comment.csv": ("# date,load,label\n" + _table(",", header=False), {}),
}


@pytest.mark.parametrize("name", SEPARATED)
def test_a_table_is_read_right_and_what_is_unusual_is_saved_and_said(tmp_path: Path, name: str) -> None:
    content, unusual = SEPARATED[name]
    path = tmp_path / name
    path.write_text(content, newline="")
    found = read_same(path, NAMES)
    assert (found.rows, found.bad) == (ROWS, [])
    assert _resolved(path) == unusual
    for key in unusual:
        assert f"data.{key}=" in " ".join(found.notes)
    assert read(path, NAMES, **unusual).rows == ROWS  # as the saved recipe has it


@pytest.mark.parametrize(
    ("separator", "joined"),
    [
        ("semicolon", ";"),
        (";", ";"),
        ("tab", "\t"),
        ("\\t", "\t"),
        ("pipe", "|"),
        ("blanks", "   "),
        ("::", "::"),
        ("¦", "¦"),
    ],
)
def test_a_separator_may_be_named(tmp_path: Path, separator: str, joined: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(_table(joined), encoding="utf-8")
    assert read_same(path, NAMES, separator=separator).rows == ROWS


NUMBERS = {
    "20,11": "20.11",
    "1.201,50": "1201.50",
    "-3,5e-4": "-3.5e-4",
    "1,201": "1201",
    "1,201,000.25": "1201000.25",
    "1'201'000": "1201000",
    "1 201,75": "1201.75",
    "1\u00a0201,75": "1201.75",
    "1\u202f201,75": "1201.75",
    "$20.11": "20.11",
    "-$1,201.50": "-1201.50",
    "($3.50)": "-3.50",
    "20,11 €": "20.11",
    "EUR 20.11": "20.11",
    "12.5%": "12.5",
    "12,5 %": "12.5",
    "\u22123.25": "-3.25",
}


@pytest.mark.parametrize("written", NUMBERS)
def test_numbers_as_people_write_them(tmp_path: Path, written: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("name,value\n" + "".join(f'n{row},"{written}"\n' for row in range(6)), encoding="utf-8")
    found = read_same(path, ["value"])
    assert found.texts == [NUMBERS[written]] * 6
    assert f"{written!r} in `value` is read as {NUMBERS[written]}" in found.notes[0]
    again = _resolved(path)
    assert read(path, ["value"], **again).texts == found.texts


@pytest.mark.parametrize(
    "cells",
    [["1,2,3", "2", "1,3"], ["a, b", "c", "d"], ["10.0.0.1", "10.0.0.2"], ["1,2", "3", "2,3"], ["$", "5", "x"]],
)
def test_cells_that_are_no_numbers_stay_as_they_are(tmp_path: Path, cells: list[str]) -> None:
    (tmp_path / "t.csv").write_text("name,value\n" + "".join(f'n,"{cell}"\n' for cell in cells * 4))
    found = read(tmp_path / "t.csv", ["value"])
    assert (found.texts, found.notes) == (cells * 4, [])


def test_three_digits_after_a_comma_are_thousands_unless_semicolons_or_the_recipe_say_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("name,value\n" + 'n,"1,201"\n' * 5)
    assert read(path, ["value"]).texts == ["1201"] * 5
    assert read(path, ["value"], decimal=",").texts == ["1.201"] * 5
    assert read(path, ["value"], thousands="none", decimal=".").texts == ["1,201"] * 5
    path.write_text("name;value\n" + "n;1,201\n" * 5)
    assert read(path, ["value"]).texts == ["1.201"] * 5


HEADERS = {
    "text,label\n" + "good film,pos\nbad film,neg\n" * 6: True,
    "good film,pos\nbad film,neg\n" * 6: False,
    "id,1990,1991,1992\n" + "a,5.5,3.1,4.2\nb,2.5,3.5,1.5\n" * 3: True,
    "1,2,3\n" + "5,3,9\n8,1,1\n" * 3: True,
    "-0.48,0.04,R\n0.09,-0.66,M\n" * 6: False,
    "2021-01-01,3\n2021-01-02,4\n": False,
    "id,2021-01-01,2021-01-02\na,3,4\nb,5,6\n": True,
    "0,0,12,5\n0,7,0,5\n1,2,2,0\n": False,
    "10:30,1\n10:40,2\n": False,
    "12.5\n13.1\n12.2\n": False,
    "value\n13.1\n12.2\n": True,
}


@pytest.mark.parametrize("content", HEADERS)
def test_a_first_line_like_those_below_it_is_a_row(tmp_path: Path, content: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    found, lines = read_same(path), content.splitlines()
    assert len(found.rows) == len(lines) - HEADERS[content]
    assert bool(found.notes) != HEADERS[content]
    assert len(read(path, header=True).rows) == len(lines) - 1
    width = lines[0].count(",") + 1
    if not HEADERS[content]:
        assert _resolved(path)["header"] == tuple(f"column_{number + 1}" for number in range(width))
        assert "--set data.header=true" in found.notes[0]


def test_given_names_take_the_place_of_a_header_that_is_one(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("date,ISE,ISE\n2021-01-01,1,2\n2021-01-02,3,4\n")
    found = read_same(path, header=["day", "usd", "tl"])
    assert found.rows == [("2021-01-01", "1", "2"), ("2021-01-02", "3", "4")]
    assert found.notes == [f"{path}: data.header replaces the first line (date, ISE, ISE)"]
    path.write_text("2021-01-01,1,2\n2021-01-02,3,4\n")
    assert len(read_same(path, header=["day", "usd", "tl"]).rows) == 2


UNNAMED = {
    ",text,label\n0,x,a\n1,y,b\n2,z,a\n": (["text", "label"], "numbers the rows from 0"),
    ",text,label\n1,x,a\n2,y,b\n": (["text", "label"], "numbers the rows from 1"),
    "Unnamed: 0,text,label\n0,x,a\n1,y,b\n": (["text", "label"], "numbers the rows from 0"),
    "v1,v2,,,\na,x,,,\nb,y,,,\n": (["v1", "v2"], "without a name or a cell are ignored: 3, 4, 5"),
    ",load\n2021-01-01,3\n2021-01-02,4\n": (["column_1", "load"], "has no name: it is named column_1"),
    '"text","label"\n"1","x","a"\n"2","y","b"\n': (["text", "label"], "one field more than the header"),
    "mpg,cyl\nMazda,21,6\nDatsun,22,4\nHornet,21,6\n": (["column_1", "mpg", "cyl"], "one field more than the header"),
    " date , load\n2021-01-01,3\n": (["date", "load"], ""),
}


@pytest.mark.parametrize("content", UNNAMED)
def test_columns_without_a_name(tmp_path: Path, content: str) -> None:
    columns, said = UNNAMED[content]
    path = tmp_path / "t.csv"
    path.write_text(content)
    found = describe(str(path))
    assert [one["name"] for one in found["columns"] if one["name"] != "(unnamed)"] == columns
    assert (found["rows"], found["num_bad_rows"]) == (content.count("\n") - 1, 0)
    read_columns = read_same(path)
    assert said in " ".join(read_columns.notes)
    assert bool(said) == bool(read_columns.notes)
    numbered = [one["example"] for one in found["columns"] if one["name"] == "(unnamed)"]
    assert bool(numbered) == (columns == ["text", "label"])
    assert not numbered or numbered[0].startswith("a row number, ")


def test_raw_quotes_in_a_tsv_lose_no_line(tmp_path: Path) -> None:
    lines = [f'"scene {n} with "poor" sound\tneg' if n % 9 == 4 else f"line {n}\tpos" for n in range(100)]
    path = tmp_path / "t.tsv"
    path.write_text("text\tlabel\n" + "".join(line + "\n" for line in lines))
    found = read_same(path)
    assert [f"{text}\t{label}" for text, label in found.rows] == lines
    assert found.bad == []
    bad_rows = BadRows()
    quoted = build_recipe({"data": {"train": str(path), "quote": '"'}})
    kept = sum(len(block) for block in open_stored(str(path), quoted, bad_rows, lambda _: None).blocks(["text"]))
    assert kept + sum(row.lines for row in bad_rows.rows) == 100


def test_lines_that_are_lost_are_counted_and_the_hint_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('text,label\n"a,1\n' + "b,2\n" * 30 + '"c",3\n')
    bad_rows = BadRows()
    source = open_stored(str(path), build_recipe({"data": {"train": str(path)}}), bad_rows, lambda _: None)
    list(source.blocks(["text"]))
    with pytest.raises(DataError, match=r"1 row \(32 lines\) can't be used") as caught:
        bad_rows.check()
    setting = str(caught.value.hint).partition("--set ")[2].partition(";")[0]
    again = build_recipe(apply_overrides({}, [setting])).data
    assert len(read(path, quote=again.quote).rows) == 32


def test_what_stands_above_and_below_a_table_is_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("Exported by X\n\n" + _table() + "\nTotals in thousands\n")
    found = read_same(path)
    assert found.rows == ROWS
    assert found.bad == ["1: has 1 field, the header has 3", f"{len(ROWS) + 5}: has 1 field, the header has 3"]


def test_numbers_that_stand_for_no_value_are_said_and_set_aside_by_the_hint(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    cells = ["20.5", "21.0", "-999", "22.5", "-999.0", "21.5"]
    path.write_text("name,load\n" + "".join(f"n{row},{cell}\n" for row, cell in enumerate(cells)))
    found = read_same(path, ["load"])
    assert found.texts == cells
    (note,) = found.notes
    assert "`load` holds -999 in 2 of its first 6 rows" in note
    data = build_recipe(apply_overrides({}, [note.partition("--set '")[2].removesuffix("'")])).data
    again = read_same(path, ["load"], null_values=data.null_values)
    assert again.texts == ["20.5", "21.0", None, "22.5", None, "21.5"]
    assert [one for one in again.notes if "-999" in one] == []


@pytest.mark.parametrize("cells", [["1", "2", "99"], ["-1", "0", "5"], ["99", "99", "99"], ["200", "180", "150", "99"]])
def test_usual_numbers_are_not_suspected(tmp_path: Path, cells: list[str]) -> None:
    (tmp_path / "t.csv").write_text("name,load\n" + "".join(f"n{row},{cell}\n" for row, cell in enumerate(cells * 3)))
    assert read(tmp_path / "t.csv").notes == [] or cells == ["1", "2", "99"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.quote=ab", "`data.quote` must be auto, none or one character"),
        ("data.decimal=;", "`data.decimal` must be one of"),
        ("data.header=3.5", ""),
        ("data.null_values={a: 1}", "`data.null_values` must be a list of strings"),
    ],
)
def test_options_are_checked(setting: str, message: str) -> None:
    if not message:
        assert build_recipe(apply_overrides({}, [setting])).data.header == ("3.5",)
        return
    with pytest.raises(RecipeError, match=message):
        build_recipe(apply_overrides({}, [setting]))


def test_another_format_has_no_separator(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(DataError, match=r"`data.separator` does not apply to the format jsonl"):
        read(tmp_path / "t.jsonl", separator=";")


def test_options_are_saved_as_texts() -> None:
    given = build_recipe(apply_overrides({}, ["data.null_values=-999", "data.header=[1, No]", "data.comment=#"])).data
    assert (given.null_values, given.header, given.comment) == (("-999",), ("1", "No"), "#")
    assert Dialect.of(given).given() == {"null_values": ("-999",), "header": ("1", "No"), "comment": "#"}


def _late(path: Path, early: str, late: str, count: int = 60_000) -> Path:
    """A file whose first megabyte is written otherwise than its end."""
    rows = [f"{number};{early}" for number in range(count)] + [f"{number};{late}" for number in range(count // 4)]
    path.write_text("n;value\n" + "\n".join(rows) + "\n")
    return path


def test_how_numbers_are_written_is_looked_for_beyond_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "HEAD_BYTES", 1 << 12)
    monkeypatch.setattr(delimited, "_FURTHER_BYTES", 1 << 10)
    found = read(_late(tmp_path / "t.csv", "12", "12,5", 3000), ["value"])
    assert (found.texts[0], found.texts[-1]) == ("12", "12.5")
    assert "data.decimal=','" in found.notes[0]
    found = read(_late(tmp_path / "u.csv", "1.201", "1.201,5", 3000), ["value"])  # alone, 1.201 would be a fraction
    assert (found.texts[0], found.texts[-1]) == ("1201", "1201.5")
    latin = _late(tmp_path / "v.csv", "12", "12,5 €", 3000)
    latin.write_bytes(latin.read_text().replace("value", "größe").encode("cp1252"))
    assert read(latin, ["größe"], encoding="cp1252").texts[-1] == "12.5"
    packed = tmp_path / "w.csv.gz"
    packed.write_bytes(gzip.compress(_late(tmp_path / "w.csv", "12", "12,5", 3000).read_bytes()))
    assert read(packed, ["value"]).texts[-1] == "12,5"  # is refused where a number is wanted, with the option
    assert read(packed, ["value"], decimal=",").texts[-1] == "12.5"


def test_a_column_of_whole_numbers_may_have_fractions_further_on(tmp_path: Path) -> None:
    rows = [f"{number};{number},5" for number in range(40_000)]
    (tmp_path / "t.csv").write_text("a;b\n" + "\n".join([*rows, "2,5;1", "x;2"]) + "\n")
    found = read(tmp_path / "t.csv", ["a"])
    assert found.texts[-3:] == ["39999", "2.5", "x"]
