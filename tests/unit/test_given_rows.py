"""Rows given in Python, and mistakes on the command line: told in a sentence, never as a traceback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import ostinato
from ostinato.data.features.category import CategoryFeature
from ostinato.data.given import drafted, rows_given
from ostinato.errors import DataError, MissingLibraryError, RecipeError, RowError, RunError
from ostinato.recipe import build_recipe, described
from ostinato.recipe.kinds import CategoryRecipe
from ostinato.run import Run, load
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("given") / "rows.csv"
    path.write_text("text,mood\n" + "good film,pos\nbad film,neg\n" * 20)
    return path


@pytest.fixture(scope="module")
def run(table: Path) -> Run:
    recipe = {
        "data": {"train": str(table), "input": "text", "target": "mood"},
        "model": {"hidden_size": 4, "embedding_dim": 4},
        "training": {"epochs": 1, "num_threads": 1},
    }
    return load(train_recipe(build_recipe(recipe), table.parent / "run", Observer()))


def test_a_table_gives_the_column_that_is_read(run: Run) -> None:
    texts = ["good film", "bad film", "good"]
    wanted = run.predict(texts)
    frame = pl.DataFrame({"number": [1, 2, 3], "text": texts})
    assert run.predict(frame) == run.predict(frame["text"]) == run.predict(np.asarray(texts)) == wanted
    pandas = pytest.importorskip("pandas")
    assert run.predict(pandas.DataFrame({"text": texts, "x": [0.5] * 3})) == wanted
    assert run.predict({"text": texts[0]}) == run.predict(texts[0]) == wanted[:1]


def test_a_table_without_it_is_told(run: Run) -> None:
    with pytest.raises(
        RowError, match=r"the table has no column `text`, which this model reads\. Its columns: review, x"
    ):
        run.predict(pl.DataFrame({"review": ["a"], "x": [1]}))
    with pytest.raises(RowError, match="this model reads series"):
        rows_given(pl.DataFrame({"x": [1]}), [])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([None], r"row 1 has no value for `text`. Received: None"),
        (["good", None], r"row 2 has no value for `text`"),
        ([float("nan")], r"row 1 has no value for `text`. Received: nan"),
        ([1.5], r"row 1, 1.5, can't be used: `text` is read as text and must be a string. Received: float"),
        ([b"x"], "Received: bytes"),
        ([["a", "b"]], "Received: list"),
        ([{"text": 3}], "Received: int"),
        ([{}], "a row has no value for `text`. Received: nothing"),
        (5, "rows must be a list of cells. Received: 5"),
        (None, "rows must be a list of cells. Received: None"),
        ([""], "can't be used: nothing is left of"),
    ],
)
def test_rows_that_can_not_be_used(run: Run, rows: Any, said: str) -> None:
    with pytest.raises(RowError, match=said) as caught:
        run.predict(rows)
    assert isinstance(caught.value, RunError)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, TypeError)


def test_several_columns_are_taken_by_name() -> None:
    frame = pl.DataFrame({"b": ["x", "y"], "c": [0, 1], "a": ["u", "v"]})
    assert rows_given(frame, ["a", "b"]) == [{"a": "u", "b": "x"}, {"a": "v", "b": "y"}]


def test_errors_are_pythons_too() -> None:
    assert issubclass(DataError, ValueError)
    assert issubclass(RunError, RuntimeError)
    assert issubclass(MissingLibraryError, ImportError)


def test_a_number_is_nothing_to_train_on() -> None:
    with pytest.raises(DataError, match=r"`data` must be a file, a folder or a name of the catalogue. Received: int"):
        ostinato.train(5)


def test_input_and_target_are_one_column(table: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    said = cli("train", table, "--input", "text", "--target", "text", "--out", tmp_path / "run")
    assert said.code == 1
    assert "error: `data.input` and `data.target` name the same column, text" in said.err
    assert (
        f"hint: another column:\n  ostinato train {table} --input text --out {tmp_path}/run --target mood\n" in said.err
    )


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("training.early_stopping=3", "did you mean training.patience?"),
        ("training.lr=0.1", "did you mean training.learning_rate?"),
        ("epochs=3", "did you mean training.epochs?"),
        ("model.learning_rate=0.1", "did you mean training.learning_rate?"),
        ("training.hiden_size=3", "did you mean model.hidden_size"),
        ("training.epoch=3", "did you mean epochs?"),
        ("data.qqq=3", "keys: "),
    ],
)
def test_a_key_in_the_wrong_place_is_found(setting: str, hint: str) -> None:
    with pytest.raises(RecipeError) as caught:
        described("rows.csv", settings=[setting])
    assert str(caught.value.hint).startswith(hint)


def test_a_mistake_is_told_before_torch_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['ostinato', 'train', 'rows.csv', '--set', 'training.epoch=3']\n"
        "from ostinato.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: print(stop.code, 'torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert said.stdout == "1 False\n"
    assert "did you mean epochs?" in said.stderr


def test_short_forms_of_the_commonest_options(table: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    short = ["--epochs", "1", "--lr", "0.02", "--batch-size", "8", "--hidden-size", "3", "--seed", "5"]
    rest = ["--set", "training.baselines_seconds=0", "--set", "training.seed=6", "--json"]
    assert (
        cli("train", table, "--input", "text", "--target", "mood", "--out", tmp_path / "run", *short, *rest).code == 0
    )
    recipe = load(tmp_path / "run").recipe
    training = recipe.training
    assert (training.epochs, training.learning_rate, training.batch_size, training.seed) == (1, 0.02, 8, 6)
    assert recipe.model.hidden_size == 3


def test_a_name_given_as_a_number() -> None:
    feature = CategoryFeature.fit(CategoryRecipe(), np.asarray(["1", "2"], dtype=object))
    assert drafted(["2"], "speaker", feature, ["speaker"]).lengths.tolist() == [1]
    with pytest.raises(RowError, match="`speaker`"):
        drafted([None], "speaker", feature, ["speaker"])
