"""Time stamps: parsing, frequencies, stamps after the end, calendar."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ostinato.data.times.forms import Form
from ostinato.data.times.guess import forms_of
from ostinato.data.times.step import Frequency, calendar_features, find_frequency


def _parsed(*cells: str) -> tuple[np.ndarray, Form]:
    form = forms_of(pl.Series(list(cells)))[0]
    found = form.read(pl.Series(list(cells)))
    assert found.good.all()
    return found.local if found.zone is None else found.local - found.zone, form.narrowed()


@pytest.mark.parametrize(
    ("cells", "frequency", "after"),
    [
        (("2016-07-01 00:00:00", "2016-07-01 01:00:00"), "1 hour", "2016-07-01 02:00:00"),
        (("2016-07-01T00:00:00Z", "2016-07-01T00:15:00Z"), "15 minutes", "2016-07-01T00:30:00Z"),
        (("2016-02-27", "2016-02-28"), "1 day", "2016-02-29"),
        (("1949-01", "1949-02", "1949-03"), "1 month", "1949-04"),
        (("2016-01-31", "2016-02-29", "2016-03-31"), "1 month", "2016-04-30"),
        (("2015-03-31", "2015-06-30"), "3 months", "2015-09-30"),
        (("2016-01-04", "2016-01-11"), "1 week", "2016-01-18"),
        (("3", "5", "7"), "2 steps", "9"),
    ],
)
def test_frequency_and_what_comes_after(cells: tuple[str, ...], frequency: str, after: str) -> None:
    stamps, form = _parsed(*cells)
    found = find_frequency(stamps, form.unit)
    assert str(found) == frequency
    assert form.shown(int(found.after(int(stamps[-1]), 1)[0])) == after
    np.testing.assert_array_equal(found.position(stamps), np.arange(len(cells)))


def test_what_is_no_time() -> None:
    assert forms_of(pl.Series(["a", "b"])) == []
    cells = pl.Series(["2016-07-01", "yesterday"])
    assert forms_of(cells)[0].read(cells).good.tolist() == [True, False]


def test_a_gap_and_a_stamp_between_steps() -> None:
    hour = Frequency(3_600_000_000, "us")
    stamps, _ = _parsed("2016-07-01 00:00:00", "2016-07-01 03:00:00", "2016-07-01 03:30:00")
    np.testing.assert_array_equal(hour.position(stamps), [0.0, 3.0, 3.5])
    month = Frequency(1, "month")
    stamps, _ = _parsed("2016-01-01", "2016-03-01", "2016-03-09")
    np.testing.assert_array_equal(month.position(stamps), [0.0, 2.0, 2.5])


def test_months_keep_the_day_where_they_can() -> None:
    stamps, form = _parsed("2015-12-30")
    found = [form.shown(int(stamp)) for stamp in Frequency(1, "month").after(int(stamps[0]), 3)]
    assert found == ["2016-01-30", "2016-02-29", "2016-03-30"]


def test_calendar_is_a_point_on_a_circle() -> None:
    stamps, _ = _parsed("2016-07-01 00:00:00", "2016-07-01 06:00:00", "2016-07-01 12:00:00")
    found = calendar_features(stamps, ("hour",))
    np.testing.assert_allclose(found, [[0, 1], [1, 0], [0, -1]], atol=1e-6)
    assert calendar_features(stamps, ()).shape == (3, 0)
    assert calendar_features(stamps, ("weekday", "month", "yearday", "day", "minute")).shape == (3, 10)


def test_seasons() -> None:
    assert Frequency(3_600_000_000, "us").season == 24
    assert Frequency(1, "month").season == 12
    assert Frequency(7, "step").season == 1
