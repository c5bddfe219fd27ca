"""Time stamps spread over several columns: a date and a time of day, or a year, a month, a day and an hour."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import polars as pl

from ostinato.data.times.guess import forms_of

_PARTS = {
    "year": ("year", "yr", "yyyy", "jahr"),
    "month": ("month", "mon", "mm", "mo", "mnth", "monat"),
    "quarter": ("quarter", "qtr", "quartal"),
    "week": ("week", "wk", "weekofyear", "weeknum", "woche", "kw"),
    "day": ("day", "dd", "dy", "dayofmonth", "mday", "tag"),
    "hour": ("hour", "hr", "hh", "hours", "stunde"),
    "minute": ("minute", "min", "mi", "minutes"),
    "second": ("second", "sec", "ss", "seconds"),
}
"""What columns of whole numbers are called that are a part of a time stamp."""
_RANGES = {
    "year": (1600, 2299),
    "month": (1, 12),
    "quarter": (1, 4),
    "week": (1, 53),
    "day": (1, 31),
    "hour": (0, 24),
    "minute": (0, 59),
    "second": (0, 59),
}
_FEWEST_DATES = 6
_OF_YEARS = {"quarter": "-Q", "week": "-W"}
_BETWEEN_TIMES = {"hour": " ", "minute": ":", "second": ":"}
_BETWEEN = {"month": "-", "day": "-", **_BETWEEN_TIMES}


def part_of(name: str) -> str | None:
    """Which part of a time stamp a column is by its name, `hour` for `HR`."""
    plain = re.sub(r"[^a-z]", "", name.lower())
    return next((part for part, names in _PARTS.items() if plain in names), None)


def joined(frame: pl.DataFrame, names: Sequence[str]) -> pl.Series:
    """The cells of some columns as one text a row, without blanks around it; null where one is missing.

    A year and the parts after it become `2021-01-31 13:00`, a date and an hour alike; other texts stand one after the
    other, with blanks between.
    """
    first, *rest = (frame[name].cast(pl.String).str.strip_chars() for name in names)
    parts = dict(zip(map(part_of, names[1:]), rest, strict=True))
    dated = part_of(names[0]) == "year"
    if dated and len(rest) == 1 and (of := part_of(names[1])) in _OF_YEARS:
        number = rest[0].str.replace(r"\.0*$", "")
        return first + _OF_YEARS[of] + (number.str.zfill(2) if of == "week" else number)
    if None in parts or len(parts) < len(rest) or not parts.keys() <= (_BETWEEN if dated else _BETWEEN_TIMES).keys():
        for cells in rest:
            first = first + " " + cells
        return first
    for part, between in _BETWEEN.items():
        if part in parts:
            first = first + between + parts[part].str.replace(r"\.0*$", "").str.zfill(2)
    return first + ":00" if "hour" in parts and "minute" not in parts else first


def time_parts(head: pl.DataFrame, free: Sequence[str]) -> tuple[str, ...]:
    """The columns of year, month, day, hour, … of a table, by their names and what is in them; none of a year alone."""
    found: dict[str, str] = {}
    for name in free:
        part = part_of(name)
        if part is not None and part not in found and _is_within(head[name], *_RANGES[part]):
            found[part] = name
    whole = [found[part] for part in _PARTS if part in found]
    if {"year", "month"} <= found.keys():
        return tuple(name for name in whole if part_of(name) not in _OF_YEARS)
    return next(((found["year"], found[part]) for part in _OF_YEARS if {"year", part} <= found.keys()), ())


def dated_names(names: Sequence[str]) -> list[str]:
    """The columns whose names are days, months or years, one after the other: they hold the values of a row in time."""
    likely = [name for name in names if name[:1].isdigit() or name[-1:].isdigit()]
    texts = pl.Series(likely, dtype=pl.String)
    for form in forms_of(texts, "date") if 2 * len(likely) > len(names) and len(likely) >= _FEWEST_DATES else []:
        found = form.read(texts)
        dated = [name for name, good in zip(likely, found.good.tolist(), strict=True) if good]
        rising = bool((np.diff(found.local[found.good]) > 0).all())
        if form.unit == "us" and 2 * len(dated) > len(names) and len(dated) >= _FEWEST_DATES and rising:
            return dated
    return []


def hour_beside(head: pl.DataFrame, free: Sequence[str]) -> tuple[str, ...]:
    """The columns of an hour, and of a minute, that go with a date."""
    found = {part_of(name): name for name in free if part_of(name) in _BETWEEN_TIMES}
    good = [found[part] for part in _BETWEEN_TIMES if part in found and _is_within(head[found[part]], *_RANGES[part])]
    return tuple(good) if found.get("hour") in good else ()


def _is_within(cells: pl.Series, least: int, most: int) -> bool:
    if cells.dtype != pl.String:
        return False
    numbers = cells.str.strip_chars().str.replace(r"\.0*$", "").cast(pl.Int64, strict=False).drop_nulls()
    return len(numbers) == len(cells.drop_nulls()) > 0 and bool(numbers.is_between(least, most).all())
