"""Tables, arrays and lists in memory: the same as from a file of them, byte for byte; and what is told of others."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import ostinato
from ostinato.data.in_memory import as_file, as_table, is_table
from ostinato.errors import DataError, RowError
from ostinato.run import Run
from ostinato.storage.files import checksum
from ostinato.training.progress import Observer

SETTINGS = {"model.hidden_size": 4, "training.epochs": 1, "training.num_threads": 1}
TEXTS = pl.DataFrame({"text": ["a good film", "a bad film, sadly"] * 20, "mood": ["pos", "neg"] * 20})
FILES = ("model.safetensors", "features.json", "halves.safetensors", "decisions.json", "data.json")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _train(data: Any, **options: Any) -> Run:
    settings = {**SETTINGS, **options.pop("settings", {})}
    return ostinato.train(data, settings=settings, observer=Observer(), report=False, **options)


def _bytes(run: Run) -> list[bytes]:
    return [(run.folder / name).read_bytes() for name in FILES if (run.folder / name).is_file()]


def test_a_table_trains_as_its_file_does() -> None:
    pandas = pytest.importorskip("pandas")
    TEXTS.write_csv("texts.csv")
    wanted = _train("texts.csv", input="text", target="mood")
    rows = TEXTS.to_dicts()
    for same in (TEXTS.lazy(), TEXTS.to_dict(as_series=False), rows):
        assert as_table(same).equals(TEXTS)
    for data in (TEXTS, pandas.DataFrame(rows)):
        run = _train(data, input="text", target="mood")
        assert _bytes(run) == _bytes(wanted)
        assert run.predict(TEXTS) == wanted.predict(TEXTS) == [one for *_, one in run.predict_file(TEXTS)]
        assert run.evaluate(TEXTS) == wanted.evaluate("texts.csv")
        assert json.loads((run.folder / "evaluation.json").read_text())["data"] == "table in memory"


def test_arrays_train_as_their_file_does() -> None:
    values = np.random.default_rng(0).normal(size=(30, 5, 2))
    signs = (values[:, :, 0].mean(1) > 0).astype(int)
    lines = [{"x": x.tolist(), "y": y} for x, y in zip(values, signs.tolist(), strict=True)]
    Path("rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    wanted = _train("rows.jsonl", input="x", target="y")
    run = _train({"x": values, "y": signs}, input="x", target="y")
    assert _bytes(run) == _bytes(wanted)
    for same in ({"x": list(values), "y": signs.tolist()}, lines):
        assert as_table(same).equals(as_table({"x": values, "y": signs}))
    assert run.predict(values) == run.predict(list(values)) == wanted.predict(values.tolist())


def test_the_run_keeps_the_table_and_its_checksum() -> None:
    said: list[str] = []

    class Listener(Observer):
        def note(self, text: str) -> None:
            said.append(text)

    held_out = TEXTS.head(6).with_columns(text=pl.col("text") + "!")
    run = _train(TEXTS, input="text", target="mood", settings={"data.validation": held_out})
    places = json.loads((run.folder / "files.json").read_text())
    for part, name, table in (("train", "table", TEXTS), ("validation", "validation", held_out)):
        path = run.folder / f"{name}.in-memory.parquet"
        assert places[part]["sha256"] == checksum(path)
        assert pl.read_parquet(path).equals(table)
    moved = run.folder.rename("elsewhere")
    again = ostinato.load(moved)
    again.evaluate(TEXTS, Listener())
    assert said == ["`table in memory` is the file of data.train: these figures do not say how it does on new rows"]
    longer = ostinato.resume(moved, {"training.epochs": 2}, Observer())
    assert longer.summary["epochs"] == 2


def test_nothing_is_left_where_training_does_not_begin() -> None:
    with pytest.raises(DataError, match=r"`table in memory` has no column `moood`\. Columns: text, mood") as caught:
        _train(TEXTS, input="text", target="moood", out="run")
    assert caught.value.hint == "did you mean mood?"
    assert list(Path().iterdir()) == []


def test_a_row_that_can_not_be_used_is_named() -> None:
    with pytest.raises(DataError, match=r"table in memory:2: no value in column `text`"):
        _train({"text": ["a", None, "b"] * 9, "mood": ["pos", "neg", "pos"] * 9}, input="text", target="mood")


def test_a_forecaster_forecasts_the_series_of_a_table() -> None:
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(day) for day in range(80)]
    table = pl.DataFrame({"day": days, "y": np.sin(np.arange(80) / 3)})
    table.write_parquet("table.parquet")
    settings = {"model.horizon": 2, "model.lookback": 8}
    run, wanted = _train(table, settings=settings), _train("table.parquet", settings=settings)
    assert _bytes(run) == _bytes(wanted)
    found, (_, _, other) = run.predict(table), wanted.predict_file("table.parquet")[0]
    assert [one.values for one in found] == [other.values]


def test_rows_without_names() -> None:
    run = _train(np.random.default_rng(0).normal(size=(20, 4, 2)))
    assert (run.recipe.data.input, run.recipe.model.task) == ("sequence", "next_step")
    assert _train(["to be or not to be"] * 20).recipe.data.input == "text"


class _Arrow:
    """As Arrow's tables are."""

    column_names = TEXTS.columns

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return TEXTS.__arrow_c_stream__(requested_schema)


class _Names:
    names = ("neg", "pos")


class _Dataset:
    """As the data sets of Hugging Face are."""

    def __init__(self) -> None:
        self.features = {"text": object(), "mood": _Names()}

    def to_polars(self) -> pl.DataFrame:
        return TEXTS.with_columns(mood=(pl.col("mood") == "pos").cast(pl.Int64))


def test_tables_of_other_libraries() -> None:
    for data in (_Arrow(), _Dataset()):
        assert is_table(data)
        assert as_table(data).equals(TEXTS)
    assert not is_table(["text"])
    assert not is_table({"text": ["a"]})


def test_cells_of_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "number": [1.5, float("nan")],
            "text": ["a", None],
            "class": pandas.Categorical(["x", "y"]),
            "whole": pandas.array([1, None], dtype="Int64"),
            "when": pandas.to_datetime(["2024-01-01", None]),
            "steps": [pandas.Series([1.0, 2.0]), np.asarray([3.0])],
        }
    )
    found = as_table(frame)
    assert found["number"].to_list() == [1.5, None]
    assert found["text"].to_list() == ["a", None]
    assert found["class"].to_list() == ["x", "y"]
    assert found["whole"].to_list() == [1, None]
    assert found["whole"].dtype == pl.Int64
    assert found["when"].to_list() == [datetime.datetime(2024, 1, 1), None]
    assert found["steps"].to_list() == [[1.0, 2.0], [3.0]]


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        ([1, 2.5, None], [1.0, 2.5, None]),
        ([[1, 2], [0.5, 1]], [[1.0, 2.0], [0.5, 1.0]]),
        ([[1, 2.5], [], None, [3.0, None]], [[1.0, 2.5], [], None, [3.0, None]]),
        ([np.asarray([1, 2]), np.asarray([0.5])], [[1.0, 2.0], [0.5]]),
        ([[(1, 2)], [(np.float32(0.5), np.int64(3))]], [[[1.0, 2.0]], [[0.5, 3.0]]]),
        ([[{"a": 1}], [{"a": 0.5, "b": "c"}]], [[{"a": 1.0, "b": None}], [{"a": 0.5, "b": "c"}]]),
        ([[1], [2, 3]], [[1], [2, 3]]),
    ],
)
def test_whole_numbers_and_others_are_one_kind(cells: list[Any], wanted: list[Any]) -> None:
    found = as_table({"x": cells})["x"].to_list()
    assert repr(found) == repr(wanted)


def test_rows_predicted_are_read_alike_wherever_a_whole_number_stands() -> None:
    run = _train({"x": np.random.default_rng(0).normal(size=(20, 2)), "y": [0, 1] * 10}, input="x", target="y")
    assert run.predict([[1, 2], [0.5, 1.5]])[1] == run.predict([[0.5, 1.5], [1, 2]])[0]


def test_panels() -> None:
    pandas = pytest.importorskip("pandas")
    one, two = np.arange(6.0).reshape(3, 2), np.arange(4.0).reshape(2, 2)
    wanted = [one.tolist(), two.tolist()]
    frames = [pandas.DataFrame(one, columns=["a", "b"]), pandas.DataFrame(two, columns=["a", "b"])]
    assert as_table(frames)["sequence"].to_list() == wanted
    assert as_table(pandas.concat(frames, keys=["first", "second"]), "x")["x"].to_list() == wanted


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (np.zeros((2, 2, 2, 2)), r"an array \(N,\), \(N, L\) or \(N, L, C\) was expected: .* Received: \(2, 2, 2, 2\)"),
        (np.asarray(3.0), r"Received: \(\)"),
        ({"x": [1, 2], "y": [1]}, "columns of one length were expected. Received: x 2, y 1"),
        ({"x": [1, "a", 2]}, "column 'x' must hold values of one kind. Received: row 1 1, row 2 'a'"),
        ({"x": "abc"}, "column 'x' must be a list or an array. Received: str 'abc'"),
        ({"train": TEXTS, "validation": TEXTS}, "one table was expected. Received: several, train, validation"),
        ([[1.0, "a"]], "column 'sequence' must hold values of one kind. Received: row 1 1.0, row 1 'a'"),
        ([[1], [], [2, True]], "column 'sequence' must hold values of one kind. Received: row 1 1, row 3 True"),
        ({"x": [True, 2]}, "column 'x' must hold values of one kind. Received: row 1 True, row 2 2"),
        ([["a"], [1]], "Received: row 1 'a', row 2 1"),
        ([[1], [[2]]], r"Received: row 1 1, row 2 \[2\]"),
        ({"x": [0.5, 10**400]}, "column 'x' can't be read as values of one kind: int value too large"),
        ([object()], "is no value of a table"),
        (b"abc", "a table, an array or a list of rows was expected. Received: bytes"),
    ],
)
def test_what_is_no_table(data: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        as_table(data)


@pytest.mark.parametrize("data", [[], {}, TEXTS.head(0), np.zeros((0, 3))])
def test_no_rows(data: Any) -> None:
    with pytest.raises(DataError, match=r"a table with at least one row was expected\. Received: none"):
        _train(data)


def test_an_index_that_says_something_is_a_column() -> None:
    pandas = pytest.importorskip("pandas")
    days = pandas.date_range("2024-01-01", periods=2)
    frame = pandas.DataFrame({"y": [1.0, 2.0]}, index=days)
    wanted = [datetime.datetime(2024, 1, 1), datetime.datetime(2024, 1, 2)]
    for data, name in (
        (frame, "time"),
        (frame.rename_axis("day"), "day"),
        (frame["y"], "time"),
        (frame.set_axis(days.to_period("D")), "time"),
    ):
        assert as_table(data).to_dict(as_series=False) == {name: wanted, "y": [1.0, 2.0]}
    named = frame.set_index(pandas.Index([7, 8], name="id"))
    assert as_table(named).to_dict(as_series=False) == {"id": [7, 8], "y": [1.0, 2.0]}
    assert as_table(named.assign(id=[1, 2])).columns == ["y", "id"]
    assert as_table(named.rename_axis(None)).columns == ["y"]
    assert len(frame.columns) == 1
    texts = frame.assign(text=["a", "b"], k=0).reset_index().set_index(["index", "k"])
    with pytest.raises(DataError, match=r"a panel was expected.* Received: 2 levels, and text") as caught:
        as_table(texts)
    assert caught.value.hint == "df.reset_index()"


def test_no_value_is_none_in_every_table() -> None:
    table = pl.DataFrame({"y": [1.0, float("nan")]})

    class Arrow:
        column_names = table.columns

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return table.__arrow_c_stream__(requested_schema)

    class Dataset:
        def to_polars(self) -> pl.DataFrame:
            return table

    for data in (table, Arrow(), Dataset()):
        assert as_table(data)["y"].to_list() == [1.0, None]


def test_several_tables_are_told_how_to_be_given() -> None:
    with pytest.raises(DataError) as caught:
        as_table({"train": TEXTS, "test": TEXTS})
    assert caught.value.hint == "ostinato.train(data['train'], settings={'data.test': data['test']})"


def test_what_is_no_reference() -> None:
    with (
        pytest.raises(DataError, match="a file, a table or a name of the catalogue was expected"),
        as_file(5),
    ):
        pass


def test_a_table_without_the_input(tmp_path: Path) -> None:
    run = _train(TEXTS, input="text", target="mood")
    with pytest.raises(RowError, match="the table has no column `text`"):
        run.predict(TEXTS.rename({"text": "review"}))
    with pytest.raises(DataError, match="`table in memory` has no column `mood`"):
        run.evaluate(TEXTS.drop("mood"))
    assert run.predict(TEXTS.head(0)) == []
    with pytest.raises(RowError, match=r"column `text` must hold texts, numbers or lists of them. Received: bytes"):
        run.predict(pl.DataFrame({"text": [b"\xff"]}))
