"""What the first lines of a table of text say of all of it: dialect, names of the columns, what none of them is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ostinato.arrays import Offsets
from ostinato.data.io.fields import Fields
from ostinato.data.io.header import is_header, name_fields, numbers_rows
from ostinato.data.io.records import Records, cut_records
from ostinato.data.io.syntax import find_syntax, told_separator
from ostinato.data.tables.marks import find_marks, plain_numbers, signs_in, stand_ins, without_stand_ins
from ostinato.errors import DataError
from ostinato.recipe.dialect import SEPARATORS, Dialect
from ostinato.wording import setting

_ROWS = 200
"""Rows that are looked at for the names of the columns."""
_CELLS = 100_000
_MOST = 0.9
_FEWEST = 3
_LISTED = 8


@dataclass(frozen=True)
class TableHead:
    """A table's dialect with nothing left open, a name for each of its fields, and what is no row.

    passed_over: fields that are no columns, since they are empty or number the rows; row_numbers: where these start;
    marked: columns whose numbers are not written plainly; not_rows: lines that hold names, or say how the file is
    written; unusual: of the dialect, what a recipe must say; notes: what a user should know.
    """

    fields: Fields
    names: tuple[str, ...]
    passed_over: tuple[str, ...] = ()
    row_numbers: int | None = None
    marked: tuple[str, ...] = ()
    not_rows: tuple[int, ...] = ()
    unusual: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def plain(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Columns as text that says what they hold: numbers written plainly, nothing where there is no value."""
        dialect, there = self.fields.dialect, set(frame.columns)
        frame = _without_empty(frame).with_columns(
            plain_numbers(frame[name], dialect) for name in self.marked if name in there
        )
        if not dialect.null_values:
            return frame
        return frame.with_columns(without_stand_ins(cells, dialect.null_values) for cells in frame.get_columns())


def read_table_head(
    path: Path, raw: bytes, dialect: Dialect, usual: Dialect, further: Sequence[bytes] = ()
) -> TableHead:
    """The head of a table.

    Args:
        path: the file, for messages.
        raw: its beginning, whole lines in UTF-8.
        dialect: what a recipe says of it.
        usual: what a file with this name is written like.
        further: whole lines from elsewhere in the file, which say how numbers are written, too.

    Raises:
        DataError: where there is no line that can be read.
    """
    syntax = find_syntax(raw, dialect, usual)
    fields = Fields(syntax)
    told = told_separator(raw)
    records = next((fields.rows(one) for one in cut_records([raw], fields.ends, path)), None)
    if records is None or not len(records):
        raise DataError(f"`{path}` has no readable header.")
    if told and len(records) > 1 and records.lines[0] == 1:
        records = records.keep(np.arange(len(records)) > 0)
    without = next((number for number in range(len(records)) if any(fields.split(records[number]))), 0)
    empty = records.lines[:without].tolist()  # lines without a cell name nothing
    records = records.keep(np.arange(len(records)) >= without)
    first = _First(fields, records, dialect, raw)
    names, unnamed, renamed = name_fields(first.names)
    frame = first.frame(names)
    passed_over, start = _passed_over(frame, [names[place] for place in unnamed])
    frame = frame.drop(passed_over)
    some = pl.concat([frame, *(_rows_of(fields, one, path, names).drop(passed_over) for one in further)])
    known, marked = find_marks(some, syntax)
    not_rows = (*((1,) if told else ()), *empty, *first.lines)
    head = TableHead(Fields(known), tuple(names), passed_over, start, marked, not_rows)
    notes = [
        _of_dialect(known, dialect, usual, some, head),
        first.note,
        _of_names(head, unnamed, renamed) if first.names_given else None,
        _of_stand_ins(head.plain(frame)),
    ]
    unusual = {key: value for key in _FOUND if (value := getattr(known, key)) != getattr(usual, key)}
    if not first.names_given:
        unusual["header"] = tuple(names)
    return replace(head, unusual=unusual, notes=tuple(note for note in notes if note))


_FOUND = ("separator", "quote", "decimal", "thousands", "comment")
"""The parts of a dialect that are found by content and saved."""


class _First:
    """The first record of a table: whether it names columns, and what it names.

    names: of the fields, empty where the file has none; lines: what it takes up, where it is no row; note: what is to
    be said of it.
    """

    def __init__(self, fields: Fields, records: Records, dialect: Dialect, raw: bytes) -> None:
        self._fields = fields
        self._quotes = fields.quotes(records.raw)
        counts = fields.counts(records, self._quotes)
        most, share = _mode(counts[1:] if len(counts) > 1 else counts)
        at = self._begin(records, counts, dialect)
        self._records = records.keep(np.arange(len(records)) > at)
        self._counts = counts[at + 1 :]
        self.names = [name.strip() for name in fields.split(records[at])]
        self.lines: tuple[int, ...] = (int(records.lines[at]),)
        self.note: str | None = None
        self.names_given = True
        alike = self._rows(len(self.names))
        says = is_header(self.names, alike) if dialect.header in ((), True) or dialect.header else False
        if isinstance(dialect.header, tuple) and dialect.header:
            same = len(dialect.header) == len(self.names)
            if says and same:
                self.note = f"data.header replaces the first line ({', '.join(self.names[:_LISTED])})"
            else:
                self._is_row(records, at)
            self.names, self.names_given = list(dialect.header), True
            return
        if dialect.header is False or (dialect.header == () and says is False):
            self._is_row(records, at)
            self._name_by_number(raw, dialect)
            return
        self.names[0] = self.names[0].lstrip("#").strip() if counts[at] == most else self.names[0]
        if counts[at] == most - 1 and share >= _MOST and len(self._counts) > 1:
            self._one_more(int(most))

    def _begin(self, records: Records, counts: Offsets, dialect: Dialect) -> int:
        """The first record of the table: lines before it are no rows of it. A header may have one field less."""
        first = int((counts == _mode(counts[1:] if len(counts) > 1 else counts)[0]).argmax())
        most, share = _mode(counts[first:])
        if first == 0 or share < _MOST or len(counts) - first < _FEWEST or dialect.header not in ((), True):
            return 0
        if counts[0] < most - 1:
            return int(np.flatnonzero(counts >= most - 1)[0])
        below = np.flatnonzero(counts == most)[:_ROWS].tolist()
        rows = [self._fields.split(records[place]) for place in below]
        return first if is_header(rows[0], rows[1:]) else 0

    def frame(self, names: Sequence[str]) -> pl.DataFrame:
        """The rows that have a field for each name."""
        return _frame_of(self._fields, self._records.keep(self._counts == len(names)), names)

    def _rows(self, num_fields: int) -> list[list[str]]:
        """Some of the rows."""
        places = np.flatnonzero(self._counts == num_fields)[: min(_ROWS, max(2, _CELLS // num_fields))]
        return [self._fields.split(self._records[place]) for place in places.tolist()]

    def _is_row(self, records: Records, at: int) -> None:
        """The first record is a row."""
        self.lines = ()
        self._records = records.keep(np.arange(len(records)) >= at)
        self._counts = self._fields.counts(self._records, self._fields.quotes(self._records.raw))

    def _name_by_number(self, raw: bytes, dialect: Dialect) -> None:
        shown = ", ".join(self.names[:_LISTED]) + (", …" if len(self.names) > _LISTED else "")
        count = len(self.names)
        self.names, self.names_given = [f"column_{number + 1}" for number in range(count)], False
        commented = self._commented(raw, count)
        if commented:
            self.names = commented
            self.note = f"the columns are named by a comment: {', '.join(commented[:_LISTED])}"
        elif dialect.header == ():
            names = f"column_1 to column_{count}" if count > 1 else "column_1"
            self.note = (
                f"the first line ({shown}) looks like a row, so columns are named {names} "
                f"(to name them: --set 'data.header=[{', '.join(f'name{n + 1}' for n in range(min(count, 3)))}"
                f"{', …' if count > 3 else ''}]'; if it is a header: --set data.header=true)"
            )

    def _commented(self, raw: bytes, count: int) -> list[str] | None:
        """The names in the last comment above the table, where there are as many."""
        mark = self._fields.dialect.comment.encode()
        above = [line for line in raw.split(b"\n", 100)[:100] if line.startswith(mark)]
        if mark == b"none" or not above:
            return None
        names = [name.strip() for name in self._fields.split(self._fields.rewritten(above[-1].lstrip(mark).strip()))]
        return names if len(names) == count and is_header(names, self._rows(count)) else None

    def _one_more(self, num_fields: int) -> None:
        """Rows have one field more than the header: names of rows before it, or nothing after a last separator."""
        rows = self._rows(num_fields)
        if all(not row[-1] for row in rows):
            self.names = [*self.names, ""]
            return
        self.names = ["", *self.names]
        self.note = "rows have one field more than the header: the first field is the row's name"


def _frame_of(fields: Fields, rows: Records, names: Sequence[str]) -> pl.DataFrame:
    """The cells of rows that have a field for each name."""
    if not len(rows):
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    quotes = fields.quotes(rows.raw)
    special = fields.is_special(rows, quotes) or len(quotes.toggles) % 2 == 1 or len(quotes.malformed) > 0
    cells = fields.cells(rows, len(names), list(range(len(names))), one_by_one=special)
    return _without_empty(pl.DataFrame(cells, schema=list(names)))


def _without_empty(frame: pl.DataFrame) -> pl.DataFrame:
    """Nothing in place of empty texts."""
    return frame.with_columns(pl.when(pl.all() != "").then(pl.all()).name.keep())


def _rows_of(fields: Fields, raw: bytes, path: Path, names: Sequence[str]) -> pl.DataFrame:
    """The rows in some lines that have a field for each name."""
    records = [fields.rows(one) for one in cut_records([raw], fields.ends, path)]
    rows = [one.keep(fields.counts(one, fields.quotes(one.raw)) == len(names)) for one in records if len(one)]
    return pl.concat(
        [pl.DataFrame(schema=dict.fromkeys(names, pl.String)), *(_frame_of(fields, one, names) for one in rows)]
    )


def _mode(counts: Offsets) -> tuple[int, float]:
    times = np.bincount(counts)
    return int(times.argmax()), float(times.max() / len(counts))


def _passed_over(frame: pl.DataFrame, unnamed: Sequence[str]) -> tuple[tuple[str, ...], int | None]:
    """Columns without a name that are empty, or number the rows; and where the numbers start."""
    empty = [name for name in unnamed if len(frame) and frame[name].null_count() == len(frame)]
    start = numbers_rows(frame[unnamed[0]].to_list()) if unnamed else None
    found = tuple(empty if start is None else [unnamed[0], *empty])
    return (found, start) if len(found) < len(frame.columns) else ((), None)


def _of_dialect(known: Dialect, given: Dialect, usual: Dialect, frame: pl.DataFrame, head: TableHead) -> str | None:
    """Each part that was found and is not the usual one, and what numbers are read as."""
    names = {mark: name for name, mark in SEPARATORS.items()}
    parts = [
        f"data.{key}={names.get(value, value) if key == 'separator' else repr(value)}"
        for key in _FOUND
        if getattr(given, key) == "auto" and (value := getattr(known, key)) != getattr(usual, key)
    ]
    said = [f"{', '.join(parts)} (auto-detected; --set says otherwise)"] if parts else []
    if head.marked:
        cells = frame[head.marked[0]].drop_nulls()
        plain = head.plain(cells.to_frame()).to_series()
        changed = (cells != plain).arg_true()
        if len(changed) and changed[0] is not None:
            said.append(f"{cells[int(changed[0])]!r} in `{cells.name}` is read as {plain[int(changed[0])]}")
        if signs := signs_in(frame, head.marked):
            said.append(f"numbers are read without {' and '.join(signs)}")
    return "; ".join(said) or None


def _of_names(head: TableHead, unnamed: Sequence[int], renamed: Mapping[str, str]) -> str | None:
    said = [f"there are several columns `{old}`: one is renamed to {new}" for new, old in renamed.items()]
    numbering = head.names[unnamed[0]] if head.row_numbers is not None else None
    empty = [str(place + 1) for place in unnamed if head.names[place] in set(head.passed_over) - {numbering}]
    if numbering:
        said.append(f"column {unnamed[0] + 1} has no name and numbers the rows from {head.row_numbers}: ignored")
    if empty:
        said.append(f"columns without a name or a cell are ignored: {', '.join(empty[:_LISTED])}")
    kept = [place for place in unnamed if head.names[place] not in head.passed_over]
    said += [f"column {place + 1} has no name: it is named {head.names[place]}" for place in kept]
    return "; ".join(said[:_LISTED]) or None


def _of_stand_ins(frame: pl.DataFrame) -> str | None:
    found = stand_ins(frame)
    if not found:
        return None
    rows = f"of its first {len(frame):,} rows"
    told = [f"`{name}` holds {value} in {times:,} {rows}" for name, value, times in found]
    values = list(dict.fromkeys(value for _, value, _ in found))
    return f"{'; '.join(told[:_LISTED])}: where that is no value: {setting('data.null_values', values)}"


def beginning(pieces: Iterator[bytes], num_bytes: int) -> bytes:
    """Whole lines from the beginning of a file, so many bytes of them, or its first line."""
    parts: list[bytes] = []
    waiting = 0
    for piece in pieces:
        parts.append(piece)
        waiting += len(piece)
        if waiting >= num_bytes and (end := (raw := b"".join(parts)).rfind(b"\n", 0, num_bytes) + 1):
            return raw[:end]
        if waiting >= num_bytes and (end := raw.find(b"\n") + 1):
            return raw[:end]
    return b"".join(parts)
