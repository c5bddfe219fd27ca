"""Forms of time stamps: inferred over a whole column, read, stepped on and given back as they were written."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from ostinato.data.forecasting.clean import make_regular
from ostinato.data.forecasting.read import read_table
from ostinato.data.forecasting.table import RawTable
from ostinato.data.readers.registry import open_source
from ostinato.data.rejects import BadRows
from ostinato.data.times import forms
from ostinato.data.times.clock import Clock
from ostinato.data.times.forms import form_of
from ostinato.data.times.guess import forms_of
from ostinato.data.times.step import calendar_features
from ostinato.errors import DataError, RecipeError
from ostinato.recipe import build_recipe
from ostinato.recipe.forecast import ForecastRecipe
from ostinato.tasks.prepare import prepare

_BEGIN = dt.datetime(2021, 1, 25, 21, tzinfo=dt.UTC)
Say = Callable[[dt.datetime], str]


def _hours(say: str | Say, count: int = 400) -> list[str]:
    """So many hours from January 25, 2021, 21:00 on."""
    moments = (_BEGIN + dt.timedelta(hours=i) for i in range(count))
    return [when.strftime(say) if isinstance(say, str) else say(when) for when in moments]


def _days(say: str | Say) -> list[str]:
    return _hours(say, 24 * 100)[::24]


def _months(say: str | Say) -> list[str]:
    moments = (dt.datetime(2010 + i // 12, 1 + i % 12, 1) for i in range(60))
    return [when.strftime(say) if isinstance(say, str) else say(when) for when in moments]


def _quarters(say: str) -> list[str]:
    return [say.format(y=2010 + i // 4, q=1 + i % 4, s=f"{10 + i // 4:02}") for i in range(24)]


def _epoch(factor: int) -> list[str]:
    return [str(int(_BEGIN.timestamp()) * factor + 3600 * factor * i) for i in range(100)]


def _unpadded(when: dt.datetime) -> str:
    return f"{when.month}/{when.day}/{when.year} {when.hour}:{when.minute:02}"


def _small(when: dt.datetime) -> str:
    return when.strftime("%m/%d/%Y %I:%M:%S%p").lower()


def _capital(when: dt.datetime) -> str:
    return when.strftime("%d%b%Y:%H:%M:%S").upper()


def _hour_24(when: dt.datetime) -> str:
    return when.strftime("%Y-%m-%d %H:00") if when.hour else f"{when.date() - dt.timedelta(days=1)} 24:00"


def _quarter_seconds() -> list[str]:
    return [f"{1611608400 + i / 4:.2f}".rstrip("0").rstrip(".") for i in range(30)]


FORMS: dict[str, tuple[list[str], str, str]] = {
    # name: (cells, the step, the next time stamp)
    "iso with a blank": (_hours("%Y-%m-%d %H:%M:%S"), "1 hour", "2021-02-11 13:00:00"),
    "iso with T": (_hours("%Y-%m-%dT%H:%M:%S"), "1 hour", "2021-02-11T13:00:00"),
    "iso without seconds": (_hours("%Y-%m-%d %H:%M"), "1 hour", "2021-02-11 13:00"),
    "iso in hours": (_hours("%Y-%m-%dT%H"), "1 hour", "2021-02-11T13"),
    "iso with Z": (_hours("%Y-%m-%dT%H:%M:%SZ"), "1 hour", "2021-02-11T13:00:00Z"),
    "iso with UTC": (_hours("%Y-%m-%d %H:%M:%S UTC"), "1 hour", "2021-02-11 13:00:00 UTC"),
    "iso with an offset": (_hours("%Y-%m-%dT%H:%M:%S+02:00"), "1 hour", "2021-02-11T13:00:00+02:00"),
    "an offset without colon": (_hours("%Y-%m-%d %H:%M:%S-0530"), "1 hour", "2021-02-11 13:00:00-0530"),
    "an offset in hours": (_hours("%Y-%m-%d %H:%M+01"), "1 hour", "2021-02-11 13:00+01"),
    "milliseconds": (_hours("%Y-%m-%d %H:%M:%S.000"), "1 hour", "2021-02-11 13:00:00.000"),
    "a fraction after a comma": (_hours("%Y-%m-%d %H:%M:%S,000"), "1 hour", "2021-02-11 13:00:00,000"),
    "milliseconds with Z": (_hours("%Y-%m-%dT%H:%M:%S.000Z"), "1 hour", "2021-02-11T13:00:00.000Z"),
    "half seconds, some without a fraction": (
        [f"2021-01-01 00:00:{i // 2:02}{'.500000' * (i % 2)}" for i in range(100)],
        "500 milliseconds",
        "2021-01-01 00:00:50",
    ),
    "a name of a zone": (_hours("%Y-%m-%d %H:%M:%S Europe/Oslo"), "1 hour", "2021-02-11 13:00:00 Europe/Oslo"),
    "iso basic": (_hours("%Y%m%dT%H%M%SZ"), "1 hour", "20210211T130000Z"),
    "iso dates": (_days("%Y-%m-%d"), "1 day", "2021-05-05"),
    "dates with slashes": (_days("%Y/%m/%d"), "1 day", "2021/05/05"),
    "dates with dots": (_days("%Y.%m.%d"), "1 day", "2021.05.05"),
    "dates with blanks": (_days("%Y %m %d"), "1 day", "2021 05 05"),
    "month first": (_days("%m/%d/%Y"), "1 day", "05/05/2021"),
    "day first": (_days("%d/%m/%Y"), "1 day", "05/05/2021"),
    "month first, hours": (_hours("%m/%d/%Y %H:%M"), "1 hour", "02/11/2021 13:00"),
    "month first, no zeros": (_hours(_unpadded), "1 hour", "2/11/2021 13:00"),
    "day first with dashes": (_days("%d-%m-%Y"), "1 day", "05-05-2021"),
    "day first with dots": (_hours("%d.%m.%Y %H:%M"), "1 hour", "11.02.2021 13:00"),
    "month first, months": (_months("%m/%d/%Y"), "1 month", "01/01/2015"),
    "day first, months": (_months("%d/%m/%Y"), "1 month", "01/01/2015"),
    "two digits of a year": (_days("%d.%m.%y"), "1 day", "05.05.21"),
    "two digits, month first": (_days("%m/%d/%y"), "1 day", "05/05/21"),
    "two digits, year first": (_days("%y-%m-%d"), "1 day", "21-05-05"),
    "a 12-hour clock": (_hours("%Y-%m-%d %I:%M %p"), "1 hour", "2021-02-11 01:00 PM"),
    "a 12-hour clock, small": (_hours(_small), "1 hour", "02/11/2021 01:00:00pm"),
    "hours of a 12-hour clock": (_hours("%d %b %Y %I %p"), "1 hour", "11 Feb 2021 01 PM"),
    "a time before the date": (_hours("%H:%M %d/%m/%Y"), "1 hour", "13:00 11/02/2021"),
    "names of months": (_days("%d-%b-%Y"), "1 day", "05-May-2021"),
    "names of months, capital": (_hours(_capital), "1 hour", "11FEB2021:13:00:00"),
    "whole names of months": (_days("%B %d, %Y"), "1 day", "May 05, 2021"),
    "names of months and years": (_months("%b %Y"), "1 month", "Jan 2015"),
    "names of months, two digits": (_months("%b-%y"), "1 month", "Jan-15"),
    "names of weekdays": (_days("%a, %d %b %Y"), "1 day", "Wed, 05 May 2021"),
    "weekdays say the order": (_days("%A %d/%m/%Y")[:3], "1 day", "Thursday 28/01/2021"),
    "mail": (_hours("%a, %d %b %Y %H:%M:%S +0000"), "1 hour", "Thu, 11 Feb 2021 13:00:00 +0000"),
    "ctime": (_hours("%a %b %d %H:%M:%S %Y"), "1 hour", "Thu Feb 11 13:00:00 2021"),
    "date": (_hours("%a %b %d %H:%M:%S UTC %Y"), "1 hour", "Thu Feb 11 13:00:00 UTC 2021"),
    "a web server's": (_hours("%d/%b/%Y:%H:%M:%S +0000"), "1 hour", "11/Feb/2021:13:00:00 +0000"),
    "months": (_months("%Y-%m"), "1 month", "2015-01"),
    "months with slashes": (_months("%Y/%m"), "1 month", "2015/01"),
    "months before years": (_months("%m/%Y"), "1 month", "01/2015"),
    "months with M": (_months("%YM%m"), "1 month", "2015M01"),
    "months with m": (_months(lambda t: f"{t.year}m{t.month}"), "1 month", "2015m1"),
    "months after a dot": (_months("%Y.%m"), "1 month", "2015.01"),
    "ends of months": (["2020-11-30", "2020-12-31", "2021-01-31"], "1 month", "2021-02-28"),
    "quarters": (_quarters("{y}Q{q}"), "3 months", "2016Q1"),
    "quarters with a dash": (_quarters("{y}-Q{q}"), "3 months", "2016-Q1"),
    "quarters, small": (_quarters("{y}q{q}"), "3 months", "2016q1"),
    "quarters before years": (_quarters("Q{q} {y}"), "3 months", "Q1 2016"),
    "quarters before short years": (_quarters("{q}Q{s}"), "3 months", "1Q16"),
    "fiscal quarters": (_quarters("FY{y} Q{q}"), "3 months", "FY2016 Q1"),
    "halves": ([f"{2000 + i // 2}-H{1 + i % 2}" for i in range(20)], "6 months", "2010-H1"),
    "weeks": ([dt.date.fromisocalendar(2020, 48 + i, 1).strftime("%G-W%V") for i in range(6)], "1 week", "2021-W01"),
    "weeks without a W": ([f"2021-{i:02}" for i in range(1, 30)], "1 week", "2021-30"),
    "weeks without a dash": ([f"2021W{i:02}" for i in range(1, 30)], "1 week", "2021W30"),
    "days of weeks": (_days("%G-W%V-%u"), "1 day", "2021-W18-3"),
    "days of years": (_days("%Y-%j"), "1 day", "2021-125"),
    "fiscal years": ([f"FY{year}" for year in range(2000, 2020)], "1 year", "FY2020"),
    "years and the next": ([f"{year}/{(year + 1) % 100:02}" for year in range(2001, 2012)], "1 year", "2012/13"),
    "years": ([str(year) for year in range(1950, 2000)], "1 year", "2000"),
    "integers YYYYMMDD": (_days("%Y%m%d"), "1 day", "20210505"),
    "integers YYYYMM": (_months("%Y%m"), "1 month", "201501"),
    "integers YYYYMMDDHH": (_hours("%Y%m%d%H"), "1 hour", "2021021113"),
    "integers YYYYMMDDHHMM": (_hours("%Y%m%d%H%M"), "1 hour", "202102111300"),
    "integers YYYYMMDDHHMMSS": (_hours("%Y%m%d%H%M%S"), "1 hour", "20210211130000"),
    "integers YYYYDDD": (_days("%Y%j"), "1 day", "2021125"),
    "integers DDMMYYYY": (_days("%d%m%Y"), "1 day", "05052021"),
    "seconds since 1970": (_epoch(1), "1 hour", "1611968400"),
    "milliseconds since 1970": (_epoch(1_000), "1 hour", "1611968400000"),
    "microseconds since 1970": (_epoch(10**6), "1 hour", "1611968400000000"),
    "nanoseconds since 1970": (_epoch(10**9), "1 hour", "1611968400000000000"),
    "fractions of seconds since 1970": (_quarter_seconds(), "250 milliseconds", "1611608407.5"),
    "plain integers": ([str(i) for i in range(0, 60, 5)], "5 steps", "60"),
    "times of the day": ([f"{i // 60:02}:{i % 60:02}" for i in range(0, 300, 15)], "15 minutes", "05:00"),
    "hours that have passed": ([f"{i}:00:00" for i in range(20, 60)], "1 hour", "60:00:00"),
    "Chinese": (_days(lambda t: f"{t.year}年{t.month}月{t.day}日"), "1 day", "2021年5月5日"),
    "midnights without a time": (
        [when.removesuffix(" 00:00") for when in _hours("%Y-%m-%d %H:%M")],
        "1 hour",
        "2021-02-11 13:00",
    ),
    "hours from 1 to 24": (_hours(_hour_24), "1 hour", "2021-02-11 13:00"),
}


def _table(tmp_path: Path, cells: list[str], **options: Any) -> RawTable:
    frame = pl.DataFrame({"date": cells, "x": [str(i) for i in range(len(cells))]})
    frame.write_csv(tmp_path / "t.csv", quote_style="always")
    table = read_table(
        open_source(tmp_path / "t.csv", BadRows()), ForecastRecipe(time="date", channels=("x",), **options)
    )
    make_regular(table, ForecastRecipe(**options))
    return table


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_read_and_given_back(tmp_path: Path, name: str) -> None:
    cells, step, after = FORMS[name]
    table = _table(tmp_path, cells)
    (one,), frequency = table.series, table.frequency
    assert (len(one), str(frequency)) == (len(cells), step)
    zone = 0 if one.zone is None else int(one.zone[-1])
    assert table.form.shown(int(frequency.after(int(one.stamps[-1]), 1)[0]), zone) == after
    shown = [table.shown(one, i) for i in range(len(cells))]
    if name not in ("midnights without a time", "hours from 1 to 24"):
        assert shown == cells


@pytest.mark.parametrize("name", FORMS)
def test_what_is_read_quickly_is_read_alike(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = pl.Series([*FORMS[name][0], None, "2021-99-99", FORMS[name][0][0]])
    quick, slow = forms_of(cells), forms_of(cells)
    found = [form.read(cells) for form in quick]
    monkeypatch.setattr(forms, "read_quickly", lambda *_: None)
    for form, other, one in zip(quick, slow, found, strict=True):
        again = other.read(cells)
        assert (one.local.tolist(), one.good.tolist()) == (again.local.tolist(), again.good.tolist())
        assert one.zone is None or one.zone[one.good].tolist() == (again.zone[again.good]).tolist()
        assert form.narrowed().format == other.narrowed().format


def test_there_are_enough_forms() -> None:
    assert len(FORMS) >= 60


NOT_FORMS = {
    "words": ["soon", "later", "at last"],
    "other languages": ["1 März 2021", "2 März 2021", "3 März 2021"],
    "weeks as ranges": ["2020-12-28/2021-01-03", "2021-01-04/2021-01-10", "2021-01-11/2021-01-17"],
    "on no calendar": ["2021-02-30", "2021-02-31", "2021-04-31"],
    "minutes on no clock": ["2021-02-03 12:61", "2021-02-03 12:62", "2021-02-03 12:63"],
    "weekdays that are others": ["Mon, 05 Jan 2021", "Mon, 06 Jan 2021", "Mon, 07 Jan 2021"],
    "week 53 of a year of 52": ["2021-W53", "2022-W53", "2023-W53"],
    "zones nobody knows": ["2021-01-01 00:00 XQT", "2021-01-01 01:00 QXT", "2021-01-01 02:00 TXQ"],
}


@pytest.mark.parametrize("name", NOT_FORMS)
def test_what_is_no_time_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    cells = NOT_FORMS[name]
    with pytest.raises(DataError) as found:
        _table(tmp_path, cells)
    assert repr(cells[0]) in str(found.value) or repr(cells[1]) in str(found.value)
    assert "`date`" in found.value.message


def test_where_both_orders_are_possible_the_format_is_asked_for(tmp_path: Path) -> None:
    cells = [f"{month:02}/01/2021" for month in range(1, 13)]  # 12 months, or 12 days of January
    with pytest.raises(DataError, match=r"all cells fit %d/%m/%Y and %m/%d/%Y, and neither order alone") as found:
        _table(tmp_path, cells)
    assert found.value.hint is not None
    settings = [shlex.split(way)[-1] for way in found.value.hint.split("; ")]
    assert found.value.hint.startswith("where 02/01/2021 is 2021-01-02: --set")
    steps = [str(_table(tmp_path, cells, time_format=one.partition("=")[2]).frequency) for one in settings]
    assert steps == ["1 day", "1 month"]


def test_the_order_is_chosen_over_all_rows_and_said(tmp_path: Path) -> None:
    late = [*(f"01/{day:02}/2021" for day in range(1, 13)), "01/13/2021"]
    assert _table(tmp_path, late).notes == [
        "time: date is month first, %m/%d/%Y (`data.time_format`): no other order reads all cells"
    ]
    even = [f"{day:02}/01/2021 {hour:02}:00" for day in range(1, 5) for hour in range(24)]
    assert _table(tmp_path, even).notes == [
        "time: date is day first, %d/%m/%Y %H:%M (`data.time_format`): that order gives evenly spaced steps"
    ]
    assert _table(tmp_path, even[::-1], sort=True).form.format == "%d/%m/%Y %H:%M"
    holes = [cell for number, cell in enumerate(even) if number not in (7, 50)]
    assert _table(tmp_path, holes, on_gap="fill").notes[0].startswith("time: date is day first")
    with pytest.raises(DataError, match="in two formats: '13/01/2021' is of %d/%m/%Y only, '01/13/2021' of %m/%d/%Y"):
        _blocks(Clock(["date"]), ["01/02/2021", "02/02/2021"], ["13/01/2021"], ["01/13/2021"])
    form, notes = _blocks(Clock(["date"]), ["01/02/2021", "02/02/2021"], ["03/02/2021"], ["13/02/2021"])
    assert form == "%d/%m/%Y", notes


def _blocks(clock: Clock, *blocks: list[str]) -> tuple[str, list[str]]:
    """What a clock makes of these blocks."""
    read = [clock.read(pl.Series(cells))[0] for cells in blocks]
    arrays = {name: np.concatenate([one[name] for one in read]) for name in read[0]}
    clock.finish(arrays, np.asarray([0, sum(map(len, blocks))]), "t.csv")
    return clock.form.format, clock.notes


def test_a_run_reads_files_as_its_own_where_it_can() -> None:
    assert _blocks(Clock(["date"], likely="%m/%d/%Y"), ["01/02/2021", "01/03/2021"])[0] == "%m/%d/%Y"
    assert _blocks(Clock(["date"], likely="%m/%d/%Y"), ["2021-01-02", "2021-01-03"])[0] == "%Y-%m-%d"
    assert _blocks(Clock(["date"], likely="epoch_s"), ["1611608400", "1611612000"])[0] == "epoch_s"


def test_steps_are_those_of_utc_and_days_those_of_the_clock(tmp_path: Path) -> None:
    spring = dt.datetime(2021, 3, 28, tzinfo=ZoneInfo("Europe/Berlin"))
    moments = [spring.astimezone(dt.UTC) + dt.timedelta(hours=i) for i in range(-5, 10)]
    hours = [when.astimezone(ZoneInfo("Europe/Berlin")).isoformat() for when in moments]
    table = _table(tmp_path, hours)
    (one,) = table.series
    assert (len(one), str(table.frequency), table.notes) == (15, "1 hour", [])
    assert [table.shown(one, i) for i in range(15)] == hours
    assert calendar_features(one.stamps, ("hour",))[5].tolist() == [0, 1]  # midnight by the local clock
    days = [(spring + dt.timedelta(days=i)).isoformat() for i in range(-5, 10)]
    table = _table(tmp_path, days)
    assert (len(table.series[0]), str(table.frequency)) == (15, "1 day")
    holes = _table(tmp_path, [cell for i, cell in enumerate(hours) if i != 9], on_gap="fill")
    assert [holes.shown(holes.series[0], i) for i in range(15)] == hours


def test_an_hour_that_clocks_repeat(tmp_path: Path) -> None:
    autumn = dt.datetime(2021, 10, 31, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(dt.UTC)
    moments = [(autumn + dt.timedelta(hours=i)).astimezone(ZoneInfo("Europe/Berlin")) for i in range(12)]
    cells = [when.strftime("%Y-%m-%d %H:%M") for when in moments]
    with pytest.raises(
        DataError, match=r"1 time stamp is the same as the row before:\n  .*t.csv:5: 2021-10-31 02:00"
    ) as e:
        _table(tmp_path, cells)
    assert str(e.value.hint).startswith("if this is an hour that clocks repeat, as in Europe/Berlin: --set 'data.time")
    assert "the mean of such rows: --set data.on_duplicate=mean;" in str(e.value.hint)
    for how, value in (("first", 2.0), ("mean", 2.5), ("sum", 5.0)):
        table = _table(tmp_path, cells, on_duplicate=how)
        assert table.series[0].values[:, 0].tolist() == [0, 1, value, *range(4, 12)]
        assert table.notes[-1].startswith("1 row with a repeated time stamp")
    quarters = [f"2021-10-31 0{hour}:{minute}" for hour in (1, 2, 2, 3) for minute in ("00", "30")]
    with pytest.raises(DataError, match="2 time stamps are the same as that of another row") as e:
        _table(tmp_path, quarters, sort=False)
    assert "--set data.on_duplicate=mean --set data.sort=true" in str(e.value.hint)
    merged = _table(tmp_path, quarters, on_duplicate="mean")
    assert merged.series[0].values[:, 0].tolist() == [0, 1, 3, 4, 6, 7]
    spring = [f"2021-03-28 {hour:02}:00" for hour in range(8) if hour != 2]
    assert len(_table(tmp_path, spring, on_gap="fill").series[0]) == 8


def test_no_more_steps_are_made_up_than_there_are_rows(tmp_path: Path) -> None:
    cells = [*_hours("%Y-%m-%d %H:%M", 10), *_hours("%Y-%m-%d %H:%M", 400)[390:]]
    for on_gap in ("stop", "fill", "mask"):
        with pytest.raises(DataError, match=r"1 gap in time, .* 380 steps are missing for 20 rows") as found:
            _table(tmp_path, cells, on_gap=on_gap)
        assert "on_gap" not in str(found.value.hint)
        assert "%Y-%m-%d %H:%M (`data.time_format`)" in str(found.value)
    assert len(_table(tmp_path, [*cells[:10], *_hours("%Y-%m-%d %H:%M", 20)[19:]], on_gap="fill").series[0]) == 20


@pytest.mark.parametrize(
    ("format", "what"),
    [
        ("tomorrow", "fields such as"),
        ("%Y-%Q", "known: %Y"),
        ("%Y[-%m", "closed"),
        ("%Y %Y", "once"),
        ("%Y-%", "known"),
    ],
)
def test_formats_that_are_none(format: str, what: str) -> None:
    with pytest.raises(RecipeError, match=rf"`data.time_format` must be .*{what}"):
        form_of(format)


def test_a_format_that_is_given_is_the_only_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t.csv:3: `date` is not of the form %d/%m/%Y .*: '2021-01-02'"):
        _table(tmp_path, ["01/01/2021", "2021-01-02"], time_format="%d/%m/%Y")
    days = _table(tmp_path, ["44197", "44198", "44199"], time_format="excel")
    assert (str(days.frequency), days.shown(days.series[0], 1)) == ("1 day", "44198")
    assert days.series[0].stamps[0] == np.datetime64("2021-01-01", "us").astype(np.int64)
    plain = _table(tmp_path, ["20210101", "20210102"], time_format="step")
    assert str(plain.frequency) == "1 step"


def test_days_without_weekends_are_an_even_step(tmp_path: Path) -> None:
    days = [day for i in range(40) if (day := dt.date(2021, 1, 1) + dt.timedelta(i)).weekday() < 5]
    table = _table(tmp_path, [str(day) for day in days])
    assert len(table.series[0]) == len(days) == 28
    assert (str(table.frequency), table.frequency.season) == ("1 working day", 5)
    assert any("no row is of a weekend" in note for note in table.notes)
    after = table.frequency.after(int(table.series[0].stamps[-1]), 3).astype("datetime64[us]").astype("datetime64[D]")
    assert [str(day) for day in after] == ["2021-02-10", "2021-02-11", "2021-02-12"]
    assert [str(one) for one in table.frequency.after(_us("2021-01-08"), 1).astype("datetime64[us]")] == [
        "2021-01-11T00:00:00.000000"
    ]
    with pytest.raises(DataError, match="1 gap in time, where every step is 1 working day"):
        _table(tmp_path, [str(day) for day in days if day != dt.date(2021, 1, 20)], on_gap="stop")
    whole = [str(dt.date(2021, 1, 1) + dt.timedelta(i)) for i in range(40)]
    assert str(_table(tmp_path, whole).frequency) == "1 day"


def _us(day: str) -> int:
    return int(np.datetime64(day, "us").astype(np.int64))


def test_a_named_zone_is_read_by_its_clock(tmp_path: Path) -> None:
    start = dt.datetime(2026, 3, 28, 20, tzinfo=dt.UTC)
    berlin = [(start + dt.timedelta(hours=i)).astimezone(ZoneInfo("Europe/Berlin")) for i in range(12)]
    cells = [f"{when:%Y-%m-%d %H:%M} Europe/Berlin" for when in berlin]
    table = _table(tmp_path, cells)
    assert (len(table.series[0]), str(table.frequency)) == (12, "1 hour")
    assert table.shown(table.series[0], 11) == cells[11]
    cells[6] = "2026-03-29 02:00 Europe/Berlin"  # which clocks skip
    with pytest.raises(DataError, match="2026-03-29 02:00 Europe/Berlin"):
        _table(tmp_path, cells)


def test_a_later_row_in_another_style_names_the_options(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [f"2021-01-{i + 1:02},{i}.5" for i in range(20)]
    path.write_text("\n".join(["date,y", *rows, '2021-01-21,"1,5"']) + "\n")
    with pytest.raises(DataError, match=r"t\.csv:22: `y` is not a number \(`data\.decimal` and `data\.thousands` say"):
        prepare(build_recipe({"data": {"train": str(path), "channels": ["y"]}, "model": {"task": "forecasting"}}))


def _berlin(start: dt.datetime, count: int, minutes: int = 60) -> list[dt.datetime]:
    moments = (start + dt.timedelta(minutes=minutes * i) for i in range(count))
    return [when.astimezone(ZoneInfo("Europe/Berlin")) for when in moments]


AUTUMN = dt.datetime(2021, 10, 30, 20, tzinfo=dt.UTC)
ZONED = "%Y-%m-%d %H:%M[Europe/Berlin]"


@pytest.mark.parametrize("minutes", [15, 30, 60])
@pytest.mark.parametrize("order", ["rising", "falling", "shuffled"])
def test_hours_that_the_clock_of_a_place_repeats_are_told_apart(tmp_path: Path, minutes: int, order: str) -> None:
    moments = _berlin(AUTUMN, 12 * 60 // minutes, minutes)
    rows = list(enumerate(f"{when:%Y-%m-%d %H:%M}" for when in moments))
    turned = {"rising": rows, "falling": rows[::-1], "shuffled": [*rows[1::2], *rows[::2]]}[order]
    if order == "shuffled" and minutes == 60:
        turned = [*rows[8:], *rows[:8]]  # the two are in order: nothing else distinguishes them
    frame = pl.DataFrame({"date": [cell for _, cell in turned], "x": [number for number, _ in turned]})
    frame.write_csv(tmp_path / "t.csv")
    options = ForecastRecipe(time="date", channels=("x",), time_format=ZONED, sort=True)
    table = read_table(open_source(tmp_path / "t.csv", BadRows()), options)
    make_regular(table, options)
    (one,) = table.series
    assert one.values[:, 0].tolist() == list(range(len(rows)))
    assert np.unique(np.diff(one.axis())).tolist() == [minutes * 60_000_000]
    assert [table.shown(one, i) for i in range(len(rows))] == [cell for _, cell in rows]
    assert table.form.format == ZONED
    assert table.notes == []


def test_an_uneven_log_says_itself_where_the_clock_is_set_back() -> None:
    clock = Clock(["date"], "%Y-%m-%d %H:%M[Europe/Berlin]")
    cells = pl.Series([f"2021-10-31 {time}" for time in ("01:50", "02:10", "02:50", "02:20", "02:40", "03:10")])
    arrays, bad = clock.read(cells)
    found = clock.finish(arrays, np.asarray([0, 3, 6]), "t.csv")  # two series: nothing goes back within one
    assert (found["zone"] // 3_600_000_000).tolist() == [2, 2, 2, 2, 2, 1]
    arrays, bad = clock.read(cells)
    found = clock.finish(arrays, np.asarray([0, 6]), "t.csv")
    assert (found["zone"] // 3_600_000_000).tolist() == [2, 2, 2, 1, 1, 1]
    assert not bad.any()


def test_the_hints_of_repeated_and_skipped_hours_name_a_clock_that_reads_them(tmp_path: Path) -> None:
    spring = dt.datetime(2021, 3, 27, 20, tzinfo=dt.UTC)
    for start in (AUTUMN, spring):
        cells = [f"{when:%d.%m.%Y %H:%M}" for when in _berlin(start, 24)]
        with pytest.raises(DataError) as found:
            _table(tmp_path, cells, on_gap="stop")
        said = shlex.split(str(found.value.hint).partition("--set ")[2].partition(";")[0])[0]
        assert said == "data.time_format=%d.%m.%Y %H:%M[Europe/Berlin]"
        table = _table(tmp_path, cells, time_format=said.partition("=")[2])
        assert (len(table.series[0]), str(table.frequency)) == (24, "1 hour")
    with pytest.raises(DataError, match="or of an hour that the clock of Europe/Berlin skips"):
        _table(tmp_path, ["2021-03-28 01:00", "2021-03-28 02:00", "2021-03-28 03:00"], time_format=ZONED)


def test_gaps_and_what_comes_after_the_end_go_by_the_clock_of_the_place(tmp_path: Path) -> None:
    cells = [f"{when:%Y-%m-%d %H:%M}" for when in _berlin(AUTUMN, 12)]
    holes = [cell for number, cell in enumerate(cells) if number not in (4, 5, 6)]  # 02:00 twice, and 03:00
    table = _table(tmp_path, holes, on_gap="fill", time_format=ZONED)
    assert [table.shown(table.series[0], i) for i in range(12)] == cells
    ends = [(start, _berlin(start, 8)) for start in (AUTUMN, dt.datetime(2021, 3, 27, 20, tzinfo=dt.UTC))]
    for _, moments in ends:
        some = [f"{when:%Y-%m-%d %H:%M}" for when in moments]
        form = form_of(ZONED)
        found = form.read(pl.Series(some[:4]))
        assert found.zone is not None
        utc = int(found.local[-1] - found.zone[-1]) + 3_600_000_000 * np.arange(1, 5)
        ahead = form.zone_at(utc)
        assert ahead is not None
        assert [form.shown(int(local)) for local in utc + ahead] == some[4:]
