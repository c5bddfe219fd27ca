"""The target column: what kind it is, and its values as numbers."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ostinato.data.inference.target import infer_target
from ostinato.data.io.blocks import Block
from ostinato.data.places import Places
from ostinato.data.targets import TargetFeature
from ostinato.errors import DataError
from ostinato.recipe import TargetRecipe


def _places(count: int) -> Places:
    places = Places()
    texts = pl.Series("text", ["x"] * count)
    places.add(Block(texts.to_frame(), ("a.csv",), np.arange(2, count + 2)), texts)
    return places


def _fit(cells: list[str], **settings: str) -> TargetFeature:
    return TargetFeature.fit(pl.Series(cells), TargetRecipe.model_validate(settings), "y")


@pytest.mark.parametrize(
    ("cells", "kind", "reason"),
    [
        (["pos", "neg", "pos"], "class", "`y` holds 2 different texts"),
        (["0", "1", "10"], "class", "`y` holds 3 different whole numbers"),
        ([str(i) for i in range(21)], "number", "`y` holds 21 different numbers"),
        (["0.5", "1"], "number", "`y` holds 2 different numbers"),
        (['["a"]', "[]", '["a", "b"]'], "labels", "`y` holds JSON lists"),
        (["[x", "[y"], "class", "`y` holds 2 different texts"),
    ],
)
def test_the_kind_is_read_off_the_cells(cells: list[str], kind: str, reason: str) -> None:
    assert infer_target(pl.Series(cells), "y") == (kind, reason)


def test_mixed_types() -> None:
    with pytest.raises(DataError) as caught:
        infer_target(pl.Series(["1", "2", "good"]), "y")
    assert caught.value.message == "column `y` mixes types: 2 numbers (such as 1) and 1 text (such as 'good')."
    with pytest.raises(DataError, match="holds numbers and 1 cells such as 'nan'"):
        infer_target(pl.Series(["1", "2", "nan"]), "y")


def test_a_column_of_all_different_texts() -> None:
    with pytest.raises(DataError, match="120 different texts in 120 rows: hardly a class column"):
        infer_target(pl.Series([f"text {i}" for i in range(120)]), "y")


def test_classes_in_order() -> None:
    assert _fit(["10", "9", "-1", "b", "a", "²", "1.5"], kind="class").classes == (
        "-1",
        "9",
        "10",
        "1.5",
        "a",
        "b",
        "²",
    )
    feature = _fit(["pos", "neg"])
    assert feature.num_outputs == 1
    encoded = feature.encode(pl.Series(["pos", "neg", "pos"]), _places(3), "data")
    assert (encoded.tolist(), encoded.dtype) == ([1, 0, 1], np.int64)
    assert _fit(["a", "b", "c"]).num_outputs == 3


def test_one_class_only() -> None:
    with pytest.raises(DataError, match="column `y` holds one class only in the training data: `a`"):
        _fit(["a", "a"])


def test_a_class_that_training_never_showed_is_named_with_its_row() -> None:
    with pytest.raises(DataError) as caught:
        _fit(["a", "b"]).encode(pl.Series(["a", "c"]), _places(2), "validation data")
    assert caught.value.message == (
        "the validation data holds `c` in column `y` (a.csv:3), which the training data never showed."
    )
    assert caught.value.hint == "training classes: a, b"


def test_labels() -> None:
    feature = _fit(["a, b", "b", "", '["c", 1]'], kind="labels")
    assert feature.classes == ("1", "a", "b", "c")
    assert feature.num_outputs == 4
    encoded = feature.encode(pl.Series(["b,a", "", '["c"]']), _places(3), "data")
    assert encoded.tolist() == [[0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    with pytest.raises(DataError, match="holds `z` in column `y`"):
        feature.encode(pl.Series(["a,z"]), _places(1), "data")
    assert _fit(["a|b"], kind="labels", separator="|").classes == ("a", "b")
    with pytest.raises(DataError, match="holds no label at all"):
        _fit(["", "[]"], kind="labels")


def test_numbers_are_standardised_and_can_be_read_back() -> None:
    feature = _fit(["1", "2", "3", "6"], kind="number")
    encoded = feature.encode(pl.Series(["1", "2", "3", "6"]), _places(4), "data")
    assert encoded.mean() == pytest.approx(0, abs=1e-6)
    assert encoded.std() == pytest.approx(1)
    assert (encoded * feature.std + feature.mean).tolist() == pytest.approx([1, 2, 3, 6])
    with pytest.raises(DataError, match=r"holds one number only: 2.0. There is nothing to learn"):
        _fit(["2", "2.0"], kind="number")


@pytest.mark.parametrize("cells", [["a", "b"], ["1", "2.5"], ['["a"]', '["b"]']])
def test_saved_and_read_back(cells: list[str]) -> None:
    feature = _fit(cells)
    assert TargetFeature.from_dict(feature.to_dict()).__dict__ == feature.__dict__
