"""What is told from the cells of a table: forecasters, kinds of columns with a few mistakes, and what is none of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ostinato.data.readers.delimited import DelimitedSource
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError, RecipeError
from ostinato.recipe import Recipe, apply_overrides, build_recipe
from ostinato.tasks.prepare import inferred, prepare

DAYS = [str(np.datetime64("2020-01-01") + day) for day in range(60)]


def _table(path: Path, header: str, *columns: list[str]) -> Path:
    path.write_text("\n".join([header, *map(",".join, zip(*columns, strict=True))]) + "\n")
    return path


def _recipe(path: Path, **data: str) -> Recipe:
    return build_recipe({"data": {"train": str(path), **data}})


def _numbers(count: int = 60) -> list[str]:
    return [str(number % 7) for number in range(count)]


@pytest.mark.parametrize(
    ("named", "channels"),
    [({}, ("a", "b")), ({"input": "b"}, ("b",)), ({"target": "a"}, ("a",)), ({"input": "when", "target": "a"}, ("a",))],
)
def test_numbers_beside_time_stamps_are_forecast(
    tmp_path: Path, named: dict[str, str], channels: tuple[str, ...]
) -> None:
    path = _table(tmp_path / "t.csv", "when,a,b", DAYS, _numbers(), _numbers())
    said: list[str] = []
    prepared = prepare(build_recipe({"data": {"train": str(path), **named}, "model": {"horizon": 2}}), said.append)
    assert prepared.recipe.model.task == "forecasting"
    assert prepared.recipe.data.channels == channels
    assert said[0] == f"model: forecaster (when holds time stamps, {', '.join(channels)} numbers)"
    assert said[1] == "not a time series? --input COLUMN --target COLUMN reads its rows one by one"


def test_texts_beside_time_stamps_are_not_forecast(tmp_path: Path) -> None:
    texts = [f"a text {number}" for number in range(60)]
    path = _table(tmp_path / "t.csv", "when,text,likes", DAYS, texts, _numbers())
    with pytest.raises(RecipeError, match=r"`data.input` is not set"):
        inferred(_recipe(path))
    with pytest.raises(RecipeError, match=r"`data.input` is not set"):
        inferred(_recipe(path, target="likes"))
    assert inferred(_recipe(path, input="text", target="likes")).model.task == "classification"
    assert inferred(_recipe(path, input="when", target="text")).model.task == "classification"
    assert inferred(_recipe(path, input="text")).model.task == "language_model"
    assert inferred(_recipe(path, input="likes")).data.channels == ("likes",)


def test_a_channel_with_a_mistake_is_not_left_out(tmp_path: Path) -> None:
    cells = _numbers()
    cells[20] = "abc"
    with pytest.raises(DataError, match=r"1 row of .* can't be used:\n.*t.csv:22: `b` is not a number: 'abc'"):
        prepare(_recipe(_table(tmp_path / "t.csv", "when,a,b", DAYS, _numbers(), cells)))


def test_a_horizon_longer_than_the_series(tmp_path: Path) -> None:
    path = _table(tmp_path / "t.csv", "when,a", DAYS, _numbers())
    recipe = build_recipe({"data": {"train": str(path)}, "model": {"horizon": 100}})
    with pytest.raises(DataError, match=r"series 't' has 60 steps, 0 of them for training; .* 100 needs 101") as error:
        prepare(recipe)
    assert "model.horizon" in str(error.value.hint)


@pytest.mark.parametrize(
    ("cell", "odd", "kind"),
    [
        ("[1, 2]", "[]", "series"),
        ("ACGT" * 6, "ACG?" * 6, "dna"),
        ("1.5", "much", "numbers"),
        ("a.wav", "b.txt", "audio"),
    ],
)
def test_a_few_odd_cells_do_not_make_a_column_text(tmp_path: Path, cell: str, odd: str, kind: str) -> None:
    path = tmp_path / "t.jsonl"

    def written(num_odd: int) -> Path:
        rows = [{"x": odd if n < num_odd else cell, "y": "pq"[n % 2]} for n in range(20)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    assert inferred(_recipe(written(0), input="x", target="y")).features.input.kind == kind
    assert inferred(_recipe(written(2), input="x", target="y")).features.input.kind == kind
    if kind != "series":  # an empty list is a list
        assert inferred(_recipe(written(3), input="x", target="y")).features.input.kind == "text"


def test_nothing_is_predicted_from_itself(tmp_path: Path) -> None:
    path = _table(tmp_path / "t.csv", "text,label", _numbers(), _numbers())
    with pytest.raises(RecipeError, match="name the same column, label") as error:
        inferred(_recipe(path, input="label", target="label"))
    assert error.value.hint == "another column: --target text"
    texts = [f"{'good' * (number % 2) or 'bad'} film" for number in range(60)]
    with pytest.raises(RecipeError, match="name the same column, text"):
        inferred(_recipe(_table(tmp_path / "u.csv", "text,label", texts, texts), input="text", target="text"))


def test_a_missing_column_may_mean_that_there_is_no_header(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("good film,1\nx\n")
    with pytest.raises(DataError, match="has no column `comment`") as error:
        DelimitedSource(tmp_path / "t.csv", BadRows()).require("comment")
    assert str(error.value.hint).endswith("to name its columns: --set 'data.header=[name1, name2]'")


def test_a_header_of_names_is_not_doubted(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,label\nx,y\n")
    with pytest.raises(DataError, match="has no column `comment`") as error:
        DelimitedSource(tmp_path / "t.csv", BadRows()).require("comment")
    assert error.value.hint is None


def test_bytes_of_another_kind_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(np.random.default_rng(0).integers(1, 256, 4000, dtype=np.uint8).tobytes())
    with pytest.raises(DataError, match=r"is not text: 1\d% of its first bytes are control characters"):
        DelimitedSource(tmp_path / "t.csv", BadRows()).columns()


def test_what_a_table_with_a_column_of_years_is_taken_for_is_said_with_how_to_say_otherwise(tmp_path: Path) -> None:
    years = [str(1960 + number) for number in range(60)]
    path = _table(tmp_path / "t.csv", "year,price,rating", years, _numbers(), _numbers())
    said: list[str] = []
    prepare(_recipe(path), said.append)
    assert said[0] == "model: forecaster (year holds time stamps, price, rating numbers)"
    assert prepare(_recipe(path, input="price", target="rating"), said.append).recipe.model.task == "classification"
    assert not [line for line in said[2:] if "forecaster" in line or "no series" in line]


@pytest.mark.parametrize("column", ["input", "extra"])
def test_a_column_that_is_numbers_for_the_most_part_can_be_read_as_text(tmp_path: Path, column: str) -> None:
    ages = ["n/a" if number % 15 == 0 else str(20 + number % 40) for number in range(60)]
    path = _table(tmp_path / "t.csv", "age,words,label", ages, ["good film", "bad film"] * 30, ["p", "n"] * 30)
    given = {"data": {"train": str(path), "input": "age", "target": "label", "on_bad_row": "skip"}}
    if column == "extra":
        given["data"] |= {"input": "words", "extra": ["age"]}
    said: list[str] = []
    prepare(build_recipe(given), said.append)
    (line,) = (line for line in said if line.startswith(f"{column}: age"))
    head, _, setting = line.partition("; as text: --set ")
    assert head == f"{column}: age as numbers (56 of its first 60 cells are numbers)"
    found = prepare(build_recipe(apply_overrides(given, [setting]))).features
    assert (found.input if column == "input" else found.extra["age"]).kind == "text"
