"""The length of a step: found from time stamps, stamps after the end of a series, calendar features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ostinato.arrays import Offsets
from ostinato.data.times.fields import DAY_US

Floats = NDArray[np.float64]
_UNITS = (
    (DAY_US * 7, "week"),
    (DAY_US, "day"),
    (3_600_000_000, "hour"),
    (60_000_000, "minute"),
    (1_000_000, "second"),
    (1_000, "millisecond"),
    (1, "microsecond"),
)
_LONGEST_SEASON, _WORKDAYS = 1_440, 5
_FEW = 0.1
"""Share of stamps that may fall between steps."""
_PERIODS = {"minute": 60, "hour": 24, "weekday": 7, "day": 31, "month": 12, "yearday": 366}


@dataclass(frozen=True)
class Frequency:
    """The length of a step.

    Args:
        count: of the unit, > 0.
        unit: "us" (microseconds), "month" (of the calendar), "workday" (Monday to Friday), or "step" (stamps are plain
            integers).
    """

    count: int
    unit: str

    def __str__(self) -> str:
        """In words: `1 hour`, `3 months`."""
        count, name = self.count, self.unit
        if name == "us":
            size, name = next((size, name) for size, name in _UNITS if self.count % size == 0)
            count //= size
        if name == "workday":
            name = "working day"
        if name == "month" and count % 12 == 0:
            count, name = count // 12, "year"
        return f"{count:,} {name}{'s' * (count != 1)}"

    @property
    def season(self) -> int:
        """Steps of the usual season: a day of minutes or hours, a week of days, a year of weeks or months; else 1."""
        if self.unit == "step":
            return 1
        if self.unit == "workday":
            return _WORKDAYS
        if self.unit == "month":
            return 12 // self.count if 12 % self.count == 0 else 1
        if self.count < DAY_US:
            steps = DAY_US // self.count
            return steps if DAY_US % self.count == 0 and steps <= _LONGEST_SEASON else 1
        return {DAY_US: 7, 7 * DAY_US: 52}.get(self.count, 1)

    @property
    def is_of_days(self) -> bool:
        """Whether it is counted in days or months, by a local clock."""
        return self.unit in ("month", "workday") or (self.unit == "us" and self.count % DAY_US == 0)

    @property
    def is_even(self) -> bool:
        """Whether every step is as long as the others."""
        return self.unit in ("us", "step")

    def position(self, stamps: Offsets) -> Floats:
        """How many steps each stamp is after the first."""
        if self.is_even:
            return np.asarray((stamps - stamps[0]) / self.count, dtype=np.float64)
        if self.unit == "workday":
            days = _days(stamps)
            exact = np.busday_count(days[0], days).astype(np.float64)
            return np.where((stamps % DAY_US == stamps[0] % DAY_US) & np.is_busday(days), exact, exact + 0.5)
        months = _months(stamps)
        exact = (months - months[0]) / self.count
        same = _within_month(stamps) == _within_month(stamps)[0]
        return np.asarray(np.where(same | _is_month_end(stamps), exact, exact + 0.5), dtype=np.float64)

    def after(self, stamp: int, num_steps: int) -> Offsets:
        """The stamps of the `num_steps` steps after `stamp`."""
        steps = np.arange(1, num_steps + 1, dtype=np.int64) * self.count
        if self.is_even:
            return stamp + steps
        last = np.asarray([stamp], dtype=np.int64)
        if self.unit == "workday":
            days = np.busday_offset(_days(last), steps, roll="backward")
            return days.astype("datetime64[us]").astype(np.int64) + stamp % DAY_US
        months = int(_months(last)[0]) + steps
        firsts = months.astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
        ends = (months + 1).astype("datetime64[M]").astype("datetime64[us]").astype(np.int64) - DAY_US
        within = int(_within_month(last)[0])
        if bool(_is_month_end(last)[0]):
            return ends + within % DAY_US
        return np.minimum(firsts + within, ends + within % DAY_US)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"count": self.count, "unit": self.unit}


def find_frequency(stamps: Offsets, unit: str) -> Frequency:
    """The most common step of rising stamps of one series (two at least): of the calendar where steps are months; of
    working days where no day but all weekends are missing."""
    steps = np.diff(stamps)
    values, counts = np.unique(steps, return_counts=True)
    if unit == "us" and int(values.min()) >= 28 * DAY_US:
        same_day = len(np.unique(_within_month(stamps))) == 1
        months = np.diff(_months(stamps))
        if (same_day or bool(_is_month_end(stamps).all())) and int(months.min()) >= 1:
            most, often = np.unique(months, return_counts=True)
            return Frequency(int(most[often.argmax()]), "month")
    usual = int(values[counts.argmax()])
    if unit == "us" and usual == DAY_US and 3 * DAY_US in values and bool(np.is_busday(_days(stamps)).all()):
        return Frequency(1, "workday")
    return Frequency(usual, unit)


def num_steps(stamps: Offsets, unit: str) -> float:
    """How many steps there are from the first to the last of rising stamps; without end where many fall between two."""
    if len(stamps) < 3:
        return float(len(stamps))
    places = find_frequency(stamps, unit).position(stamps)
    off = np.abs(places - np.rint(places)) > 1e-6
    return float(np.inf) if off.mean() > _FEW else float(np.ceil(places[-1])) + 1 + float(off.sum())


def calendar_features(stamps: Offsets, names: tuple[str, ...]) -> NDArray[np.float32]:
    """(L, 2 K): for each name the sine and cosine of its place in its cycle (an hour of a day, a day of a week).

    Args:
        stamps: (L,) microseconds since 1970, by the local clock.
        names: of `minute, hour, weekday, day, month, yearday`.
    """
    when = pl.Series("t", stamps, dtype=pl.Int64).cast(pl.Datetime("us")).dt
    found = {
        "minute": when.minute,
        "hour": when.hour,
        "weekday": when.weekday,
        "day": when.day,
        "month": when.month,
        "yearday": when.ordinal_day,
    }
    columns: list[Floats] = []
    for name in names:
        angle = 2 * np.pi * found[name]().to_numpy().astype(np.float64) / _PERIODS[name]
        columns += [np.sin(angle), np.cos(angle)]
    shape = (len(stamps), 2 * len(names))
    return np.stack(columns, axis=1).astype(np.float32) if columns else np.zeros(shape, dtype=np.float32)


def _days(stamps: Offsets) -> NDArray[np.datetime64]:
    return stamps.astype("datetime64[us]").astype("datetime64[D]")


def _months(stamps: Offsets) -> Offsets:
    return stamps.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)


def _within_month(stamps: Offsets) -> Offsets:
    first = stamps.astype("datetime64[us]").astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
    return stamps - first


def _is_month_end(stamps: Offsets) -> NDArray[np.bool_]:
    return np.asarray(_months(stamps + DAY_US) != _months(stamps), dtype=np.bool_)
