"""The split of rows into training and validation, also by groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data.split import split_rows
from ostinato.errors import DataError
from ostinato.recipe import build_recipe, load_recipe
from ostinato.tasks.prepare import prepare


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.sampled_from("abcdefghijklmnop")), min_size=20, max_size=200),
    st.floats(0.1, 0.5),
    st.integers(0, 5),
)
def test_groups_stay_together_and_every_row_is_on_one_side(groups: list[str | None], share: float, seed: int) -> None:
    named = {group for group in groups if group is not None}
    if len(named) + groups.count(None) < 8:
        return
    column = pl.Series("group", groups, dtype=pl.String)
    try:
        training, held_out = split_rows(len(groups), share, seed, column)
    except DataError as error:
        if "too few to hold out a share" not in error.message:
            raise
        return
    assert sorted([*training, *held_out]) == list(range(len(groups)))
    assert not {groups[i] for i in training} & {groups[i] for i in held_out} - {None}
    largest = max([groups.count(name) for name in named] or [1])
    assert 0 < len(held_out) <= round(len(groups) * share)
    assert len(held_out) > round(len(groups) * share) - max(largest, 1) - 1
    again = split_rows(len(groups), share, seed, column)
    assert all(np.array_equal(a, b) for a, b in zip(again, (training, held_out), strict=True))


def test_rows_without_a_group_are_split_one_by_one() -> None:
    training, held_out = split_rows(100, 0.2, 0, pl.Series("group", [None] * 100, dtype=pl.String))
    assert (len(training), len(held_out)) == (80, 20)


def test_one_group_can_not_be_split() -> None:
    with pytest.raises(DataError, match=r"the rows form 1 groups by `data\.group`"):
        split_rows(100, 0.2, 0, pl.Series("group", ["film"] * 100))


def test_rows_are_shuffled_and_the_seed_decides() -> None:
    training, held_out = split_rows(50, 0.2, 3)
    assert (len(training), len(held_out)) == (40, 10)
    assert list(held_out) != sorted(held_out)
    assert not np.array_equal(split_rows(50, 0.2, 4)[1], held_out)


def test_every_class_of_three_rows_is_held_out_once() -> None:
    classes = pl.Series(["neg"] * 95 + ["pos"] * 5 + ["odd"] * 2)
    training, held_out = split_rows(102, 0.1, 1, strata=classes, each=True)
    assert sorted([*training, *held_out]) == list(range(102))
    assert sorted(classes.gather(pl.Series(held_out)).to_list()) == ["neg"] * 10 + ["pos"]
    alone = pl.Series([str(row) for row in range(40)])
    assert len(split_rows(40, 0.1, 1, strata=alone, each=True)[1]) == 4


def _rows(folder: Path, rare: int) -> Path:
    path = folder / "rare.csv"
    lines = [f"word{i % 7},neg" for i in range(100)] + [f"other{i},pos" for i in range(rare)]
    path.write_text("\n".join(["text,label", *lines]) + "\n")
    return path


def test_classes_are_split_alike_unless_told_otherwise(tmp_path: Path) -> None:
    data = {"train": str(_rows(tmp_path, 5)), "input": "text", "target": "label"}
    notes: list[str] = []
    prepared = prepare(build_recipe({"data": data}), say=notes.append)
    assert prepared.recipe.data.stratify == "each"
    assert np.bincount(np.asarray(prepared.validation.targets)).tolist() == [10, 1]
    assert not any("no validation row" in note for note in notes)
    assert prepare(build_recipe({"data": {**data, "fold": [1, 5]}})).recipe.data.stratify == "each"
    held_out = {**data, "validation": data["train"]}
    assert prepare(build_recipe({"data": held_out})).recipe.data.stratify is False


def test_a_class_without_a_validation_row_is_told(tmp_path: Path) -> None:
    data = {"train": str(_rows(tmp_path, 2)), "input": "text", "target": "label"}
    notes: list[str] = []
    assert "no validation row is `pos` (2 rows in training)" in " ".join(
        prepare(build_recipe({"data": data}), say=notes.append).notes
    )
    assert any("no validation row is `pos`" in note for note in notes)


def test_a_recipe_that_states_its_share_keeps_its_split(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("data:\n  validation: 0.2\n")
    assert load_recipe(path).data.stratify is False
    path.write_text("data:\n  validation: 0.2\n  stratify: true\n")
    assert load_recipe(path).data.stratify is True
    path.write_text("data:\n  train: a.csv\n")
    assert load_recipe(path).data.stratify == "auto"
    path.write_text("data:\n  validation: 0.2\nmodel:\n  task: tagging\n")
    assert load_recipe(path).data.stratify is False
