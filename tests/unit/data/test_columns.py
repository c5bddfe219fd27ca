"""Several columns at once, rows chosen by SQL, and folds."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ostinato
from ostinato.data.dataset import Examples, Features, Prepared
from ostinato.data.features import TrainingPart, make_builder
from ostinato.data.features.category import CategoryFeature
from ostinato.data.features.numbers import NumbersFeature
from ostinato.data.split import split_fold
from ostinato.data.vocabulary import SPECIAL, UNK_ID
from ostinato.errors import DataError, RecipeError, RunError
from ostinato.recipe import build_recipe
from ostinato.recipe.kinds import CategoryRecipe, NumbersRecipe
from ostinato.tasks.prepare import prepare
from ostinato.training.progress import Observer

COLUMNS = ("text", "age", "country", "label")


def _write(path: Path, rows: list[tuple[Any, ...]]) -> Path:
    with path.open("w", newline="") as out:
        csv.writer(out).writerows([COLUMNS, *rows])
    return path


def _rows(count: int = 200, seed: int = 0) -> list[tuple[Any, ...]]:
    """The label needs the text and the number: neither alone says it."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        age, word = draw.choice([20, 30, 60, 70]), draw.choice(["good", "bad"])
        likes = (word == "good") and age > 50
        rows.append((f"a {word} film", age, draw.choice(["de", "fr", "it"]), "yes" if likes else "no"))
    return rows


def _prepare(path: Path, said: list[str] | None = None, **data: Any) -> Prepared:
    settings = {"train": str(path), "input": "text", "target": "label", "extra": ["age", "country"], **data}
    return prepare(build_recipe({"data": settings}), (said if said is not None else []).append)


def test_kinds_of_further_columns_are_inferred_and_said(tmp_path: Path) -> None:
    said: list[str] = []
    prepared = _prepare(_write(tmp_path / "rows.csv", _rows()), said)
    assert said[:2] == [
        "extra: age as numbers (its cells are numbers)",
        "extra: country as category (its cells are names)",
    ]
    assert {name: feature.kind for name, feature in prepared.features.extra.items()} == {
        "age": "numbers",
        "country": "category",
    }
    assert isinstance(prepared.train, Examples)
    ages = prepared.train.extra["age"]
    assert ages.values.shape == (180, 1)
    assert float(ages.values.mean()) == pytest.approx(0.0, abs=1e-6)
    assert float(ages.values.std()) == pytest.approx(1.0, abs=1e-6)
    assert prepared.train.extra["country"].lengths.tolist() == [1] * 180


def test_a_model_of_several_columns_learns_what_no_column_says_alone(tmp_path: Path) -> None:
    path = _write(tmp_path / "rows.csv", _rows())
    settings = {
        "data.extra": ["age", "country"],
        "model.embedding_dim": 8,
        "model.hidden_size": 8,
        "model.head_size": 16,
        "training.epochs": 12,
        "training.learning_rate": 0.02,
        "training.num_threads": 1,
    }
    run = ostinato.train(
        path, input="text", target="label", settings=settings, out=tmp_path / "run", observer=Observer()
    )
    assert run.evaluate(path)["accuracy"] == 1.0
    rows = [{"text": "a good film", "age": age, "country": "de"} for age in (25, 65)]
    again = ostinato.load(tmp_path / "run")
    assert [prediction.label for prediction in again.predict(rows)] == ["no", "yes"]
    unseen = {"text": "a good film", "age": 65, "country": "atlantis"}
    assert again.predict([unseen])[0].label == "yes"
    with pytest.raises(RunError, match=r"a row has no value for `age`. Received: text\."):
        again.predict([{"text": "a good film"}])
    with pytest.raises(RunError, match=r"this model reads several columns: text, age, country\."):
        again.predict(["a good film"])
    first = again.predict_file(path)[0]
    assert first[0] == f"{path}:2"
    assert first[2].label in {"yes", "no"}


def test_features_of_all_columns_are_saved_and_read_back(tmp_path: Path) -> None:
    features = _prepare(_write(tmp_path / "rows.csv", _rows())).features
    features.save(tmp_path / "features.json")
    again = Features.load(tmp_path / "features.json")
    assert again.to_dict() == features.to_dict()
    assert isinstance(again.extra["age"], NumbersFeature)
    assert isinstance(again.extra["country"], CategoryFeature)


def test_bad_cells_of_further_columns_are_named(tmp_path: Path) -> None:
    rows = _rows(40)
    rows[3] = ("a film", "old", "de", "yes")
    rows[5] = ("a film", "30", "", "no")
    rows[7] = ("a film", "inf", "de", "no")
    path = _write(tmp_path / "rows.csv", rows)
    with pytest.raises(DataError) as caught:
        prepare(
            build_recipe(
                {
                    "data": {"train": str(path), "input": "text", "target": "label", "extra": ["age", "country"]},
                    "features": {"extra": {"age": {"kind": "numbers"}}},
                }
            )
        )
    text = str(caught.value)
    assert f"{path}:5: not a finite number: 'old'" in text
    assert f"{path}:7: no value in column `country`" in text
    assert f"{path}:9: not a finite number: 'inf'" in text


def test_one_column_has_one_role(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="column `text` can't be both"):
        _prepare(_write(tmp_path / "rows.csv", _rows()), extra=["text"])


def test_rows_chosen_by_sql(tmp_path: Path) -> None:
    path = _write(tmp_path / "rows.csv", _rows())
    everything = _prepare(path)
    some = _prepare(path, where="country <> 'fr' AND CAST(age AS INTEGER) > 25")
    assert isinstance(some.train, Examples)
    assert isinstance(everything.train, Examples)
    kept = [row for row in _rows() if row[2] != "fr" and row[1] > 25]
    assert len(some.train) + len(some.validation) == len(kept)
    assert len(everything.train) + len(everything.validation) == 200
    with pytest.raises(DataError, match="`where` can't be evaluated") as caught:
        _prepare(path, where="countri = 'fr'")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("columns: text, age, country, label")


@pytest.mark.parametrize("grouped", [False, True])
def test_folds_hold_each_row_out_once(grouped: bool) -> None:
    import polars as pl

    count = 53
    groups = pl.Series([f"g{i % 17}" for i in range(count)]) if grouped else None
    held_out: list[int] = []
    for fold in range(1, 6):
        training, validation = split_fold(count, fold, 5, 3, groups)
        assert sorted([*training, *validation]) == list(range(count))
        assert abs(len(validation) - count / 5) <= (4 if grouped else 1)
        if groups is not None:
            assert not set(groups.gather(training.tolist())) & set(groups.gather(validation.tolist()))
        held_out += validation.tolist()
    assert sorted(held_out) == list(range(count))


def test_a_recipe_names_its_fold(tmp_path: Path) -> None:
    path = _write(tmp_path / "rows.csv", _rows(60))
    parts = [_prepare(path, fold=[i, 4]) for i in (1, 2, 3, 4)]
    places = [part.validation.location(k) for part in parts for k in range(15)]  # type: ignore[union-attr]
    assert len(set(places)) == 60
    with pytest.raises(RecipeError, match=r"Received: \[5, 4\]"):
        _prepare(path, fold=[5, 4])


def test_a_category_that_training_never_showed_is_unknown() -> None:
    import polars as pl

    builder = make_builder(CategoryRecipe())
    draft = builder.draft(pl.Series(["b", " a", "c", "b"]))
    builder.add(draft, np.ones(4, dtype=np.bool_))
    feature, sequences = builder.finish(TrainingPart(rows=np.asarray([0, 1, 3])))
    assert isinstance(feature, CategoryFeature)
    assert feature.names == ("a", "b")
    offset = len(SPECIAL)
    assert sequences.values.tolist() == [offset + 1, offset, UNK_ID, offset + 1]
    assert feature.encode(pl.Series(["zzz", "a"])).values.tolist() == [UNK_ID, offset]
    assert feature.decode(np.asarray([offset])) == "a"


def test_lists_of_numbers_are_standardised_one_by_one() -> None:
    import polars as pl

    builder = make_builder(NumbersRecipe())
    draft = builder.draft(pl.Series(["[1, 5]", "[3, 5]", "[1]", "x"]))
    assert draft.problems == {2: "holds 1 numbers, the rows before it 2", 3: "not a finite number: 'x'"}
    builder.add(draft, np.asarray([True, True, False, False]))
    feature, sequences = builder.finish(TrainingPart())
    assert sequences.values.tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    assert NumbersFeature.from_dict(feature.to_dict()).to_dict() == feature.to_dict()
