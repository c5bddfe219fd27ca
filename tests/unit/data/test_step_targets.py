"""Targets told from their cells: a value for each step of the input, texts to write, labels, and what is none of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ostinato.errors import DataError
from ostinato.recipe import Recipe, build_recipe
from ostinato.tasks.prepare import inferred, prepare

RANDOM = np.random.default_rng(0)
LENGTHS = RANDOM.integers(3, 9, 120).tolist()


def _letters(alphabet: str, length: int) -> str:
    return "".join(RANDOM.choice(list(alphabet), length))


WALK = [RANDOM.normal(size=(n, 2)).round(3).tolist() for n in LENGTHS]
TEXT = [" ".join(RANDOM.choice(["a", "bb", "ccc", "dddd", "ee", "ff"], n)) for n in LENGTHS]
DNA = [_letters("ACGT", 20 + n) for n in LENGTHS]
FRAMES = [[[60, 64][: int(k)] for k in RANDOM.integers(0, 3, n)] for n in LENGTHS]
TAGS = [RANDOM.choice(["up", "down"], n).tolist() for n in LENGTHS]
CUT = [_letters("HE", n) for n in LENGTHS]


def _infer(folder: Path, cells: list[Any], target: list[Any], **sections: Any) -> Recipe:
    path = folder / "t.jsonl"
    path.write_text("".join(json.dumps({"x": x, "y": y}) + "\n" for x, y in zip(cells, target, strict=True)))
    return inferred(build_recipe({"data": {"train": str(path), "input": "x", "target": "y"}, **sections}))


@pytest.mark.parametrize(
    ("cells", "target", "kinds"),
    [
        (WALK, TAGS, ("series", "tags")),
        (WALK, [" ".join(tags) for tags in TAGS], ("series", "tags")),
        (WALK, CUT, ("series", "tags")),
        (WALK, [[round(step[0]) % 2 for step in walk] for walk in WALK], ("series", "tags")),
        (WALK, [[step[0] / 2 for step in walk] for walk in WALK], ("series", "series")),
        (WALK, [[[step[1], 0.5] for step in walk] for walk in WALK], ("series", "series")),
        (WALK, FRAMES, ("series", "notes")),
        (FRAMES, TAGS, ("notes", "tags")),
        (TEXT, TAGS, ("tokens", "tags")),
        (TEXT, [" ".join("AB"[len(word) % 2] for word in text.split()) for text in TEXT], ("tokens", "tags")),
        (TEXT, [[len(word) + 0.5 for word in text.split()] for text in TEXT], ("tokens", "series")),
        (DNA, [text.translate(str.maketrans("ACGT", "0110")) for text in DNA], ("dna", "tags")),
    ],
)
def test_a_value_for_each_step_is_tagged(
    tmp_path: Path, cells: list[Any], target: list[Any], kinds: tuple[str, str]
) -> None:
    recipe = _infer(tmp_path, cells, target)
    assert (recipe.features.input.kind, recipe.features.target.kind) == kinds
    assert recipe.model.task == "tagging"
    assert prepare(recipe).validation


@pytest.mark.parametrize(
    ("cells", "target", "kinds"),
    [
        (TEXT, [" ".join(reversed(text.split())) for text in TEXT], ("seq2seq", "text", "text")),  # copied, not tagged
        (DNA, [text.translate(str.maketrans("ACGT", "TGCA")) for text in DNA], ("seq2seq", "dna", "text")),
        (["pos neg odd"] * 60 + ["a film here"] * 60, ["pos", "neg"] * 60, ("classification", "text", "auto")),
        (WALK, [["loud", "new"], ["new"]] * 60, ("classification", "series", "auto")),
        (["it", "fr", "de"] * 40, [_letters("abcdef", 6) for _ in LENGTHS], ("conditional", "category", "text")),
    ],
)
def test_other_targets_are_not(
    tmp_path: Path, cells: list[Any], target: list[Any], kinds: tuple[str, str, str]
) -> None:
    recipe = _infer(tmp_path, cells, target)
    assert (recipe.model.task, recipe.features.input.kind, recipe.features.target.kind) == kinds


def test_a_category_says_what_its_target_usually_is(tmp_path: Path) -> None:
    short = [["a", "b"]] * 120
    told = _infer(tmp_path, WALK, short, model={"task": "tagging", "output": "ctc"})
    assert told.features.target.kind == "tags"
    told = _infer(tmp_path, ["it", "fr"] * 60, ["ciao", "salut"] * 60, model={"task": "seq2seq"})
    assert told.features.target.kind == "text"


def test_lists_of_numbers_are_no_labels(tmp_path: Path) -> None:
    curves = [[0.5 * k for k in range(3)] for _ in LENGTHS]
    with pytest.raises(DataError, match="column `y` holds lists of numbers, and not one for each step") as error:
        prepare(_infer(tmp_path, TEXT, curves, model={"task": "classification"}))
    assert "features.target.kind=labels" in str(error.value.hint)


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["big,odd", "big", "odd, flat", "flat"], ("big", "flat", "odd")),
        (["Smith, J", "Jones, K", "Smith, J", "Wu"], ("Jones, K", "Smith, J", "Wu")),
    ],
)
def test_names_between_commas(tmp_path: Path, names: list[str], classes: tuple[str, ...]) -> None:
    target = prepare(_infer(tmp_path, TEXT, names * 30)).features.target
    assert target is not None
    assert target.classes == classes


def test_no_label_is_an_empty_cell(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "".join(f"a film {n},{('a', '', 'b')[n % 3]}\n" for n in range(30)))
    data = {"train": str(path), "input": "x", "target": "y"}
    with pytest.raises(DataError, match="no value in column `y`"):
        prepare(build_recipe({"data": data}))
    prepared = prepare(build_recipe({"data": data, "features": {"target": {"kind": "labels"}}}))
    assert len(prepared.train) + len(prepared.validation) == 30
    assert np.asarray(prepared.train.targets).sum() < len(prepared.train)


@pytest.mark.parametrize(
    ("cells", "kind", "unit"),
    [
        ([_letters("ACDEFGHIKLMNPQRSTVWY", 30) for _ in LENGTHS], "protein", None),
        ([f"   {letters}" for letters in DNA], "dna", None),
        ([_letters("abcdefgh", 6) for _ in LENGTHS], "text", "characters"),
        ([text.split() for text in TEXT], "tokens", None),
        (TEXT, "text", "words"),
    ],
)
def test_what_a_classifier_reads(tmp_path: Path, cells: list[Any], kind: str, unit: str | None) -> None:
    recipe = _infer(tmp_path, cells, ["p", "q"] * 60)
    assert (recipe.features.input.kind, getattr(recipe.features.input, "unit", None)) == (kind, unit)


def test_without_a_target_letters_are_a_language_model_s(tmp_path: Path) -> None:
    (tmp_path / "t.fa").write_text("".join(f">r{n}\n{letters}\n" for n, letters in enumerate(DNA)))
    recipe = inferred(build_recipe({"data": {"train": str(tmp_path / "t.fa")}}))
    assert (recipe.model.task, recipe.features.text.unit) == ("language_model", "characters")
