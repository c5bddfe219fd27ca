"""What content says of a file whose name says little; which files belong together; JSON; what `describe` is told."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from tests.unit.data.helpers import read
from typer.testing import CliRunner

from ostinato.cli.app import app
from ostinato.data.describe import describe
from ostinato.data.readers.registry import detect_format, open_source
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError, RecipeError
from ostinato.recipe import build_recipe
from ostinato.tasks.prepare import inferred

PROSE = "\n".join(f"The {word} sat, as ever, on the mat; it was {word}." for word in "abcdefghij") + "\n"
POEM = "\n".join(f"{word} red rose\nand one more\n" for word in "abcdefgh")
NUMBERS = "".join(f"{n},{n / 7:.3f},{n % 3}\n" for n in range(30))
FORMS = [  # name, content, format
    ("a.txt", "text\tlabel\n" + "".join(f"fine {n}\tpos\n" for n in range(9)), "tsv"),
    ("a.txt", "Date;Power\n" + "".join(f"2021-01-0{n};{n}.5\n" for n in range(1, 9)), "csv"),
    ("a.dat", "|".join("ab") + "\n" + "".join(f"x{n}|{n}\n" for n in range(9)), "csv"),
    ("a.data", NUMBERS, "csv"),
    ("noname", NUMBERS, "csv"),
    ("a.txt", 'note,label\n"one, two",a\n' + "".join(f'"x, {n}",b\n' for n in range(9)), "csv"),
    ("a.txt", "a NN O\nb VB O\n\nc NN B-X\nd VB O\n\ne NN O\n", "conll"),
    ("a.txt", "-DOCSTART- -X- O\n\n" + "".join(f"w{n} NN O\nv{n} VB O\n\n" for n in range(4)), "conll"),
    ("a.txt", "".join(f" {n}   {n / 7:.4e}  -1 \n" for n in range(9)), "csv"),
    ("a.log", '{"text": "a"}\n{"text": "b"}\n', "jsonl"),
    ("a.txt", ">one\nACGTACGT\n>two\nACGG\n", "fasta"),
    ("a.txt", PROSE, "text"),
    ("a.txt", POEM, "text"),
    ("a.txt", "a line, of text\n" * 50, "text"),
    ("a.txt", "one,1\ntwo,2\n", "text"),
    ("a.md", "| a | b |\n" * 9, "text"),
]


@pytest.mark.parametrize(("name", "content", "format"), FORMS)
def test_the_first_lines_decide(tmp_path: Path, name: str, content: str, format: str) -> None:
    (tmp_path / name).write_text(content)
    assert detect_format(tmp_path / name) == format


def test_what_was_decided_is_said_with_the_way_back(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text(FORMS[0][1])
    said: list[str] = []
    found = describe(str(path), said.append)
    assert (found["format"], found["rows"]) == ("tsv", 9)
    assert said == [
        f"{path}: read as tsv (each of its first 10 lines has 2 fields between tabs); as text: --set data.format=text"
    ]
    assert describe(str(path), settings=["data.format=text"])["rows"] == 1
    with pytest.raises(RecipeError, match=r"data\.input") as caught:
        inferred(build_recipe({"data": {"train": str(path)}}))
    assert "as text: --set data.format=text" in str(caught.value.hint)


def test_describe_takes_settings_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text(FORMS[0][1])
    arguments = ["data", "describe", str(tmp_path / "rows.txt"), "--json", "--set"]
    told = CliRunner().invoke(app, [*arguments, "data.format=text"])
    assert json.loads(told.stdout)["format"] == "text"
    wrong = CliRunner().invoke(app, [*arguments, "data.fromat=text"])
    assert isinstance(wrong.exception, RecipeError)


@pytest.mark.parametrize("suffix", ["data", "arff", "csvx"])
def test_notes_beside_a_table_are_no_translation_of_it(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"sensor.{suffix}").write_text(NUMBERS)
    (tmp_path / "sensor.names").write_text("1. Title: sensors\n" * NUMBERS.count("\n"))
    assert detect_format(tmp_path / f"sensor.{suffix}") != "parallel"
    with pytest.raises(DataError, match="can't tell the format"):
        detect_format(tmp_path / "sensor.names")


def test_files_of_any_suffix_are_parallel_where_the_target_names_one(tmp_path: Path) -> None:
    (tmp_path / "train.informal").write_text("hey\nwassup\nyo\n")
    (tmp_path / "train.formal").write_text("Hello\nHow are you?\nGood day\n")
    assert open_source(tmp_path / "train.informal", BadRows(), target="formal").format == "parallel"
    recipe = inferred(build_recipe({"data": {"train": str(tmp_path / "train.informal"), "target": "formal"}}))
    assert (recipe.data.format, recipe.data.input) == ("parallel", "informal")


@pytest.mark.parametrize("suffixes", [("en", "de"), ("zh_CN", "pt-br"), ("src", "tgt")])
def test_languages_are_parallel_and_logs_beside_them_are_not(tmp_path: Path, suffixes: tuple[str, str]) -> None:
    for suffix in (*suffixes, "log"):
        (tmp_path / f"train.{suffix}").write_text("a\nb\n" if suffix != "log" else "x\n")
    assert open_source(tmp_path / f"train.{suffixes[0]}", BadRows()).columns() == list(suffixes)


ROWS = [{"text": "a\u00e9", "n": 1}, {"text": "b", "n": 2.5}]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2, ensure_ascii=False),
        json.dumps({"data": ROWS}),
        "\n".join(map(json.dumps, ROWS)),
    ],
)
def test_a_list_of_json_objects_is_a_table(tmp_path: Path, content: str) -> None:
    (tmp_path / "rows.json").write_text(content, encoding="utf-8")
    found = read(tmp_path / "rows.json")
    assert found.rows == [("a\u00e9", "1"), ("b", "2.5")]
    assert found.lines == [1, 2]


@pytest.mark.parametrize(
    ("content", "received"),
    [
        ("[1, 2]", "a list of other values"),
        ('{"a": 1, "b": [2]}x', "invalid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("3", "one int"),
    ],
)
def test_other_json_is_refused_by_what_it_is(tmp_path: Path, content: str, received: str) -> None:
    (tmp_path / "rows.json").write_text(content)
    with pytest.raises(DataError, match=received) as caught:
        open_source(tmp_path / "rows.json", BadRows()).columns()
    assert ".jsonl" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("name", "hint"), [("a.7z", "unpack"), ("a.pkl", "run code"), ("a.mat", "loadmat"), ("a.dta", "Parquet")]
)
def test_what_is_not_read_is_refused_with_what_to_do(tmp_path: Path, name: str, hint: str) -> None:
    (tmp_path / name).write_bytes(b"\0\1\2")
    with pytest.raises(DataError, match="files are not supported") as caught:
        open_source(tmp_path / name, BadRows())
    assert hint in str(caught.value.hint)


def test_what_is_no_text_is_not_offered_as_one(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "rows")
    source = open_source(tmp_path / "rows", BadRows())
    assert (source.format, source.notes) == ("parquet", [f"{tmp_path / 'rows'}: read as parquet (its first bytes)"])
