"""The common case read quickly: cells that are written like the first one, by polars' own reader of formats."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl

from ostinato.arrays import Mask, Offsets

_WIDTHS = {"Y": 4, **dict.fromkeys("mdHMS", 2)}
_TOKEN = re.compile(r"%[:#]?z$|%-?([A-Za-z])|[^%]+")
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True)
class Quick:
    """What was read of some cells: their stamps, which are good, the fields there are by their widths, and the zone."""

    local: Offsets
    good: Mask
    widths: dict[str, int]
    zone: str


def read_quickly(cells: pl.Series, format: str) -> Quick | None:
    """Those cells that have the length, fields and zone of the first one; None where that one is of no simple form."""
    first = next(iter(cells.drop_nulls().head(1)), None)
    plain = None if first is None else next((one for one in _variants(format) if _fits(one, first)), None)
    if first is None or plain is None:
        return None
    zone = first[-_zone_width(plain, first) :] if plain.endswith("z") else ""
    spelt = re.sub("%[:#]?z$", "", plain).replace("%-", "%")
    bare = cells.str.strip_suffix(zone) if zone else cells
    same = (cells.str.len_bytes() == len(first.encode())) & cells.str.ends_with(zone)
    found = bare.str.to_datetime(spelt, strict=False, time_unit="us").cast(pl.Int64)
    good = (same & found.is_not_null()).fill_null(False).to_numpy()
    widths = {letter: _WIDTHS[letter] for letter in _letters(spelt)}
    return Quick(np.where(good, found.fill_null(0).to_numpy(), 0), good, widths, zone)


@cache
def _variants(format: str) -> tuple[str, ...]:
    """A format with and without what may be absent, where it is a day of digits and perhaps a time of day."""
    inner = _BRACKETS.search(format)
    if inner is not None:
        given = format[: inner.start()] + inner[1] + format[inner.end() :]
        return _variants(given) + _variants(format[: inner.start()] + format[inner.end() :])
    letters = _letters(re.sub("%[:#]?z$", "", format))
    known = set(letters) <= set(_WIDTHS) and set("Ymd") <= set(letters)
    return (format,) if known and ("H" in letters) == ("M" in letters) and "]" not in format else ()


def _letters(format: str) -> list[str]:
    return [found[1] for found in _TOKEN.finditer(format) if found[1]]


def _pattern(format: str) -> str:
    made = ""
    for found in _TOKEN.finditer(format):
        letter = found[1]
        zone = r"(?P<zone>[+-]\d{2}(?::?\d{2})?)"
        made += rf"\d{{{_WIDTHS[letter]}}}" if letter else zone if found[0].startswith("%") else re.escape(found[0])
    return f"{made}$"


def _fits(format: str, cell: str) -> bool:
    return re.match(_pattern(format), cell) is not None


def _zone_width(format: str, cell: str) -> int:
    found = re.match(_pattern(format), cell)
    return len(found["zone"]) if found else 0
