"""Where no input is named: the commands of the hint are ones that work; labels that are none, or the same."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from ostinato.errors import DataError, RecipeError
from ostinato.recipe import apply_overrides, build_recipe
from ostinato.tasks.prepare import inferred, prepare

TEXTS = ["a fine film", "a bad film", "what a bore", "warm and lovely"] * 6
LABELS = ["pos", "neg", "neg", "pos"] * 6


def _table(path: Path, header: str, *columns: list[str]) -> Path:
    path.write_text("\n".join([header, *map(",".join, zip(*columns, strict=True))]) + "\n")
    return path


def _pasted(command: str) -> dict[str, object]:
    """What a command says, as a recipe."""
    program, verb, path, *rest = shlex.split(command)
    assert (program, verb) == ("ostinato", "train")
    options = list(zip(rest[::2], rest[1::2], strict=True))
    settings = [f"data.{name[2:]}={value}" for name, value in options if name in ("--input", "--target")]
    settings += [value for name, value in options if name == "--set"]
    return apply_overrides({"data": {"train": path}}, settings)


@pytest.mark.parametrize(
    ("header", "commands"),
    [
        ("text,label", ["--input text --target label", "--input text"]),
        ("v1,v2", ["--input v1 --target v2", "--input v1"]),
        ("my text,the label", ["--input 'my text' --target 'the label'", "--input 'my text'"]),
    ],
)
def test_both_commands_are_whole_and_work(tmp_path: Path, header: str, commands: list[str]) -> None:
    path = _table(tmp_path / "t.csv", header, TEXTS, LABELS)
    with pytest.raises(RecipeError) as caught:
        inferred(build_recipe({"data": {"train": str(path)}}))
    hint = str(caught.value.hint)
    assert hint == " or ".join(f"ostinato train {path} {command}" for command in commands)
    tasks = [inferred(build_recipe(_pasted(command))).model.task for command in hint.split(" or ")]
    assert tasks == ["classification", "language_model"]
    assert "'a fine film', 'a bad film'" in caught.value.message


def test_options_that_were_given_stand_in_the_commands(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("".join(f"{text};да\n{text};нет\n" for text in TEXTS).encode("cp1251"))
    given = ["data.encoding=cp1251", "data.header=[text, mood]", "data.separator=;"]
    with pytest.raises(RecipeError) as caught:
        inferred(build_recipe(apply_overrides({"data": {"train": str(tmp_path / "t.csv")}}, given)))
    recipe = inferred(build_recipe(_pasted(str(caught.value.hint).split(" or ")[0])))
    assert (recipe.data.input, recipe.data.target, recipe.model.task) == ("text", "mood", "classification")


def test_a_wide_table_is_read_as_a_series_a_row(tmp_path: Path) -> None:
    numbers = [[f"{row * column % 7}.5" for row in range(24)] for column in range(1, 6)]
    path = _table(tmp_path / "t.csv", "a,b,c,d,e,kind", *numbers, LABELS)
    with pytest.raises(RecipeError) as caught:
        inferred(build_recipe({"data": {"train": str(path)}}))
    recipe = inferred(build_recipe(_pasted(str(caught.value.hint))))
    assert (recipe.data.input, recipe.data.target, recipe.features.input.kind) == ("a:e", "kind", "series")


@pytest.mark.parametrize(("target", "found"), [("target", "source"), ("source", "target")])
def test_the_only_other_column_is_the_input(tmp_path: Path, target: str, found: str) -> None:
    path = _table(tmp_path / "t.csv", "source,target", TEXTS, TEXTS[::-1])
    said: list[str] = []
    recipe = build_recipe({"data": {"train": str(path), "target": target}, "model": {"task": "seq2seq"}})
    assert prepare(recipe, said.append).recipe.data.input == found
    assert f"input: {found} (the only other column)" in said


@pytest.mark.parametrize(
    ("cells", "task", "said"),
    [
        (TEXTS, "language_model", "input: x (the only column)"),
        (['"[0.5, 1.5, 2]"', '"[1, 2, 3, 4.5]"'] * 12, "next_step", "input: x (the only column)"),
        ([f"{row % 5}.5" for row in range(60)], "forecasting", "model: forecaster (x, the only column, holds numbers)"),
    ],
)
def test_the_only_column_is_what_there_is_to_learn(tmp_path: Path, cells: list[str], task: str, said: str) -> None:
    told: list[str] = []
    recipe = build_recipe({"data": {"train": str(_table(tmp_path / "t.csv", "x", cells))}})
    assert prepare(recipe, told.append).recipe.model.task == task
    assert said in told


@pytest.mark.parametrize("missing", ["NaN", "nan", "NA", "null", "?"])
def test_labels_that_are_none_are_named_and_set_aside_by_the_hint(tmp_path: Path, missing: str) -> None:
    labels = [missing if row % 10 == 0 else str(row % 2) for row in range(24)]
    given = {"data": {"train": str(_table(tmp_path / "t.csv", "text,label", TEXTS, labels)), "input": "text"}}
    given["data"]["target"] = "label"
    with pytest.raises(DataError, match=r"3 rows can't be used") as caught:
        prepare(build_recipe(given))
    assert f"t.csv:2: no value in column `label`: {missing!r}" in caught.value.message
    setting = str(caught.value.hint).partition("--set ")[2]
    prepared = prepare(build_recipe(apply_overrides(given, [setting])))
    assert prepared.features.target is not None
    assert prepared.features.target.classes == ("0", "1")
    assert prepared.num_rejected == 3


def test_a_class_may_be_called_as_missing_values_are(tmp_path: Path) -> None:
    path = _table(tmp_path / "t.csv", "text,label", TEXTS, ["none", "some"] * 12)
    prepared = prepare(build_recipe({"data": {"train": str(path), "input": "text", "target": "label"}}))
    assert prepared.features.target is not None
    assert prepared.features.target.classes == ("none", "some")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [(["1", "1.0", "0.0", "0"], ("0", "1")), (["neg ", "neg", " pos", "pos"], ("neg", "pos"))],
)
def test_labels_written_in_two_ways_are_one(tmp_path: Path, labels: list[str], classes: tuple[str, ...]) -> None:
    path = _table(tmp_path / "t.csv", "text,label", TEXTS, labels * 6)
    prepared = prepare(build_recipe({"data": {"train": str(path), "input": "text", "target": "label"}}))
    assert prepared.features.target is not None
    assert prepared.features.target.classes == classes


def test_a_table_in_time_with_names_beside_its_numbers_is_likely_forecast(tmp_path: Path) -> None:
    days = [f"2021-01-{day:02}" for day in range(1, 25)]
    numbers, winds = [f"{day}.5" for day in range(24)], ["NW", "SE", "cv"] * 8
    path = _table(tmp_path / "t.csv", "day,load,wind", days, numbers, winds)
    with pytest.raises(RecipeError) as caught:
        inferred(build_recipe({"data": {"train": str(path)}}))
    first, _, second = str(caught.value.hint).partition(" or ")
    recipe = inferred(build_recipe(_pasted(first)))
    assert (recipe.model.task, second) == ("forecasting", f"ostinato train {path} --input day --target wind")
    told = _table(
        tmp_path / "u.csv",
        "day,stars,text",
        days,
        ["4", "5", "1"] * 8,
        [f"{one}, so there and all that" for one in TEXTS],
    )
    told.write_text(told.read_text().replace(", so", " so"))
    with pytest.raises(RecipeError) as caught:  # prose is read, whenever it was written
        inferred(build_recipe({"data": {"train": str(told)}}))
    assert str(caught.value.hint).startswith(f"ostinato train {told} --input text --target stars")


def test_what_is_the_same_in_every_row_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(
        "".join(
            f'{{"tags": ["a", "b"], "text": "{text}", "label": "{label}"}}\n'
            for text, label in zip(TEXTS, LABELS, strict=True)
        )
    )
    with pytest.raises(RecipeError) as caught:
        inferred(build_recipe({"data": {"train": str(path)}}))
    assert str(caught.value.hint).startswith(f"ostinato train {path} --input text --target label")
