"""Monash's `.tsf`: a series a line, its attributes and its values between colons; read as a long table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

import numpy as np
import polars as pl

from ostinato.data.io.blocks import Block
from ostinato.data.readers.base import Source
from ostinato.errors import DataError

_TIME, _VALUE = "timestamp", "value"
_STEPS = {
    "secondly": "1s", "minutely": "1m", "half_hourly": "30m", "hourly": "1h", "daily": "1d", "weekly": "1w",
    "monthly": "1mo", "quarterly": "3mo", "yearly": "1y",
}  # fmt: skip
_UNITS = {"second": "s", "minute": "m", "hour": "h", "day": "d", "week": "w", "month": "mo", "year": "y"}
_STARTS = ("%Y-%m-%d %H-%M-%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$")
_MISSING = ("?", "nan", "")


@dataclass
class TsfSource(Source):
    """Monash's forecasting archive: columns `timestamp` (where series have a start and the file a frequency), `value`,
    and the attributes of the series, `series_name` among them; a row a step, `?` is missing.

    Source: R. Godahewa, C. Bergmeir, G. Webb, R. Hyndman, P. Montero-Manso (2021), arXiv:2105.06643, section 3.
    """

    format: ClassVar[str] = "tsf"
    suffixes: ClassVar[tuple[str, ...]] = (".tsf",)
    tabular: ClassVar[bool] = True
    _attributes: list[tuple[str, str]] = field(default_factory=list, init=False, repr=False)
    _step: str | None = field(default=None, init=False, repr=False)

    def _read_columns(self) -> list[str]:
        found, step = list[tuple[str, str]](), None
        for records in self._records(glance=True):
            for _, text in records.decoded():
                words = text.split()
                mark = words[0].lower() if words else ""
                if mark == "@data":
                    self._attributes, self._step = found, step
                    names = [name for name, kind in found if kind != "date"]
                    return [*([_TIME] if self._dated else []), *names, _VALUE]
                if mark == "@attribute" and len(words) == 3:
                    found.append((words[1], words[2].lower()))
                elif mark == "@frequency" and len(words) == 2:
                    step = _step_of(words[1].lower())
                elif mark and not mark.startswith(("@", "#", "%")):
                    raise DataError(f"`{self.name}` has data before its line `@data`: it is not a .tsf file.")
        raise DataError(f"`{self.name}` has no line `@data`: it is not a .tsf file, or it is cut off.")

    @property
    def _dated(self) -> bool:
        return self._step is not None and any(kind == "date" for _, kind in self._attributes)

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        self.columns()
        in_data = False
        for records in self._records():
            parts: list[pl.DataFrame] = []
            lines: list[int] = []
            for line, text in records.decoded():
                text = text.strip()
                if not in_data:
                    in_data = text.lower().startswith("@data")
                elif text and not text.startswith(("#", "%")) and (frame := self._series(text, line)) is not None:
                    parts.append(frame.select(columns))
                    lines += [line] * len(frame)
            if parts:
                yield Block(pl.concat(parts), (str(self.path),), np.asarray(lines, dtype=np.int64))

    def _series(self, text: str, line: int) -> pl.DataFrame | None:
        """The steps of one series; None for a bad one, which is recorded."""
        cells = text.split(":")
        if len(cells) > len(self._attributes) + 1:  # a time of day between colons, too
            cells = _rejoined(cells, [kind for _, kind in self._attributes])
        values = [value.strip() for value in cells[-1].split(",")]
        facts = dict(zip([name for name, _ in self._attributes], cells, strict=False))
        wrong = next((value for value in values if not _NUMBER.match(value) and value.lower() not in _MISSING), None)
        starts = [facts[name] for name, kind in self._attributes if kind == "date" and name in facts]
        start = _start_of(starts[0]) if starts else None
        problem = None
        if len(cells) != len(self._attributes) + 1:
            problem = f"has {len(cells)} parts between colons, the header has {len(self._attributes) + 1}"
        elif wrong is not None:
            problem = f"not a number: {wrong[:40]!r}"
        elif self._dated and start is None:
            problem = f"not a time stamp as 2012-01-31 00-00-00: {starts[0][:40]!r}"
        if problem:
            self.bad_rows.add(str(self.path), line, problem, text)
            return None
        cleaned = [None if value.lower() in _MISSING else value for value in values]
        frame = pl.DataFrame({_VALUE: pl.Series(cleaned, dtype=pl.String)})
        frame = frame.with_columns(pl.lit(cell).alias(name) for name, cell in facts.items())
        if self._dated and start is not None:
            number = re.match(r"(\d+)(\w+)", str(self._step))
            steps = pl.int_range(pl.len()) * int(number[1] if number else 1)
            unit = number[2] if number else ""
            at = pl.lit(start).dt.offset_by(steps.cast(pl.String) + unit).dt.strftime("%Y-%m-%d %H:%M:%S")
            frame = frame.with_columns(at.alias(_TIME))
        return frame


def _step_of(frequency: str) -> str | None:
    """A step as polars writes it: `10_minutes` is `10m`; None for what is no step of time."""
    count, _, unit = frequency.partition("_")
    if count.isdecimal() and unit.rstrip("s") in _UNITS:
        return f"{count}{_UNITS[unit.rstrip('s')]}"
    return _STEPS.get(frequency)


def _start_of(text: str) -> datetime | None:
    for form in _STARTS:
        try:
            return datetime.strptime(text.strip(), form)
        except ValueError:
            continue
    return None


def _rejoined(cells: list[str], kinds: list[str]) -> list[str]:
    """Cells with the parts of a time of day put together again."""
    place = kinds.index("date") if "date" in kinds else len(kinds)
    more = len(cells) - len(kinds) - 1
    return [*cells[:place], ":".join(cells[place : place + more + 1]), *cells[place + more + 1 :]]
