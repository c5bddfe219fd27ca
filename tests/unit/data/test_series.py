"""Time series from tables: layouts, gaps, missing values, order, windows, splits; what is wrong is named by its row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.series import forecasting

from ostinato.data.features import load_feature
from ostinato.data.forecasting.feature import ForecastFeature
from ostinato.data.forecasting.future import future_windows
from ostinato.data.forecasting.prepare import held_back_windows
from ostinato.data.forecasting.windows import WindowedBatches, Windows
from ostinato.errors import DataError, RecipeError, RunError
from ostinato.recipe import Recipe, build_recipe
from ostinato.tasks.prepare import prepare
from ostinato.tasks.registry import task_of

HOURS = [f"2020-01-{1 + i // 24:02}T{i % 24:02}:00:00" for i in range(120)]


def _recipe(path: Path, data: dict[str, Any] | None = None, **forecast: Any) -> Recipe:
    options = {"lookback": 6, "horizon": 3, **forecast}
    return build_recipe(forecasting(options, train=str(path), **(data or {})))


def _wide(path: Path, rows: list[tuple[Any, ...]], header: str = "date,a,b") -> Path:
    path.write_text(header + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    return path


def _rows(count: int) -> list[tuple[Any, ...]]:
    return [(HOURS[i], i, 100 + 2 * i) for i in range(count)]


def _parts(recipe: Recipe) -> tuple[Windows, Windows, ForecastFeature]:
    prepared = prepare(recipe)
    assert isinstance(prepared.train, Windows)
    assert isinstance(prepared.validation, Windows)
    assert isinstance(prepared.features.input, ForecastFeature)
    return prepared.train, prepared.validation, prepared.features.input


def test_a_wide_table_is_scaled_by_its_training_part(tmp_path: Path) -> None:
    path = _wide(tmp_path / "t.csv", _rows(40))
    train, validation, feature = _parts(_recipe(path, split=[20, 10, 10]))
    assert feature.channels == ("a", "b")
    assert str(feature.frequency) == "1 hour"
    np.testing.assert_allclose(feature.scales["t"][:2, 0], [9.5, np.arange(20).std()])
    assert (len(train), len(validation)) == (20 - 6 - 3 + 1, 10 - 3 + 1)
    assert len(held_back_windows(feature, _recipe(path, split=[20, 10, 10], channels=["a", "b"], time="date"))) == 8
    batch = validation.batch(np.array([0]))
    own = validation.original(batch.inputs.row_major().numpy()[None], np.array([0]))[0]
    np.testing.assert_allclose(own[:, 0], np.arange(14, 20), atol=1e-5)  # lookback reaches into the training part
    targets = validation.original(batch.sequence_targets.row_major().numpy()[None], np.array([0]))[0]
    np.testing.assert_allclose(targets[:, 0], [20, 21, 22], atol=1e-5)
    assert validation.location(0) == f"{path}:22"


def test_no_window_of_training_reads_or_forecasts_what_validates(tmp_path: Path) -> None:
    path = _wide(tmp_path / "t.csv", _rows(40))
    train, _, _ = _parts(_recipe(path, split=[20, 20]))
    changed = _wide(tmp_path / "u.csv", [*_rows(20), *[(HOURS[i], 9999, -9999) for i in range(20, 40)]])
    again, _, _ = _parts(_recipe(changed, split=[20, 20]))
    np.testing.assert_array_equal(train.sequences.values, again.sequences.values)
    assert int(train.origins.max()) + train.horizon == 20


def test_a_long_table_is_a_series_an_id(tmp_path: Path) -> None:
    rows = [(name, HOURS[i], i * (1 + k)) for i in range(30) for k, name in enumerate(("x", "y"))]
    path = _wide(tmp_path / "t.csv", rows, "unique_id,ds,y")
    train, validation, feature = _parts(_recipe(path, split="last"))
    assert train.facts.names == ["x", "y"]
    assert feature.recipe.series == "unique_id"
    assert len(validation) == 2
    own = validation.original(validation.batch(np.array([1])).sequence_targets.row_major().numpy()[None], np.array([1]))
    np.testing.assert_allclose(own[0, :, 0], [54, 56, 58], atol=1e-4)


def test_ragged_rows_and_a_test_file_that_continues(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text('"id","v1","v2","v3","v4","v5","v6","v7","v8"\n"A",1,2,3,4,5,6,7,8\n"B",1,3,5,7,9,11,,\n')
    (tmp_path / "test.csv").write_text('"id","v1","v2"\n"B",13,15\n"A",9,10\n')
    recipe = _recipe(
        path,
        {"test": str(tmp_path / "test.csv")},
        layout="rows",
        lookback=3,
        horizon=2,
        split="last",
        test_continues=True,
    )
    prepared = prepare(recipe)
    test = task_of(prepared.recipe).load(str(tmp_path / "test.csv"), prepared.features, prepared.recipe)
    assert isinstance(test, Windows)
    assert test.facts.names == ["B", "A"]
    batch = test.batch(np.array([0]))
    own = test.original(batch.inputs.row_major().numpy()[None], np.array([0]))[0, :, 0]
    np.testing.assert_allclose(own, [7, 9, 11], atol=1e-5)
    np.testing.assert_allclose(test.facts.naive, [[2], [1]])  # of all of the training file, as in the competition


def test_parquet_reads_as_csv(tmp_path: Path) -> None:
    path = _wide(tmp_path / "t.csv", _rows(40))
    pl.read_csv(path, try_parse_dates=True).write_parquet(tmp_path / "t.parquet")
    one, other = (_parts(_recipe(tmp_path / name, split=[20, 20]))[1] for name in ("t.csv", "t.parquet"))
    np.testing.assert_array_equal(one.sequences.values, other.sequences.values)


def test_rows_out_of_order_and_twice(tmp_path: Path) -> None:
    rows = _rows(40)
    rows[10], rows[11] = rows[11], rows[10]
    path = _wide(tmp_path / "t.csv", rows)
    with pytest.raises(
        DataError, match=r"1 time stamp is earlier than the row before:\n  .*t.csv:13: 2020-01-01T10"
    ) as e:
        prepare(_recipe(path, sort=False))
    assert "data.sort=true" in str(e.value)
    prepared = prepare(_recipe(path))
    assert "1 row earlier than the row before: all are sorted by time (data.sort)" in prepared.notes
    sorted_one = _parts(_recipe(path, sort=True))[0]
    np.testing.assert_array_equal(_parts(_recipe(path))[0].sequences.values, sorted_one.sequences.values)
    np.testing.assert_array_equal(
        sorted_one.sequences.values, _parts(_recipe(_wide(path, _rows(40))))[0].sequences.values
    )
    twice = _wide(tmp_path / "u.csv", [*_rows(12), _rows(12)[-1], *_rows(40)[12:]])
    with pytest.raises(DataError, match=r"1 time stamp is the same as the row before:\n  .*u.csv:14"):
        prepare(_recipe(twice))


def test_a_run_can_not_change_how_it_reads(tmp_path: Path) -> None:
    prepared = prepare(_recipe(_wide(tmp_path / "t.csv", _rows(40)), on_gap="stop"))
    gap = _wide(tmp_path / "u.csv", [row for i, row in enumerate(_rows(40)) if i != 10])
    hint = "fix the file: a run reads data as in training"
    with pytest.raises(DataError, match="1 gap in time") as found:
        task_of(prepared.recipe).load(str(gap), prepared.features, prepared.recipe)
    assert str(found.value.hint).startswith(hint)
    assert isinstance(prepared.features.input, ForecastFeature)
    with pytest.raises(DataError, match="1 gap in time") as found:
        future_windows(str(gap), prepared.features.input, prepared.recipe)
    assert str(found.value.hint).startswith(hint)


def test_a_gap_stops_or_is_filled_or_masked(tmp_path: Path) -> None:
    path = _wide(tmp_path / "t.csv", [row for i, row in enumerate(_rows(40)) if i not in (10, 11)])
    with pytest.raises(
        DataError, match=r"1 gap in time, where every step is 1 hour:\n  .*t.csv:12: 2 missing after 2020"
    ):
        prepare(_recipe(path))
    few = _wide(tmp_path / "u.csv", [row for i, row in enumerate(_rows(40)) if i != 10])
    with pytest.raises(DataError, match="1 gap in time"):
        prepare(_recipe(few, on_gap="stop"))
    assert "1 steps of 1 hour were missing and have been added (fill)" in prepare(_recipe(few)).notes
    train, _, feature = _parts(_recipe(path, on_gap="fill"))
    scale = feature.scales["t"]
    np.testing.assert_allclose(train.sequences.values[9:13, 0] * scale[1, 0] + scale[0, 0], [9, 10, 11, 12], atol=1e-5)
    masked = _parts(_recipe(path, on_gap="mask"))[0]
    assert masked.layout.masked
    np.testing.assert_array_equal(masked.sequences.values[8:14, 2], [1, 1, 0, 0, 1, 1])
    stamp = masked.facts.stamps
    assert stamp is not None
    assert len(set(np.diff(stamp).tolist())) == 1


def test_a_stamp_between_steps_needs_time_delta(tmp_path: Path) -> None:
    rows = _rows(40)
    rows[20] = ("2020-01-01T20:30:00", 1, 2)
    path = _wide(tmp_path / "t.csv", rows)
    with pytest.raises(DataError, match=r"do not fall on steps of 1 hour; .* line 22, 2020-01-01T20:30") as error:
        prepare(_recipe(path))
    assert "time_delta" in str(error.value)
    train, _, _ = _parts(_recipe(path, time_delta=True))
    np.testing.assert_allclose(train.sequences.values[18:24, -1], [1, 1, 1.5, 0.5, 1, 1])


@pytest.mark.parametrize(("cell", "named"), [("", "`b` is missing"), ("nan", "missing"), ("inf", "`b` is inf")])
def test_missing_values(tmp_path: Path, cell: str, named: str) -> None:
    rows = _rows(40)
    rows[12] = (rows[12][0], rows[12][1], cell)
    path = _wide(tmp_path / "t.csv", rows)
    with pytest.raises(DataError, match=rf"1 row of .* not finite:\n  .*t.csv:14: .*{named}"):
        prepare(_recipe(path, missing="stop"))
    said = "1 row with values that are missing or not finite: these are interpolated (data.missing)"
    assert said in prepare(_recipe(path)).notes
    train, _, feature = _parts(_recipe(path, missing="interpolate"))
    scale = feature.scales["t"][:, 1]
    assert train.sequences.values[12, 1] * scale[1] + scale[0] == pytest.approx(124)
    masked, _, feature = _parts(_recipe(path, missing="mask"))
    scale = feature.scales["t"][:, 1]
    assert masked.sequences.values[12, 1] * scale[1] + scale[0] == pytest.approx(122)  # the last one before it
    assert masked.sequences.values[12, 2:4].tolist() == [1, 0]
    many = _wide(path, [(when, a, cell if i % 13 == 12 else b) for i, (when, a, b) in enumerate(_rows(40))])
    with pytest.raises(DataError, match=r"3 rows of .* not finite"):
        prepare(_recipe(many))


def test_what_is_no_number_and_no_time(tmp_path: Path) -> None:
    rows = _rows(40)
    rows[3] = (rows[3][0], "many", 1)
    with pytest.raises(DataError, match=r"t.csv:5: `a` is not a number: 'many'"):
        prepare(_recipe(_wide(tmp_path / "t.csv", rows), channels=["a"], time="date"))
    rows = _rows(40)
    rows[3] = ("soon", 1, 1)
    with pytest.raises(DataError, match=r"t.csv:5: `date` is neither a whole number nor a time: 'soon'"):
        prepare(_recipe(_wide(tmp_path / "t.csv", rows), channels=["a"], time="date"))


def test_a_horizon_longer_than_the_series(tmp_path: Path) -> None:
    path = _wide(tmp_path / "t.csv", _rows(40))
    with pytest.raises(DataError, match=r"series 't' has 40 steps, 8 of them for training; a horizon of 32 needs 33"):
        prepare(_recipe(path, horizon=32))
    with pytest.raises(DataError, match=r"`data.split` needs 60 steps; series 't' has 40"):
        prepare(_recipe(path, split=[50, 10]))
    rows = [(name, HOURS[i], i) for name, n in (("x", 30), ("y", 5)) for i in range(n)]
    long = _wide(tmp_path / "l.csv", rows, "unique_id,ds,y")
    train, _, _ = _parts(_recipe(long, {"on_bad_row": "skip"}, split="last"))
    assert train.facts.names == ["x"]


def test_a_short_series_reads_what_there_is(tmp_path: Path) -> None:
    path = _wide(tmp_path / "t.csv", _rows(14))
    train, _, _ = _parts(_recipe(path, lookback=20, horizon=2, split="last"))
    assert (train.origins - train.starts).tolist() == [10]
    segments, _, _ = _parts(_recipe(path, lookback=20, horizon=4, split="last", strategy="segment", segment=4))
    assert (segments.origins - segments.starts).tolist() == [4]  # 6 steps are one whole segment


def test_the_future_after_a_file_and_its_covariates(tmp_path: Path) -> None:
    path = _wide(tmp_path / "t.csv", _rows(40))
    recipe = _recipe(path, channels=["a"], future=["b"], calendar=["hour"], split="last")
    prepared = prepare(recipe)
    feature = prepared.features.input
    assert isinstance(feature, ForecastFeature)
    with pytest.raises(DataError, match=r"must end with 3 rows that hold b of the future.*Received: 0"):
        future_windows(str(path), feature, prepared.recipe)
    ahead = _wide(tmp_path / "u.csv", [*_rows(40), *((HOURS[i], "", 7 * i) for i in range(40, 43))])
    windows = future_windows(str(ahead), feature, prepared.recipe)
    assert len(windows) == 1
    known = windows.batch(np.array([0])).extra["known"].row_major().numpy()
    mean, deviation = feature.covariates[:, 0]
    np.testing.assert_allclose(known[:, 0] * deviation + mean, [280, 287, 294], rtol=1e-5)
    assert windows.location(0).endswith(":41")


def test_series_given_by_hand(tmp_path: Path) -> None:
    prepared = prepare(_recipe(_wide(tmp_path / "t.csv", [row[:2] for row in _rows(40)], "date,a")))
    windows = task_of(prepared.recipe).encode([[1.0, 2, 3, 4, 5, 6, 7]], prepared.features, prepared.recipe)
    assert isinstance(windows, Windows)
    assert len(windows.batch(np.array([0])).inputs.values) == 6
    with pytest.raises(RunError, match="series 1 must have 1 numbers a step"):
        task_of(prepared.recipe).encode([[[1.0, 2.0]]], prepared.features, prepared.recipe)


def test_logarithms_are_undone_in_the_series_own_units(tmp_path: Path) -> None:
    path = _wide(tmp_path / "t.csv", [(HOURS[i], 2.0**i) for i in range(20)], "date,a")
    _, validation, feature = _parts(_recipe(path, split="last", transform="log", seasonality=[1]))
    batch = validation.batch(np.array([0]))
    own = validation.original(batch.sequence_targets.row_major().numpy()[None], np.array([0]))
    np.testing.assert_allclose(own[0, :, 0], 2.0 ** np.arange(17, 20), rtol=1e-4)
    np.testing.assert_allclose(feature.scales["t"][0, 0], np.log(2) * 8)
    np.testing.assert_allclose(feature.scales["t"][2, 0], (2.0**16 - 1) / 16)
    zero = _wide(tmp_path / "u.csv", [(HOURS[i], i) for i in range(20)], "date,a")
    with pytest.raises(DataError, match=r"series 'u' holds 0; .*log` needs values above zero"):
        prepare(_recipe(zero, split="last", transform="log"))


def test_recipes_that_contradict_themselves(tmp_path: Path) -> None:
    path = _wide(tmp_path / "t.csv", _rows(40))
    with pytest.raises(RecipeError, match=r"`data.target` does not apply to a forecaster"):
        prepare(_recipe(path, {"target": "a"}))
    with pytest.raises(RecipeError, match=r"lookback` must be a multiple of segment \(4\). Received: 6"):
        _recipe(path, strategy="segment", segment=4, horizon=4)
    with pytest.raises(RecipeError, match=r"`data` names the column a twice"):
        _recipe(path, channels=["a"], past=["a"])
    with pytest.raises(DataError, match=r"no column `c`"):
        prepare(_recipe(path, channels=["c"]))
    with pytest.raises(RecipeError, match=r"needs a time column"):
        prepare(_recipe(_wide(tmp_path / "u.csv", [(1, 2)] * 9, "a,b"), calendar=["hour"]))


def test_batches_are_a_function_of_seed_and_epoch(tmp_path: Path) -> None:
    train, _, _ = _parts(_recipe(_wide(tmp_path / "t.csv", _rows(100))))
    batches = WindowedBatches(train, 8, True, 3, per_epoch=20)
    assert len(batches) == 3
    first, again, other = (np.concatenate(batches.order(epoch)) for epoch in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert len(set(first.tolist())) == 20
    assert first.tolist() != other.tolist()
    rest = [batch.rows.tolist() for batch in batches.epoch(0, 1)]
    assert rest == [rows.tolist() for rows in batches.order(0)[1:]]


def test_the_feature_reads_back_equal(tmp_path: Path) -> None:
    feature = _parts(_recipe(_wide(tmp_path / "t.csv", _rows(40)), calendar=["hour", "weekday"]))[2]
    assert load_feature(feature.to_dict()).to_dict() == feature.to_dict()
