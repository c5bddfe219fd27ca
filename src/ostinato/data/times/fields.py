"""What a time stamp is put together from: fields such as a month or an offset, read from texts and written again."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

import numpy as np
import polars as pl

from ostinato.arrays import Mask, Offsets

MINUTE_US = 60_000_000
_PLACE = re.compile(r"\b([A-Z][A-Za-z]+/[A-Za-z_/-]+)\b")
DAY_US = 86_400_000_000
_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS = {name.lower(): number for number, name in enumerate(calendar.day_abbr)}
_ZONES = {
    **dict.fromkeys(("Z", "UTC", "GMT", "WET"), 0),
    **{"BST": 60, "WEST": 60, "CET": 60, "CEST": 120, "EET": 120, "EEST": 180, "MSK": 180, "JST": 540, "KST": 540},
    **{"AST": -240, "ADT": -180, "EST": -300, "EDT": -240, "CST": -360, "CDT": -300, "MST": -420, "MDT": -360},
    **{"PST": -480, "PDT": -420, "AKST": -540, "AKDT": -480, "HST": -600, "AEST": 600, "AEDT": 660},
}
"""Minutes ahead of UTC."""
_PIVOT = 69
"""Two-digit years from here on are of the last century, as POSIX has it."""
FIELDS = {
    "Y": r"\d{4}",
    "G": r"\d{4}",
    "y": r"\d{2}",
    "N": r"\d{2}(?:\d{2})?",
    **dict.fromkeys("mdHIMSV", r"\d{1,2}"),
    "j": r"\d{3}",
    "q": "[1-4]",
    "h": "[12]",
    "u": "[1-7]",
    "f": r"\d{1,9}",
    "b": r"[A-Za-z]{3,9}",
    "a": r"[A-Za-z]{3,9}",
    "p": r"[AaPp]\.?[Mm]\.?",
    "z": r"[+-]\d{2}(?::?\d{2})?",
    "Z": r"[A-Z]{1,4}",
}
"""The letter of each field and what it looks like: strptime's, and q a quarter, h half a year, N the year after."""
DIGITS = "YGymdHIMSVjfqhu"
_CLOCK = "HIMSfpzZ"
_WIDTHS = {"Y": 4, "G": 4, "j": 3, "q": 1, "h": 1, "u": 1}
Texts = Mapping[str, pl.Series]


def is_dated(fields: str) -> bool:
    """Whether fields name a day, and not only a time of day."""
    return any(field not in _CLOCK for field in fields)


@dataclass(frozen=True)
class Moments:
    """Time stamps that were read.

    local: microseconds since 1970 by the clock that is written; zone: microseconds that this clock is ahead of UTC,
    none where nothing says so; good: which could be read.
    """

    local: Offsets
    zone: Offsets | None
    good: Mask


def moments_of(texts: Texts) -> Moments:
    """Put fields together; what is on no calendar (February 30) is not good."""
    good = np.ones(len(next(iter(texts.values()))), dtype=np.bool_)

    def number(field: str, usual: int, least: int, most: int) -> Offsets:
        """A field that may be absent."""
        if field not in texts:
            return np.full(len(good), usual, dtype=np.int64)
        found = texts[field].cast(pl.Int64, strict=False).fill_null(usual).to_numpy()
        good[:] &= (found >= least) & (found <= most)
        return found

    days = _days(texts, number, good)
    hours = number("H", 0, 0, 24 if is_dated("".join(texts)) else 1 << 20)
    if "I" in texts:
        hours = number("I", 12, 1, 12) % 12
    if "p" in texts:
        hours = hours % 12 + 12 * texts["p"].str.to_lowercase().str.starts_with("p").fill_null(False).to_numpy()
    minutes, seconds = number("M", 0, 0, 59), number("S", 0, 0, 59)
    fraction = np.zeros(len(good), dtype=np.int64)
    if "f" in texts:
        fraction = number_of(texts["f"].str.pad_end(6, "0").str.head(6))
    within = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction
    if is_dated("".join(texts)):
        good &= within <= DAY_US
    if "a" in texts:
        named = texts["a"].str.to_lowercase().str.head(3).replace_strict(_WEEKDAYS, default=-1, return_dtype=pl.Int64)
        good &= named.fill_null(-1).to_numpy() == (days + 3) % 7
    return Moments(days * DAY_US + within, _zone(texts, good), good)


def number_of(texts: pl.Series) -> Offsets:
    """Digits as numbers; 0 where there are none."""
    return texts.cast(pl.Int64, strict=False).fill_null(0).to_numpy()


def _days(texts: Texts, number: Callable[[str, int, int, int], Offsets], good: Mask) -> Offsets:
    """Days since 1970."""
    if not is_dated("".join(texts)):
        return np.zeros(len(good), dtype=np.int64)
    if "V" in texts:
        years = number("G", 1970, 1000, 2999)
        fourth = (years - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64) + 3
        weeks = fourth - (fourth + 3) % 7  # the Monday of the week that has January 4
        monday = weeks + 7 * (number("V", 1, 1, 53) - 1)
        good &= monday + 3 < _first_day(years + 1)
        return monday + number("u", 1, 1, 7) - 1
    years = number("Y", 1970, 1000, 2999)
    if "y" in texts:
        years = number("y", 0, 0, 99)
        years = years + np.where(years < _PIVOT, 2000, 1900)
    if "N" in texts:
        good &= number("N", 0, 0, 9999) % 100 == (years + 1) % 100
    if "j" in texts:
        found = _first_day(years) + number("j", 1, 1, 366) - 1
        good &= found < _first_day(years + 1)
        return found
    months = number("m", 1, 1, 12)
    if "b" in texts:
        names = texts["b"].str.to_lowercase().str.head(3).replace_strict(_MONTHS, default=0, return_dtype=pl.Int64)
        months = names.fill_null(0).to_numpy()
        good &= months > 0
    if "q" in texts:
        months = 3 * number("q", 1, 1, 4) - 2
    if "h" in texts:
        months = 6 * number("h", 1, 1, 2) - 5
    counted = 12 * (years - 1970) + np.clip(months, 1, 12) - 1
    first, after = (_first_of_month(one) for one in (counted, counted + 1))
    found = first + number("d", 1, 1, 31) - 1
    good &= found < after
    return found


def _first_day(years: Offsets) -> Offsets:
    return _first_of_month(12 * (years - 1970))


def _first_of_month(months: Offsets) -> Offsets:
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def _zone(texts: Texts, good: Mask) -> Offsets | None:
    if "z" in texts:
        parts = texts["z"].str.extract_groups(r"^([+-])(\d{2}):?(\d{2})?$").struct.unnest()
        sign, hours, minutes = parts.get_columns()
        ahead = 60 * number_of(hours) + number_of(minutes)
        return np.where((sign == "-").fill_null(False).to_numpy(), -ahead, ahead) * MINUTE_US
    if "Z" in texts:
        found = texts["Z"].replace_strict(_ZONES, default=None, return_dtype=pl.Int64)
        good &= found.is_not_null().to_numpy()
        return found.fill_null(0).to_numpy() * MINUTE_US
    return None


def place_in(format: str) -> str | None:
    """The place whose clock a format names."""
    found = _PLACE.search(format)
    return found[1] if found and found[1] in available_timezones() else None


def knows_zone(name: str) -> bool:
    """Whether a zone's short name says how far its clock is ahead of UTC."""
    return name in _ZONES


class Written:
    """A stamp whose fields are written one by one.

    Args:
        local: microseconds since 1970 by the clock that is written.
        zone: microseconds ahead of UTC.
        names: of zones, by their microseconds.
    """

    def __init__(self, local: int, zone: int, names: Mapping[int, str]) -> None:
        self._when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(local))
        self._hours, self._zone, self._names = local // (60 * MINUTE_US), zone, names

    def number(self, field: str, dated: bool) -> int:
        """A field that is a number."""
        when, week = self._when, self._when.isocalendar()
        return {
            "Y": when.year,
            "G": week.year,
            "y": when.year % 100,
            "N": when.year + 1,
            "m": when.month,
            "d": when.day,
            "H": when.hour if dated else self._hours,
            "I": when.hour % 12 or 12,
            "M": when.minute,
            "S": when.second,
            "V": week.week,
            "j": when.timetuple().tm_yday,
            "q": (when.month + 2) // 3,
            "h": (when.month + 5) // 6,
            "u": week.weekday,
            "f": when.microsecond,
        }[field]

    def text(self, field: str, flag: str, dated: bool) -> str:
        """A field as written in a stamp; `flag` says how: `-` unpadded, `^` upper case, `:` with a colon, digits."""
        if field in DIGITS:
            number = self.number(field, dated)
            if field == "f":
                return f"{number:06}".ljust(int(flag or 6), "0")[: int(flag or 6)]
            return str(number) if flag == "-" else str(number).zfill(_WIDTHS.get(field, 2))
        if field == "N":
            return f"{self.number('N', dated) % 100:02}" if flag != "4" else str(self.number("N", dated))
        if field == "z":
            sign, ahead = "-" if self._zone < 0 else "+", abs(self._zone) // MINUTE_US
            minutes = f"{':' if flag == ':' else ''}{ahead % 60:02}" if flag != "#" or ahead % 60 else ""
            return f"{sign}{ahead // 60:02}{minutes}"
        if field == "Z":
            return self._names.get(self._zone, "")
        name = {
            "b": calendar.month_name[self._when.month][: None if flag.startswith("B") else 3],
            "a": calendar.day_name[self._when.weekday()][: None if flag.startswith("B") else 3],
            "p": "AM" if self._when.hour < 12 else "PM",
        }[field]
        return name.upper() if flag.endswith("^") else name.lower() if flag.endswith("#") else name
