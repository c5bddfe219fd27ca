"""ARFF (Weka): a header of attributes, then rows between commas; an attribute may itself be a table (UEA's series)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import polars as pl

from ostinato.data.io.blocks import Block
from ostinato.data.readers.base import Source
from ostinato.errors import DataError

_ATTRIBUTE = re.compile(r"@attribute\s+('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\S+)\s+(.+)$", re.IGNORECASE)
_FIELD = re.compile(r"\s*('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^,]*?)\s*(?:,|$)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_NUMERIC = ("numeric", "real", "integer")
_NESTED = "relational"
_FEWEST_STEPS = 8


@dataclass(frozen=True)
class _Attribute:
    """A column: its name, its type in lower case, and the names it may hold, of a nominal one."""

    name: str
    type: str
    names: tuple[str, ...] = ()


@dataclass
class ArffSource(Source):
    """ARFF. Columns are the attributes; `?` is no value. A sparse row has 0, or the first of the names, elsewhere.

    A relational attribute is a series: as in the UEA archive each of its rows is a channel, between `\\n` in one quoted
    cell. Where many numbered attributes of numbers stand before a nominal one, they are the steps of a series.

    Source: https://waikato.github.io/weka-wiki/formats_and_processing/arff_stable/
    """

    format: ClassVar[str] = "arff"
    suffixes: ClassVar[tuple[str, ...]] = (".arff",)
    tabular: ClassVar[bool] = True
    _attributes: list[_Attribute] = field(default_factory=list, init=False, repr=False)

    @property
    def usual_input(self) -> str | None:  # type: ignore[override]
        """The series, if there is one."""
        return next((one.name for one in self._of_columns() if one.type == _NESTED), None)

    @property
    def usual_target(self) -> str | None:  # type: ignore[override]
        """The last attribute, if it is one of some names."""
        last = self._of_columns()[-1]
        return last.name if last.names else None

    def usual_session(self, target: str | None) -> tuple[str | None, str] | None:
        """Numbered attributes in a row are the steps of a series."""
        steps = [one.name for one in self._of_columns() if one.type in _NUMERIC]
        stems = {name.rstrip("0123456789") for name in steps}
        target = target or self.usual_target
        whole = len(steps) >= _FEWEST_STEPS and len(stems) == 1 and {*self.columns()} - {*steps} == {target}
        return (None, f"{steps[0]}:{steps[-1]}") if whole else None

    def kind_of(self, column: str) -> str | None:
        """A relational attribute is a series."""
        found = next((one for one in self._of_columns() if one.name == column), None)
        return "series" if found is not None and found.type == _NESTED else None

    def _of_columns(self) -> list[_Attribute]:
        self.columns()
        return self._attributes

    def _read_columns(self) -> list[str]:
        depth, found = 0, list[_Attribute]()
        for records in self._records(glance=True):
            for number, text in records.decoded():
                line = text.strip()
                mark = line.lower()
                if mark.startswith("@data"):
                    self._attributes = found
                    return [one.name for one in found]
                if mark.startswith("@end"):
                    depth -= 1
                elif mark.startswith("@attribute"):
                    attribute = self._attribute(line, number)
                    found += [attribute] if not depth else []
                    depth += attribute.type == _NESTED
                elif line and not line.startswith("%") and not mark.startswith("@relation"):
                    raise DataError(
                        f"`{self.name}`:{number}: a line of the header begins with @. Received: {line[:60]!r}."
                    )
        raise DataError(f"`{self.name}` has no line `@data`: it is not an ARFF file, or it is cut off.")

    def _attribute(self, line: str, number: int) -> _Attribute:
        match = _ATTRIBUTE.match(line)
        if match is None:
            raise DataError(f"`{self.name}`:{number}: an attribute has a name and a type. Received: {line[:60]!r}.")
        name, type = _plain(match[1]), match[2].strip()
        if type.startswith("{"):
            return _Attribute(name, "nominal", tuple(_fields(type.strip("{} \t"))))
        return _Attribute(name, type.split()[0].lower())

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        in_data = False
        for records in self._records():
            rows: list[list[str | None]] = []
            lines: list[int] = []
            for line, text in records.decoded():
                text = text.strip()
                if not in_data:
                    in_data = text.lower().startswith("@data")
                elif text and not text.startswith("%") and (row := self._row(text, line)) is not None:
                    rows.append(row)
                    lines.append(line)
            if rows:
                block = self._block(rows, lines, columns)
                if len(block):
                    yield block

    def _row(self, text: str, line: int) -> list[str | None] | None:
        """The cells of a row; None for a bad one, which is recorded."""
        attributes = self._of_columns()
        if text.startswith("{"):
            cells: list[str | None] = [one.names[0] if one.names else "0" for one in attributes]
            for pair in filter(None, _fields(text.strip("{} \t"), keep_quotes=True)):
                place, _, value = pair.strip().partition(" ")
                if not place.isdecimal() or int(place) >= len(cells):
                    self.bad_rows.add(str(self.path), line, f"a sparse cell has no such column: {pair[:40]!r}", text)
                    return None
                cells[int(place)] = _plain(value.strip())
        else:
            cells = list(_fields(text))
        if len(cells) != len(attributes):
            reason = f"has {len(cells)} fields, the header has {len(attributes)}"
            self.bad_rows.add(str(self.path), line, reason, text)
            return None
        return [None if cell in ("?", "") else cell for cell in cells]

    def _block(self, rows: list[list[str | None]], lines: list[int], columns: Sequence[str]) -> Block:
        made: list[pl.Series] = []
        good = np.ones(len(rows), dtype=np.bool_)
        names = [one.name for one in self._attributes]
        for column in columns:
            attribute = self._attributes[names.index(column)]
            cells = [row[names.index(column)] for row in rows]
            if attribute.type != _NESTED:
                made.append(pl.Series(column, cells, dtype=pl.String))
                continue
            series = [_series(cell or "") for cell in cells]
            for place in [place for place, one in enumerate(series) if isinstance(one, str)]:
                self.bad_rows.add(str(self.path), lines[place], str(series[place]), cells[place] or "")
                good[place] = False
            values = [[] if isinstance(one, str) else one for one in series]
            made.append(pl.Series(column, values, dtype=pl.List(pl.List(pl.Float64))))
        return Block(pl.DataFrame(made), (str(self.path),), np.asarray(lines, dtype=np.int64)).keep(good)


def _series(cell: str) -> list[list[float]] | str:
    """Frames of a number a channel, of a cell that has a channel a line; or why it can't be read."""
    try:
        channels = [[float("nan") if one.strip() in ("?", "") else float(one) for one in line.split(",")]
                    for line in cell.split("\n") if line.strip()]  # fmt: skip
    except ValueError as error:
        return f"not a number in a series: {str(error).rpartition(':')[2].strip()[:40]}"
    if len({len(channel) for channel in channels}) != 1:
        return f"the channels of a series have different numbers of steps: {[len(one) for one in channels][:12]}"
    return [list(step) for step in zip(*channels, strict=True)]


def _fields(text: str, *, keep_quotes: bool = False) -> list[str]:
    """What is between commas, outside quotes."""
    if "'" not in text and '"' not in text:
        return [cell.strip() for cell in text.split(",")]
    found: list[str] = []
    place = 0
    while (match := _FIELD.match(text, place)) is not None and match.end() > place:
        found.append(match[1] if keep_quotes else _plain(match[1]))
        place = match.end()
    return found + ([""] if text.endswith(",") else [])


def _plain(text: str) -> str:
    """A name or cell without quotes."""
    if len(text) < 2 or text[0] not in "'\"" or text[-1] != text[0]:
        return text
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text[1:-1], flags=re.DOTALL)
