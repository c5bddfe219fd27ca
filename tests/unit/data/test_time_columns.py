"""Which columns are time stamps and names of series, where there are several; what comes after the end of a file."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from tests.series import forecasting

from ostinato.data.features import load_feature
from ostinato.data.forecasting.feature import ForecastFeature
from ostinato.data.forecasting.future import future_windows
from ostinato.data.forecasting.windows import Windows
from ostinato.data.inference.sample import DataSample
from ostinato.data.readers.open import arrange, open_stored
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError, RecipeError
from ostinato.recipe import apply_overrides, build_recipe
from ostinato.tasks.prepare import prepare

HOURS = [dt.datetime(2021, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=i) for i in range(96)]
PARTS = ["year", "month", "day", "hour"]


def _file(tmp_path: Path, header: str, rows: list[tuple[Any, ...]]) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(header + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    return path


def _prepared(path: Path, said: list[str], **options: Any) -> tuple[Windows, ForecastFeature]:
    sections = forecasting({"lookback": 6, "horizon": 3, **options}, train=str(path))
    prepared = prepare(build_recipe(sections), said.append)
    assert isinstance(prepared.train, Windows)
    assert isinstance(prepared.features.input, ForecastFeature)
    return prepared.train, prepared.features.input


def _after(path: Path, feature: ForecastFeature) -> list[str]:
    """The times that are forecast after the end of a file."""
    recipe = build_recipe(forecasting({"lookback": 6, "horizon": 3}, train=str(path)))
    windows = future_windows(str(path), feature, recipe)
    return [windows.facts.shown(int(windows.origins[0]) + step) for step in range(3)]


@pytest.mark.parametrize(
    ("header", "time", "say", "after"),
    [
        ("Date,Time,load", ["Date", "Time"], "{0:%Y-%m-%d},{0:%H:%M:%S}", "2021-01-05 00:00:00"),
        ("Time,Date,load", ["Date", "Time"], "{0:%I:%M %p},{0:%d.%m.%Y}", "05.01.2021 12:00 AM"),
        ("date,hour,load", ["date", "hour"], "{0:%Y-%m-%d},{0.hour}", "2021-01-05 00:00"),
        (
            "No,year,month,day,hour,load",
            ["year", "month", "day", "hour"],
            "{1},{0:%Y,%m},{0.day},{0.hour}",
            "2021-01-05 00:00",
        ),
        ("YEAR,MO,DY,HR,load", ["YEAR", "MO", "DY", "HR"], "{0.year},{0.month},{0.day},{0.hour}", "2021-01-05 00:00"),
        ("Date,Time,load", ["Date", "Time"], "{0:%d/%m/%Y},{0:%H.%M.%S}", "05/01/2021 00.00.00"),
        ("instant,dteday,hr,load", ["dteday", "hr"], "{1},{0:%Y-%m-%d},{0.hour}", "2021-01-05 00:00"),
        ("<DATE>,<TIME>,load", ["<DATE>", "<TIME>"], "{0:%Y%m%d},{0:%H%M}", "20210105 0000"),
        ("utc,local,load", "utc", "{0:%Y-%m-%dT%H:%M:%SZ},{0:%Y-%m-%d %H:%M}", "2021-01-05T00:00:00Z"),
        ("when,month,hour,load", "when", "{0:%Y-%m-%dT%H:%M:%S}+02:00,{0.month},{0.hour}", "2021-01-05T00:00:00+02:00"),
    ],
)
def test_time_in_several_columns(tmp_path: Path, header: str, time: Any, say: str, after: str) -> None:
    rows = [(say.format(when, number), 20 + number % 24) for number, when in enumerate(HOURS)]
    path = _file(tmp_path, header, rows)
    said: list[str] = []
    train, feature = _prepared(path, said)
    assert (feature.recipe.channels, str(feature.frequency)) == (("load",), "1 hour")
    assert list(feature.recipe.time or ()) == list(time)
    assert len(train.facts.names) == 1
    assert _after(path, feature)[0] == after
    passed = [line for line in said if line.startswith("not forecast: ")]
    assert [line.split(" (")[0] for line in passed] == {
        "No": ["not forecast: No"],
        "instant": ["not forecast: instant"],
        "utc": ["not forecast: local"],
        "when": ["not forecast: month, hour"],
    }.get(header.split(",")[0], [])


def test_local_clocks_are_read_and_given_back(tmp_path: Path) -> None:
    path = _file(
        tmp_path, "date,load", [(f"{when:%Y-%m-%dT%H:%M:%S}+02:00", number) for number, when in enumerate(HOURS)]
    )
    train, feature = _prepared(path, [], calendar=["hour"])
    assert load_feature(feature.to_dict()).to_dict() == feature.to_dict()
    assert train.sequences.values[0, 1:].tolist() == pytest.approx([0, 1])  # midnight by the clock that is written
    assert _after(path, feature) == [f"2021-01-05T0{hour}:00:00+02:00" for hour in range(3)]
    other = _file(tmp_path, "date,load", [(f"{when:%m/%d/%Y %H:%M}", number) for number, when in enumerate(HOURS)])
    assert _after(other, feature)[0] == "01/05/2021 00:00"


def test_files_of_a_run_have_its_step(tmp_path: Path) -> None:
    path = _file(tmp_path, "date,load", [(f"{when:%Y-%m-%d %H:%M}", number) for number, when in enumerate(HOURS)])
    _, feature = _prepared(path, [])
    days = _file(tmp_path, "date,load", [(when.date(), 1) for when in HOURS[::24]])
    with pytest.raises(DataError, match=r"every step is 1 hour; 69 steps are missing for 4 rows"):
        _after(days, feature)
    steps = _file(tmp_path, "date,load", [(number, 1) for number in range(20)])
    with pytest.raises(DataError, match=r"time stamps of .* are plain numbers, and .* dates and times"):
        _after(steps, feature)


def test_a_format_begins_with_a_sign_that_yaml_has_for_itself() -> None:
    given = apply_overrides({}, ["data.time_format=%d/%m/%Y %H:%M", "data.series=[store, item]"])
    assert given == {"data": {"time_format": "%d/%m/%Y %H:%M", "series": ["store", "item"]}}


def _stores(name: str = "{0}") -> list[tuple[Any, ...]]:
    return [
        (f"{HOURS[0].date() + dt.timedelta(days=day)}", name.format(store), item, 40 + (day + 3 * store + item) % 17)
        for store in range(3)
        for item in range(2)
        for day in range(30)
    ]


@pytest.mark.parametrize("name", ["{0}", "store {0}"])
def test_two_columns_that_name_series_are_found(tmp_path: Path, name: str) -> None:
    path = _file(tmp_path, "date,store,item,sales", _stores(name))
    said: list[str] = []
    train, feature = _prepared(path, said)
    assert (feature.recipe.series, feature.recipe.channels) == (("store", "item"), ("sales",))
    assert train.facts.names == [f"{name.format(store)}/{item}" for store in range(3) for item in range(2)]
    assert "series: store, item (each has a row at a time stamp)" in said
    alone = build_recipe({"data": {"train": str(path)}, "model": {"horizon": 3}})
    assert prepare(alone).recipe.data.series == ("store", "item")
    given, _ = _prepared(path, [], series=["item", "store"])
    assert given.facts.names[:2] == ["0/" + name.format(0), "1/" + name.format(0)]


@pytest.mark.parametrize(("part", "count", "step"), [("quarter", 4, "3 months"), ("week", 52, "1 week")])
def test_years_and_their_quarters_or_weeks(tmp_path: Path, part: str, count: int, step: str) -> None:
    rows = [(2017 + number // count, number % count + 1, number % 7) for number in range(104)]
    _, feature = _prepared(_file(tmp_path, f"year,{part},y", rows), [])
    assert (feature.recipe.time, feature.recipe.channels, str(feature.frequency)) == (("year", part), ("y",), step)


def test_a_name_that_is_usual_may_not_be_enough(tmp_path: Path) -> None:
    rows = [(f"s{row[1]}", f"i{row[2]}", row[0], row[3]) for row in _stores()]
    path = _file(tmp_path, "store_id,item_id,date,sales", rows)
    recipe = prepare(build_recipe({"data": {"train": str(path)}, "model": {"horizon": 3}})).recipe
    assert (recipe.data.series, recipe.data.channels) == (("store_id", "item_id"), ("sales",))


def test_one_column_of_names_is_enough(tmp_path: Path) -> None:
    rows = [(when, store, weight, when.hour) for store, weight in (("a", 5), ("b", 7)) for when in HOURS[:48]]
    _, feature = _prepared(_file(tmp_path, "ds,store,weight,y", rows), [])
    assert (feature.recipe.series, feature.recipe.channels) == ("store", ("weight", "y"))


def test_a_hint_names_the_columns_that_tell_rows_apart(tmp_path: Path) -> None:
    path = _file(tmp_path, "date,store,item,sales", _stores())
    with pytest.raises(DataError, match="150 time stamps are the same as that of another row") as found:
        _prepared(path, [], channels=["sales", "store"], past=["item"], sort=False)
    assert "--set data.on_duplicate=mean --set data.sort=true" in str(found.value.hint)
    with pytest.raises(DataError, match="time stamps of series '0' are the same as that of another row") as found:
        _prepared(path, [], channels=["sales"], series="item")
    assert str(found.value.hint).endswith("--set 'data.series=[store, item]'")


def test_names_of_series_are_never_put_together_wrongly(tmp_path: Path) -> None:
    rows = [(day.date(), *names, 1) for names in (("a/b", "c"), ("a", "b/c"), ("a\\", "b")) for day in HOURS[::24]]
    path = _file(tmp_path, "date,x,y,z", rows)
    train, _ = _prepared(path, [], series=["x", "y"], lookback=1, horizon=1)
    assert train.facts.names == ["a\\/b/c", "a/b\\/c", "a\\\\/b"]


def test_columns_are_names(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"`data.time` must be the name of a column, or a list of names. Received: False"
    ):
        build_recipe({"data": {"train": "t.csv", "time": False}})
    assert build_recipe({"data": {"train": "t.csv", "time": ["when"]}}).data.time == "when"
    with pytest.raises(RecipeError, match="names the column b twice"):
        build_recipe(forecasting({"time": ["a", "b"], "channels": ["b"]}, train="t.csv"))


def test_sessions_go_by_the_same_times(tmp_path: Path) -> None:
    times = ["02/01/2021", "01/31/2021", "01/30/2021"]
    rows = [(who, run, time, number) for who in "ab" for run in (1, 2) for number, time in enumerate(times)]
    path = _file(tmp_path, "who,run,when,x", rows)
    data = {"train": str(path), "input": "x", "session": ["who", "run"], "time": "when", "target": "who"}
    recipe = build_recipe({"data": data})
    source = open_stored(str(path), recipe, BadRows(), lambda _: None)
    arrange(DataSample(source), recipe)
    (block,) = source.blocks(["x", "who"])
    assert block.table["x"].to_list() == [[2.0, 1.0, 0.0]] * 4
    assert block.table["who"].to_list() == ["a", "a", "b", "b"]
    assert source.notes == ["time: when is month first, %m/%d/%Y (`data.time_format`): no other order reads all cells"]


def test_a_row_of_units_and_a_total_are_no_times_but_the_others_are(tmp_path: Path) -> None:
    rows: list[tuple[Any, ...]] = [(f"{when:%Y-%m-%d %H:%M}", number % 24) for number, when in enumerate(HOURS)]
    path = _file(tmp_path, "date,load", [("[UTC]", "MW"), *rows, ("Total", 999)])
    with pytest.raises(
        DataError, match=r"2 rows of .*t.csv` can't be used:\n  .*:2: .*\n  .*:99: `date` is neither"
    ) as found:
        _prepared(path, [])
    assert "--set data.on_bad_row=skip" in str(found.value.hint)
    alone = build_recipe({"data": {"train": str(path), "on_bad_row": "skip"}, "model": {"horizon": 3}})
    prepared = prepare(alone)
    assert (prepared.recipe.model.task, prepared.recipe.data.time, prepared.num_rejected) == ("forecasting", "date", 2)
