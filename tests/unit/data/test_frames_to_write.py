"""Targets that are frames to write: told from their cells, their length resolved, and what can't be undone refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ostinato.errors import DataError, RecipeError
from ostinato.recipe import Recipe, build_recipe
from ostinato.tasks.prepare import inferred, prepare

RANDOM = np.random.default_rng(0)
LENGTHS = RANDOM.integers(3, 9, 120).tolist()
WALK = [RANDOM.normal(size=n).round(3).tolist() for n in LENGTHS]
FAR = [[*walk, *walk, 0.25] for walk in WALK]
CHORDS = [[[60, 64][: int(k)] for k in RANDOM.integers(0, 3, 2 * n + 1)] for n in LENGTHS]
NAMES = [("up", "down")[k % 2] for k in range(120)]
WORDS = ["".join(RANDOM.choice(list("abcdef"), n)) for n in LENGTHS]


def _table(folder: Path, **columns: list[Any]) -> str:
    path = folder / "t.jsonl"
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def _recipe(folder: Path, cells: list[Any], target: list[Any] | None, **sections: Any) -> Recipe:
    columns = {"x": cells} | ({} if target is None else {"y": target})
    data = {"train": _table(folder, **columns), "input": "x", "target": None if target is None else "y"}
    return build_recipe({"data": data, **sections})


@pytest.mark.parametrize(
    ("cells", "target", "made"),
    [
        (NAMES, WALK, ("conditional", "category", "series")),
        ([k % 3 for k in range(120)], WALK, ("conditional", "category", "series")),
        ([0.5 * k for k in range(120)], WALK, ("conditional", "numbers", "series")),
        (NAMES, CHORDS, ("conditional", "category", "notes")),
        (WORDS, FAR, ("seq2seq", "text", "series")),
        (WALK, FAR, ("seq2seq", "series", "series")),
        (WALK, [[[a, a] for a in far] for far in FAR], ("seq2seq", "series", "series")),
        (WALK, CHORDS, ("seq2seq", "series", "notes")),
        (WALK, WALK, ("tagging", "series", "series")),
        (WALK, [walk if k % 3 else walk[:2] for k, walk in enumerate(WALK)], ("tagging", "series", "series")),
    ],
)
def test_frames_to_write_are_told(
    tmp_path: Path, cells: list[Any], target: list[Any], made: tuple[str, str, str]
) -> None:
    """Also where up to half of the rows of a stepwise target are bad ones, if the kind of the target is given."""
    given = {"features": {"target": {"kind": "series"}}} if any(len(row) == 2 for row in target) else {}
    recipe = inferred(_recipe(tmp_path, cells, target, **given))
    assert (recipe.model.task, recipe.features.input.kind, recipe.features.target.kind) == made


def test_lists_of_few_whole_numbers_stay_labels(tmp_path: Path) -> None:
    recipe = inferred(_recipe(tmp_path, NAMES, [[k % 3, k % 5] for k in range(120)]))
    assert recipe.model.task == "classification"


def test_many_different_names_are_read_as_text(tmp_path: Path) -> None:
    names = [f"name {k // 5}" for k in range(120)]
    assert inferred(_recipe(tmp_path, names, WALK)).features.input.kind == "text"


def test_series_alone_are_gone_on_with(tmp_path: Path) -> None:
    assert inferred(_recipe(tmp_path, WALK, None)).model.task == "next_step"


@pytest.mark.parametrize(
    ("target", "given", "length", "longest"),
    [
        (WALK, {}, "learnt", 2 * max(LENGTHS)),
        ([walk[:3] for walk in WALK], {}, 3, 3),
        ([walk[:3] for walk in WALK], {"length": "learnt"}, "learnt", 6),
        (WALK, {"length": 5, "max_new_tokens": 7}, 5, 5),
    ],
)
def test_the_length_is_resolved(
    tmp_path: Path, target: list[Any], given: dict[str, Any], length: int | str, longest: int
) -> None:
    said: list[str] = []
    prepared = prepare(_recipe(tmp_path, NAMES, target, model={"decoder": given}), said.append)
    decoder = prepared.recipe.model.decoder
    assert (decoder.length, decoder.longest) == (length, longest)
    assert any(line.startswith("length: ") for line in said) == ("length" not in given)
    again = prepare(prepared.recipe).recipe  # what is resolved stays so
    assert again == prepared.recipe


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"deltas": True}, r"`features\.target\.deltas` must be false for frames that are generated.*Received: true"),
        ({"missing": "mask"}, r"`features\.target\.missing` must be stop or interpolate"),
        ({"normalize": "row"}, r"`features\.target\.normalize` must be none or global"),
    ],
)
def test_what_cannot_be_undone_is_refused(tmp_path: Path, target: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        inferred(_recipe(tmp_path, NAMES, WALK, features={"target": {"kind": "series", **target}}))
    with pytest.raises(RecipeError, match=message.replace("target", "input")):
        inferred(_recipe(tmp_path, WALK, None, features={"input": {"kind": "series", **target}}))


def test_bad_frames_are_named(tmp_path: Path) -> None:
    broken = [*WALK[:-2], [], [0.1, None, 0.3]]
    with pytest.raises(DataError, match="2 rows can't be used") as caught:
        prepare(_recipe(tmp_path, NAMES, broken))
    assert ":119" in str(caught.value)
    assert ":120" in str(caught.value)


def test_an_empty_list_is_called_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 row can't be used") as caught:
        prepare(_recipe(tmp_path, NAMES, [*WALK[:-1], []]))
    assert "`y` is empty" in str(caught.value)
