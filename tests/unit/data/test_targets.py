"""The target column: what kind it is, and its values as numbers."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ostinato.data.inference.target import infer_target
from ostinato.data.io.blocks import Block
from ostinato.data.places import Places
from ostinato.data.targets import ClassTarget, LabelsTarget, NumberTarget, TargetFeature
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
        ([str(i) for i in range(21)], "number", "`y` holds 21 different whole numbers"),
        ([str(i) for i in range(12)], "number", "`y` holds 12 different whole numbers"),
        (["0.5", "1"], "number", "`y` holds 2 different numbers"),
        (['["a"]', "[]", '["a", "b"]'], "labels", "`y` holds JSON lists"),
        (["[x", "[y"], "class", "`y` holds 2 different texts"),
    ],
)
def test_the_kind_is_read_off_the_cells(cells: list[str], kind: str, reason: str) -> None:
    assert infer_target(pl.Series(cells), "y") == (kind, reason)


AS_CLASSES = "classes: --set features.target.kind=class"
AS_NUMBER = "a number to predict: --set features.target.kind=number"


@pytest.mark.parametrize(
    ("cells", "kind", "reason"),
    [
        ([str(i) for i in range(30)] * 30, "class", f"about 30 rows each, from 0 to 29; {AS_NUMBER}"),
        ([f"{i}.0" for i in range(1, 61)] * 12, "class", f"about 12 rows each, from 1 to 60; {AS_NUMBER}"),
        (["0", "1", "2"] * 40, "class", f"about 40 rows each; {AS_NUMBER}"),
        (["0", "1"] * 40, "class", "`y` holds 2 different whole numbers"),
        (
            [str(i) for i in range(18, 66)] * 20,
            "number",
            f"about 20 rows each; {AS_CLASSES}",
        ),
        ([str(i) for i in range(40)] * 20 + ["40"], "number", AS_CLASSES),
        ([str(i) for i in range(30)] * 3, "number", "`y` holds 30 different whole numbers"),
        ([str(i * i) for i in range(300)] * 20, "number", "`y` holds 300 different whole numbers"),
    ],
    ids=["numbered", "written as floats", "three", "two", "ages", "counts", "few rows each", "many"],
)
def test_few_whole_numbers_of_many_rows_are_classes(cells: list[str], kind: str, reason: str) -> None:
    found = infer_target(pl.Series(cells), "y")
    assert found[0] == kind
    assert found[1].endswith(reason)


def test_spellings_of_one_class_are_one() -> None:
    feature = _fit(["1", "1.0", "2.0", " 2", "1 "], kind="class")
    assert feature.classes == ("1", "2")
    assert feature.encode(pl.Series(["2.00", "1", " 1.0", "2"]), _places(4), "data").tolist() == [1, 0, 0, 1]
    assert _fit(["neg", "neg ", "pos"]).classes == ("neg", "pos")
    floats = _fit(["1.0", "2.0"], kind="class")
    assert floats.classes == ("1.0", "2.0")
    assert floats.encode(pl.Series(["2", "1.0"]), _places(2), "data").tolist() == [1, 0]
    assert _fit(["1.0", "1.1", "1.10"], kind="class").classes == ("1.0", "1.1", "1.10")


def test_classes_of_an_old_run_keep_their_integers() -> None:
    saved = ClassTarget("y", classes=["1", "1.0", "neg", "neg "])
    cells = pl.Series(["neg ", "1.0", "neg", "1", " neg"])
    assert saved.encode(cells, _places(5), "data").tolist()[:4] == [3, 1, 2, 0]


def test_mixed_types() -> None:
    with pytest.raises(DataError) as caught:
        infer_target(pl.Series(["1", "2", "good"]), "y")
    assert caught.value.message == "column `y` mixes types: 2 numbers (such as 1) and 1 text (such as 'good')."
    with pytest.raises(DataError, match="holds numbers and 1 cells such as 'nan'"):
        infer_target(pl.Series(["1", "2", "nan"]), "y")


def test_a_column_of_all_different_texts() -> None:
    with pytest.raises(DataError, match="120 different texts in 120 rows: it is hardly a class column"):
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
        "the validation data holds `c` in column `y` (a.csv:3), which does not occur in the training data."
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


def test_what_a_head_answers_in_the_fields_of_a_prediction() -> None:
    shares = np.asarray([0.25, 0.75], dtype=np.float32)
    by_name = {"probabilities": {"a": 0.25, "b": 0.75}}
    assert ClassTarget("y", classes=("a", "b")).said(shares) == {"label": "b", **by_name}
    assert LabelsTarget("y", classes=("a", "b")).said(shares) == {"labels": ("b",), **by_name}
    assert NumberTarget("y", mean=4.0, std=2.0).said(np.float32(5.0)) == {"value": 5.0}


def test_what_is_said_without_reading_a_row() -> None:
    assert ClassTarget("y", classes=("a", "b")).usual_answer(np.asarray([0, 1, 1, 1])).tolist() == [0.25, 0.75]
    hot = np.asarray([[1, 0], [1, 1]], dtype=np.float32)
    assert LabelsTarget("y", classes=("a", "b")).usual_answer(hot).tolist() == [1.0, 0.5]
    assert NumberTarget("y", mean=4.0, std=2.0).usual_answer(np.asarray([0.0, 1.0])).tolist() == [5.0]
