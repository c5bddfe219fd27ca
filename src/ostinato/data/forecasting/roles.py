"""What the columns of a table of numbers in time are: time stamps, names of series, row numbers, the rest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl

from ostinato.arrays import Offsets
from ostinato.data.tables.long import named_rows
from ostinato.data.tables.numbers import MISSING, numbers_of
from ostinato.data.times.columns import hour_beside, joined, part_of, time_parts
from ostinato.data.times.fields import Written
from ostinato.data.times.forms import Form, NumberForm, TextForm
from ostinato.data.times.guess import forms_of, may_be_time

_FEW = 0.1
"""Share of a column's cells that may be mistakes."""
_LOOKED_AT, _LINES_ABOVE = 200, 3
_STEP_NAMES = ("date", "time", "datetime", "timestamp", "ds", "month", "day", "year")
"""What a column of plain integers is called that orders rows."""
_CLOCK_NAMES = re.compile(r"(?i)^\W*(?:time|hhmm|hhmmss|clock|uhrzeit|zeit)\W*$")
_SERIES_NAMES = ("unique_id", "series_id", "item_id", "series")
_ROW_NAMES = re.compile(r"(?i)^(?:\W*|no|nr|id|idx|index|#|row.*|\W*unnamed.*|column.?1)\W*$")
"""What a column is called that only counts rows."""
_MOST_ID_COLUMNS, _ROWS_EACH, _EVEN = 10, 3, 0.7
"""Columns of which ids are put together, rows that an id has on average, and the share of its steps that are alike."""


@dataclass(frozen=True)
class Roles:
    """What columns are.

    time: of time stamps; series: of names of series; passed_over: of what is said elsewhere; free: all others;
    time_reason, series_reason: in words.
    """

    time: tuple[str, ...]
    series: tuple[str, ...]
    passed_over: tuple[str, ...]
    free: tuple[str, ...]
    time_reason: str = ""
    series_reason: str = ""


def find_roles(
    head: pl.DataFrame, free: Sequence[str], time: tuple[str, ...] = (), series: tuple[str, ...] = ()
) -> Roles:
    """The roles of columns of which some are known, from the head of a table."""
    left, reasons = [name for name in free if name not in (*time, *series)], ["", ""]
    if not time:
        time, reasons[0] = _time(head, left)
    left = [name for name in left if name not in time]
    if not series:
        series, reasons[1] = _series(head, left, time)
    left = [name for name in left if name not in series]
    said = tuple(name for name in left if time and _says_nothing_new(head, name, time, left))
    return Roles(time, series, said, tuple(name for name in left if name not in said), *reasons)


def is_numeric(cells: pl.Series) -> bool:
    """Whether nearly all cells are numbers or missing; what is neither is named as a bad row when it is read."""
    if cells.dtype != pl.String or not len(cells):
        return False
    numbers, wrong = numbers_of(cells, MISSING)
    return bool(wrong.mean() <= _FEW) and bool(np.isfinite(numbers).any())


def _time(head: pl.DataFrame, free: Sequence[str]) -> tuple[tuple[str, ...], str]:
    forms = {name: _form(name, head[name]) for name in free}
    dated = next((name for name, form in forms.items() if isinstance(form, TextForm) and form.dated), None)
    parts = time_parts(head, free)
    if parts and (dated is None or dated in parts):
        return parts, "by their names, put together"
    if dated is not None and not _has_clock(forms[dated]):
        clocks = [name for name, form in forms.items() if isinstance(form, TextForm) and not form.dated]
        clocks += [name for name in free if _CLOCK_NAMES.match(name) and _is_compact_clock(head[name])]
        hours = hour_beside(head, free) if head[dated].n_unique() < len(head) else ()
        if beside := tuple(clocks[:1]) or hours:
            return (dated, *beside), "a date and a time of day, put together"
    found = dated or next((name for name, form in forms.items() if form is not None), None)
    return ((found,), "its cells are time stamps") if found else ((), "")


def _form(name: str, cells: pl.Series) -> Form | None:
    """The form of a column's cells if all of them are time stamps, but for a few texts: units, a total."""
    if cells.dtype != pl.String:
        return None
    texts = cells.drop_nulls().head(_LOOKED_AT).str.strip_chars()
    if not any(may_be_time(text, name) for text in texts.head(_LINES_ABOVE).to_list()):
        return None
    form = next(iter(forms_of(texts, name)), None)
    named = name.lower() in _STEP_NAMES
    good = form.read(texts).good if form is not None else texts.is_null().to_numpy()
    if form is None or good.mean() < 1 - _FEW or not (good.all() or isinstance(form, TextForm)):
        return None
    if isinstance(form, NumberForm):
        return form if named or (form.unit == "us" and _is_even(form, texts)) else None
    return form if form.dated or named else None


def _is_compact_clock(cells: pl.Series) -> bool:
    """Whether cells are hours and minutes, and perhaps seconds, side by side: 0930."""
    digits = r"^\s*(?:[01]\d|2[0-4])[0-5]\d(?:[0-5]\d)?\s*$"
    return cells.dtype == pl.String and not cells.null_count() and bool(cells.str.contains(digits).all())


def _is_even(form: Form, texts: pl.Series) -> bool:
    """Whether most steps have one length: a number of ten digits may be anything."""
    steps = np.diff(np.unique(form.read(texts).local))
    return len(steps) > 1 and bool(np.unique(steps, return_counts=True)[1].max() > _EVEN * len(steps))


def _has_clock(form: Form | None) -> bool:
    return isinstance(form, TextForm) and any(field in form.format for field in ("%H", "%-H", "%I", "%-I"))


def _series(head: pl.DataFrame, free: Sequence[str], time: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    named = next((name for name in free if name.lower() in _SERIES_NAMES), None)
    if named is not None and (not time or head.select(named, *time).n_unique() == len(head)):
        return (named,), "its name says so"
    if found := id_columns(head, free, time) if time else ():
        return found, "each has a row at a time stamp"
    return ((named,), "its name says so") if named is not None else ((), "")


def id_columns(head: pl.DataFrame, free: Sequence[str], time: tuple[str, ...]) -> tuple[str, ...]:
    """The fewest columns of few values that distinguish rows of one time stamp and give even steps; else none."""
    times = joined(head, time)
    ranks, counts = _ranks(times), len(times)
    if not counts or int(ranks.max()) + 1 >= counts:
        return ()
    able = {name: head[name].n_unique() for name in free if _may_name(head[name])}
    able = {name: count for name, count in able.items() if 1 < count <= counts / _ROWS_EACH}
    names = sorted(able, key=lambda name: able[name])[:_MOST_ID_COLUMNS]
    for number in (1, 2, 3):
        for some in combinations(names, number):
            chosen = tuple(name for name in free if name in some)
            if _is_regular(ranks, _ranks(named_rows(head, chosen))):
                return chosen
    return ()


def _may_name(cells: pl.Series) -> bool:
    return cells.dtype == pl.String and not cells.null_count() and not cells.str.contains(r"^-?\d+\.\d+$").any()


def _ranks(cells: pl.Series) -> Offsets:
    """Numbers for the different cells."""
    return cells.fill_null("").rank("dense").to_numpy().astype(np.int64) - 1


def _is_regular(ranks: Offsets, groups: Offsets) -> bool:
    """Whether each time occurs once in a group, and most steps in groups are alike; few rows a group are none."""
    order = np.lexsort((ranks, groups))
    same = np.diff(groups[order]) == 0
    steps = np.abs(np.diff(ranks[order])[same])
    if len(order) < _ROWS_EACH * (int(groups.max()) + 1) or not len(steps) or not steps.all():
        return False
    return bool(np.unique(steps, return_counts=True)[1].max() > _EVEN * len(steps))


def _says_nothing_new(head: pl.DataFrame, name: str, time: tuple[str, ...], free: Sequence[str]) -> bool:
    """Whether a column counts rows, or repeats a part of the time stamp, such as its month."""
    part = {"year": "Y", "month": "m", "day": "d", "hour": "H", "minute": "M", "second": "S"}.get(part_of(name) or "")
    if isinstance(form := _form(name, head[name]), TextForm) and form.dated and not part:
        return True
    counts_rows = _ROW_NAMES.match(name) or name == head.columns[0]
    if part is None and not counts_rows:
        return False
    numbers = head[name].cast(pl.String).str.strip_chars().cast(pl.Int64, strict=False)
    if len(numbers) < _ROWS_EACH or numbers.null_count():
        return False
    if counts_rows and numbers[0] in (0, 1) and bool((numbers.diff().drop_nulls() == 1).all()):
        return True
    if part is None:
        return False
    if name in time_parts(head, free):
        return True
    texts = joined(head, time).head(_LOOKED_AT)
    for form in forms_of(texts, " ".join(time)):
        found = form.read(texts)
        own = [Written(int(stamp), 0, {}).number(part, True) for stamp in found.local]
        if form.unit == "us" and own == numbers.head(_LOOKED_AT).to_list():
            return True
    return False
