"""The form of time stamps: a format as strptime has it, read and written; what may be absent is in brackets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import polars as pl

from ostinato.arrays import Mask, Offsets
from ostinato.data.times.fields import Moments, Written, is_dated, moments_of, place_in
from ostinato.data.times.quick import read_quickly
from ostinato.data.times.repeated import ahead_at, ahead_of_utc
from ostinato.data.times.tree import Field, flat, parsed, regex, spelt, unreadable, written

_KEPT = 32
"""Texts of a field that are kept."""


class Form(Protocol):
    """How the time stamps of a column are written."""

    @property
    def format(self) -> str:
        """What `data.time_format` calls it."""
        ...

    @property
    def dated(self) -> bool:
        """Whether stamps name a day, and not only a time of day."""
        ...

    @property
    def unit(self) -> str:
        """Of the numbers: `us`, microseconds since 1970; `step`, plain numbers."""
        ...

    def read(self, cells: pl.Series) -> Moments:
        """Texts without blanks around them."""
        ...

    def shown(self, local: int, zone: int = 0) -> str:
        """A stamp as written in the column."""
        ...

    def narrowed(self) -> Form:
        """The form of what was read, without what never came up."""
        ...

    @property
    def place(self) -> str | None:
        """Whose clock it is, where the form names a place."""
        ...

    def zone_at(self, utc: Offsets) -> Offsets | None:
        """Microseconds that the clock is ahead of UTC at some moments; None where the form names no place."""
        ...

    def fits(self, cells: pl.Series) -> int:
        """How many cells are written so."""
        ...


@dataclass
class _Seen:
    """What came up of a field: how often it was there, its shortest and longest text, and some of its texts."""

    there: int = 0
    least: int = 1 << 30
    most: int = 0
    texts: set[str] = field(default_factory=set)

    def add(self, there: int, least: int, most: int, texts: set[str]) -> None:
        """So many more."""
        if there:
            self.there, self.least, self.most = self.there + there, min(self.least, least), max(self.most, most)
            self.texts |= texts if len(self.texts) < _KEPT else set()


class TextForm:
    """Stamps as texts, by a format such as `%Y-%m-%d[ %H:%M[:%S[.%f]]]`.

    Raises:
        RecipeError: for a format that can't be read.

    Example:
        >>> import polars as pl
        >>> form = TextForm("%m/%d/%Y %I:%M %p")
        >>> when = form.read(pl.Series(["1/31/2021 1:30 PM"])).local[0]
        >>> TextForm("%Y-%m-%dT%H:%M").shown(when)
        '2021-01-31T13:30'
    """

    unit = "us"

    def __init__(self, format: str) -> None:
        self.format = format
        self._nodes = parsed(format)
        self._fields = [one.letter for one in flat(self._nodes)]
        self.dated = is_dated("".join(self._fields))
        if not self._fields or len(set(self._fields)) < len(self._fields):
            raise unreadable(format, "each field once, one at least")
        self._pattern = rf"^{regex(self._nodes, self.dated)}$"
        self._seen = {letter: _Seen() for letter in self._fields}
        self._rows = 0
        self.place = place_in(format)

    @property
    def pattern(self) -> re.Pattern[str]:
        """What its cells look like."""
        return re.compile(self._pattern)

    def read(self, cells: pl.Series) -> Moments:
        """Texts without blanks around them; where the format names a place (`Europe/Berlin`), by its clock: an hour
        that it skips is none, of one that it repeats the first is meant."""
        found = self._read_as_written(cells)
        if self.place is None:
            return found
        ahead, there = ahead_of_utc(found.local, self.place)
        good = found.good & there
        return Moments(np.where(good, found.local, 0), np.where(good, ahead, 0), good)

    def zone_at(self, utc: Offsets) -> Offsets | None:
        """Microseconds that the clock is ahead of UTC at some moments; None where the format names no place."""
        return None if self.place is None else ahead_at(utc, self.place)

    def fits(self, cells: pl.Series) -> int:
        """How many cells are written so, be it an hour that the clock of the place skips."""
        return int(self._read_as_written(cells).good.sum())

    def _read_as_written(self, cells: pl.Series) -> Moments:
        quick = read_quickly(cells, self.format)
        if quick is None:
            return self._read(cells)
        self._rows += int(quick.good.sum())
        for letter, width in (*quick.widths.items(), *([("z", len(quick.zone))] if quick.zone else [])):
            self._seen[letter].add(int(quick.good.sum()), width, width, {quick.zone} if letter == "z" else set())
        local, good = quick.local, quick.good
        zone = np.full(len(cells), zone_of(quick.zone), dtype=np.int64) if quick.zone else None
        rest = np.flatnonzero(~good)
        if len(rest):
            found = self._read(cells.gather(rest))
            local[rest], good[rest] = found.local, found.good
            if zone is not None and found.zone is not None:
                zone[rest] = found.zone
        return Moments(local, zone, good)

    def _read(self, cells: pl.Series) -> Moments:
        """Cell by cell, by its pattern."""
        fields = cells.str.extract_groups(self._pattern).struct.unnest().get_columns()
        texts = dict(zip(self._fields, fields, strict=True))
        found = moments_of(texts)
        there = next(texts[one.letter] for one in flat(self._nodes, optional=False)).is_not_null().to_numpy()
        good = found.good & there
        self._note(texts, good)
        return Moments(np.where(good, found.local, 0), found.zone, good)

    def shown(self, local: int, zone: int = 0) -> str:
        """A stamp as written in the column."""
        names = {zone_of(name): name for name in self._seen["Z"].texts} if "Z" in self._seen else {}
        return written(self._nodes, Written(local, zone, names), self.dated)

    def narrowed(self) -> TextForm:
        """The form of what was read: what never came up is left out, what always did is no longer in brackets."""
        made = TextForm(spelt(self._narrowed(self._nodes)))
        made._seen = {letter: self._seen[letter] for letter in made._fields}
        return made

    def _note(self, texts: dict[str, pl.Series], good: Mask) -> None:
        self._rows += int(good.sum())
        for letter, seen in self._seen.items():
            some = texts[letter].filter(good).drop_nulls()
            if len(some):
                lengths = some.str.len_bytes().to_numpy()
                few = set(some.unique().head(_KEPT).to_list()) if letter in "bapzZ" else set()
                seen.add(len(some), int(lengths.min()), int(lengths.max()), few)

    def _narrowed(self, nodes: Sequence[object]) -> list[object]:
        made: list[object] = []
        for node in nodes:
            if isinstance(node, list):
                first = next(iter(flat(node)), None)
                inner = self._narrowed(node)
                if first is None:  # a place that cells don't name
                    made.append(inner)
                elif there := self._seen[first.letter].there:
                    made += inner if there == self._rows else [inner]
            else:
                made.append(self._narrowed_field(node) if isinstance(node, Field) else node)
        return made

    def _narrowed_field(self, one: Field) -> Field:
        seen = self._seen[one.letter]
        texts = [text for text in seen.texts if text]
        if one.letter in "ba":
            case = "^" if all(map(str.isupper, texts)) else "#" if all(map(str.islower, texts)) else ""
            return Field(one.letter, ("B" if seen.most > 3 else "") + case if texts else one.flag)
        if one.letter == "p":
            return Field("p", "#" if texts and all(map(str.islower, texts)) else "")
        if one.letter == "z":
            colon = any(":" in text for text in texts)
            return Field("z", ":" if colon else "#" if texts and seen.most == 3 else "")
        if one.letter == "f":
            return Field("f", str(seen.most) if seen.there else one.flag)
        if one.letter == "N":
            return Field("N", "4" if seen.most == 4 else "")
        if one.letter in "mdHIV" and seen.there:
            return Field(one.letter, "-" if seen.least == 1 else "")
        return one


NUMBERS: dict[str, tuple[int, float, float]] = {
    "epoch_s": (0, 1e8, 4.2e9),
    "epoch_ms": (3, 1e11, 4.2e12),
    "epoch_us": (6, 1e14, 4.2e15),
    "epoch_ns": (9, 1e17, 4.2e18),
}
"""Times since 1970: decimals of a second, and between what they lie from 1973 to 2103."""
_EXCEL_DAYS = 25_569
PLAIN = ("step", "number", "excel", *NUMBERS)
"""Forms that are numbers, as `data.time_format` calls them."""


class NumberForm:
    """Stamps as numbers.

    Args:
        format: `epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns` since 1970; `excel`: days, as a spreadsheet counts them;
            `step`: whole numbers that are no dates; `number`: others.
    """

    dated = True
    place = None

    def __init__(self, format: str) -> None:
        self.format = format
        self.unit = "step" if format in ("step", "number") else "us"
        self._fractions = False

    def read(self, cells: pl.Series) -> Moments:
        """Texts without blanks around them."""
        whole = cells.cast(pl.Int64, strict=False)
        if self.format == "excel" or whole.null_count() > cells.null_count():
            numbers = cells.cast(pl.Float64, strict=False)
            good = numbers.is_not_null().to_numpy() & np.isfinite(numbers.fill_null(0.0).to_numpy())
            found = np.where(good, numbers.fill_null(0.0).to_numpy(), 0.0)
            self._fractions |= bool((found != np.rint(found)).any())
            if self.format == "number":
                return Moments(found, None, good)
            if self.format == "step":
                good &= found == np.rint(found)
            if self.format == "excel":
                found = np.rint((found - _EXCEL_DAYS) * 86_400) * 1e6
            elif self.format in NUMBERS:
                found = found * 10.0 ** (6 - NUMBERS[self.format][0])
            good &= np.abs(found) < 2.0**62
            return Moments(np.rint(np.where(good, found, 0.0)).astype(np.int64), None, good)
        stamps, good = whole.fill_null(0).to_numpy(), whole.is_not_null().to_numpy()
        if self.format in NUMBERS:
            decimals = NUMBERS[self.format][0]
            stamps = stamps // 1000 if decimals == 9 else stamps * 10 ** (6 - decimals)
        return Moments(stamps.astype(np.float64) if self.format == "number" else stamps, None, good)

    def shown(self, local: int, zone: int = 0) -> str:
        """A stamp as written in the column."""
        if self.unit == "step":
            return f"{local:g}" if self.format == "number" else str(local)
        if self.format == "excel":
            return f"{local / 86_400e6 + _EXCEL_DAYS:.5f}".rstrip("0").rstrip(".")
        decimals = NUMBERS[self.format][0]
        if decimals == 9:
            return str(local * 1000)
        number = local / 10 ** (6 - decimals)
        return f"{number:.6f}".rstrip("0").rstrip(".") if self._fractions else str(local // 10 ** (6 - decimals))

    def zone_at(self, utc: Offsets) -> None:
        """Numbers name no place."""

    def fits(self, cells: pl.Series) -> int:
        """How many cells are such numbers."""
        return int(self.read(cells).good.sum())

    def narrowed(self) -> NumberForm:
        """It is as it is."""
        return self


def form_of(format: str) -> TextForm | NumberForm:
    """The form of a `data.time_format`. Raises `RecipeError` for one that can't be read."""
    if format in PLAIN:
        return NumberForm(format)
    if "%" not in format:
        raise unreadable(format, f"fields such as %Y-%m-%d, or one of {', '.join(PLAIN)}")
    return TextForm(format)


def zone_of(text: str) -> int:
    """Microseconds that a clock is ahead of UTC whose zone is written so."""
    found = moments_of({"z" if text[:1] in "+-" else "Z": pl.Series([text])}).zone
    return 0 if found is None else int(found[0])
