"""Long tables, a row a step: the rows of a session put together into one series."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from ostinato.arrays import Array, Ids, Mask, Offsets
from ostinato.data.io.blocks import Block
from ostinato.data.rejects import BadRows, counted
from ostinato.data.sequences import runs_of
from ostinato.data.tables.group_rows import Groups, Numbering
from ostinato.data.tables.list_columns import list_column

_STEPS = 1 << 17
"""Of a block, unless one session has more."""
_LINE, _NUMBER = "\0line", "\0number"


@dataclass
class Sessions:
    """Reads a long table; its numbers wait outside of memory, since a session may stand anywhere in it.

    Args:
        name: of the column that is made: numbers, or frames where there are several parts.
        parts: columns of its numbers.
        session: the column whose value rows of one series share.
        time: the column that orders them; none: as they stand.
        labels: a column that has a value a step, which becomes a list; none: there is no such column.
        numeric: whether these values are numbers, or else texts.
        bad_rows: for rows that can't be used, whose sessions are set aside whole.
        note: for what a user should be told.
    """

    name: str
    parts: Sequence[str]
    session: str
    time: str | None
    labels: str | None
    numeric: bool
    bad_rows: BadRows
    note: Callable[[str], None]
    _spoilt: set[str] = field(default_factory=set)
    _texts: Numbering = field(default_factory=Numbering)
    _file: str = ""

    def blocks(self, blocks: Iterable[Block], columns: Sequence[str]) -> Iterator[Block]:
        """Blocks of sessions, in the order in which their first rows stand."""
        groups = Groups()
        others = [name for name in columns if name not in (self.session, self.name, self.labels)]
        facts = _Facts(others)
        for block in blocks:
            self._file = block.files[0]
            names, found, good = self._read(block)
            numbers = groups.add(names.filter(good), {name: values[good] for name, values in found.items()})
            facts.add(numbers, block.frame.filter(good), block.lines[good])
        if not len(groups.numbering):
            return
        offsets, steps = groups.finish()
        table = facts.finish().with_columns(pl.Series(self.session, groups.numbering.names))
        self._tell_of_changes(table, [name for name in others if name not in (*self.parts, self.time)])
        for first, last in runs_of(offsets, _STEPS):
            some = {name: values[offsets[first] : offsets[last]] for name, values in steps.items()}
            yield self._block(some, table[first:last], np.diff(offsets[first : last + 1]), columns)

    def _read(self, block: Block) -> tuple[pl.Series, dict[str, Array], Mask]:
        """The session of each row, its numbers, and which rows can be used; the others spoil their sessions."""
        names = block.frame[self.session].cast(pl.String)
        numbers = as_numbers(block.frame, self.parts)
        found: dict[str, Array] = {"values": numbers.fill_null(float("nan")).to_numpy().reshape(len(block), -1)}
        problems: list[tuple[Array, str, pl.Series | None]] = [
            (names.is_null().to_numpy(), f"no value in column `{self.session}`", None)
        ]
        for part in self.parts:
            wrong = no_number(block.frame[part], numbers[part])
            problems.append((wrong, f"`{part}` is not a number", block.frame[part]))
        if self.time is not None:
            stamps = _stamps(block.frame[self.time])
            found["stamps"] = stamps
            problems.append((np.isnan(stamps), f"`{self.time}` is neither a number nor a time", block.frame[self.time]))
        if self.labels is not None:
            told = block.frame[self.labels]
            problems.append((told.is_null().to_numpy(), f"no value in column `{self.labels}`", None))
            if self.numeric:
                values = as_numbers(block.frame, [self.labels])[self.labels]
                problems.append((no_number(told, values), f"`{self.labels}` is not a number", told))
                found["labels"] = values.fill_null(float("nan")).to_numpy()
            else:
                found["labels"] = self._texts.of(told.cast(pl.String).fill_null(""))
        good = names.is_not_null().to_numpy().copy()
        for wrong, reason, cells in problems:
            for row in np.flatnonzero(wrong).tolist():
                said = reason if cells is None else f"{reason}: {cells[row]!r}"
                self.bad_rows.add(*block.location(row), f"{said} (its session is set aside whole)", str(names[row]))
                if names[row] is not None:
                    self._spoilt.add(names[row])
        return names, found, good

    def _tell_of_changes(self, table: pl.DataFrame, names: Sequence[str]) -> None:
        for name in names:
            changing = int(table[_varies(name)].sum())
            if changing:
                self.note(f"`{name}` changes within {counted(changing, 'session')}, which have no value of it")

    def _block(self, steps: dict[str, Array], table: pl.DataFrame, lengths: Offsets, columns: Sequence[str]) -> Block:
        """Some sessions whose rows stand one after the other."""
        of = np.repeat(np.arange(len(lengths)), lengths)
        good = ~table[self.session].is_in(list(self._spoilt)).to_numpy()
        if self.time is not None:
            order = np.lexsort((steps["stamps"], of))
            steps = {name: values[order] for name, values in steps.items()}
            good &= self._not_doubled(steps["stamps"], of, good, table)
        kept = good[of]
        values = steps["values"][kept]
        values = values[:, 0] if len(self.parts) == 1 else values
        made = [list_column(self.name, values, lengths[good])]
        if self.labels is not None:
            said = pl.Series(steps["labels"][kept])
            said = said if self.numeric else pl.Series(self._texts.names, dtype=pl.String).gather(said)
            made.append(list_column(self.labels, said, lengths[good]))
        table = table.filter(good)
        plain = [
            pl.when(varies).then(None).otherwise(pl.col(name)).alias(name)
            for name in table.columns
            if (varies := _varies(name)) in table.columns and name not in self.parts
        ]
        lines = table[_LINE].to_numpy().astype(np.int64)
        return Block(table.with_columns(*plain).with_columns(*made).select(columns), (self._file,), lines)

    def _not_doubled(self, stamps: Array, of: Offsets, good: Mask, table: pl.DataFrame) -> Mask:
        """Which sessions have no two rows of one time; the others are recorded."""
        same = (np.diff(stamps) == 0) & (np.diff(of) == 0)
        doubled = np.zeros(len(table), dtype=np.bool_)
        doubled[of[1:][same]] = True
        for row in np.flatnonzero(doubled & good).tolist():
            name = table[self.session][row]
            reason = f"session {name!r} has two rows of one `{self.time}`"
            self.bad_rows.add(self._file, int(table[_LINE][row]), reason, str(name))
        return ~doubled


class _Facts:
    """What sessions have one of: their first line, and of each column a value and whether it changes."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._parts: list[pl.DataFrame] = []
        self._rows, self._least = 0, 1 << 16

    def add(self, numbers: Ids, frame: pl.DataFrame, lines: Offsets) -> None:
        """Rows of a block, with the numbers of their sessions."""
        own = pl.DataFrame({_NUMBER: numbers, _LINE: lines})
        steady = (pl.lit(False).alias(_varies(name)) for name in self._columns)
        rows = own.with_columns(frame.get_column(name) for name in self._columns).with_columns(steady)
        self._parts.append(self._merged(rows))
        self._rows += len(self._parts[-1])
        if self._rows > self._least:
            self._parts = [self._merged(pl.concat(self._parts))]
            self._rows = len(self._parts[0])
            self._least = max(self._least, 2 * self._rows)

    def finish(self) -> pl.DataFrame:
        """A row a session, by number."""
        return self._merged(pl.concat(self._parts)).sort(_NUMBER)

    def _merged(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.group_by(_NUMBER, maintain_order=True).agg(
            pl.col(_LINE).first(),
            *(pl.col(name).first() for name in self._columns),
            *(
                ((pl.col(name).n_unique() > 1) | pl.col(_varies(name)).any()).alias(_varies(name))
                for name in self._columns
            ),
        )


def _varies(name: str) -> str:
    return f"\0varies {name}"


def as_numbers(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Some columns as numbers, null where a cell is none."""
    return frame.select(pl.col(name).cast(pl.Float64, strict=False) for name in names)


def no_number(cells: pl.Series, numbers: pl.Series) -> Array:
    """Which cells hold something that is no number."""
    return np.asarray((cells.is_not_null() & numbers.is_null()).to_numpy())


def _stamps(cells: pl.Series) -> Array:
    """What orders the rows, as numbers; NaN where a cell is neither a number nor a time."""
    numbers = cells.cast(pl.Float64, strict=False)
    if numbers.is_null().all() and cells.dtype == pl.String:
        numbers = cells.str.to_datetime(strict=False, time_unit="us").dt.epoch("us").cast(pl.Float64)
    return numbers.fill_null(float("nan")).to_numpy()
