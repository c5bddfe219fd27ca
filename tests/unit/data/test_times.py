"""Forms of time stamps: inferred over a whole column, read, stepped on and given back as they were written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from ostinato.data.forecasting.clean import make_regular
from ostinato.data.forecasting.read import read_table
from ostinato.data.readers.registry import open_source
from ostinato.data.rejects import BadRows
from ostinato.recipe.forecast import ForecastRecipe

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


def _table(tmp_path: Path, cells: list[str], **options: object):  # type: ignore[no-untyped-def]
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


def test_there_are_enough_forms() -> None:
    assert len(FORMS) >= 60
