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
from ostinato.data.tables.group_rows import Numbering
from ostinato.data.tables.list_columns import list_column
from ostinato.data.tables.long import LongTable, by_time, named_rows, not_later
from ostinato.data.tables.numbers import Problem, read_numbers
from ostinato.data.times.clock import Clock

_STEPS = 1 << 17
"""Of a block, unless one session has more."""
_LINE, _FILE, _NUMBER, _KEY = "\0line", "\0file", "\0number", "\0session"


@dataclass
class Sessions:
    """Reads a long table; its numbers wait outside of memory, since a session may be anywhere in it.

    Args:
        name: of the column that is made: numbers, or frames where there are several parts.
        parts: columns of its numbers.
        session: the columns whose values rows of one series share.
        clock: of the columns that order them; none: in file order.
        labels: a column that has a value a step, which becomes a list; none: there is no such column.
        numeric: whether these values are numbers, or else texts.
        bad_rows: for rows that can't be used, whose sessions are set aside whole.
        note: for what a user should know.
        on_duplicate: rows of one time in one session: stop, or which value is taken: first, mean, sum.
    """

    name: str
    parts: Sequence[str]
    session: tuple[str, ...]
    clock: Clock | None
    labels: str | None
    numeric: bool
    bad_rows: BadRows
    note: Callable[[str], None]
    on_duplicate: str = "stop"
    _spoilt: set[str | None] = field(default_factory=set)
    _texts: Numbering = field(default_factory=Numbering)
    _files: dict[str, int] = field(default_factory=dict)

    def blocks(self, blocks: Iterable[Block], columns: Sequence[str]) -> Iterator[Block]:
        """Blocks of sessions, in the order of their first rows."""
        rows = LongTable({"values": self.parts}, self._reject, self.session, self.clock)
        others = [name for name in columns if name not in (self.name, self.labels)]
        facts = _Facts(others)
        for block in blocks:
            numbers, good = rows.add(block, *self._labels(block))
            facts.add(numbers, kept := block.keep(good), self._numbers_of(kept))
        names, offsets, steps = rows.finish(next(reversed(self._files), ""))
        if not names:
            return
        times = self.clock.names if self.clock else ()
        for note in self.clock.notes if self.clock else ():
            self.note(note)
        if "zone" in steps:
            steps["stamps"] = steps["stamps"] - steps.pop("zone")
        table = facts.finish().with_columns(pl.Series(_KEY, names))
        self._tell_of_changes(table, [name for name in others if name not in (*self.parts, *times)])
        for first, last in runs_of(offsets, _STEPS):
            some = {name: values[offsets[first] : offsets[last]] for name, values in steps.items()}
            yield self._block(some, table[first:last], offsets[first : last + 1] - offsets[first], columns)

    def _labels(self, block: Block) -> tuple[dict[str, Array], list[Problem]]:
        """The label of each row, and what is wrong with some."""
        if self.labels is None:
            return {}, []
        cells = block.table[self.labels]
        empty = (cells.is_null().to_numpy(), f"no value in column `{self.labels}`", None)
        if self.numeric:
            values, problems = read_numbers(block.table, [self.labels])
            return {"labels": values[:, 0]}, [empty, *problems]
        return {"labels": self._texts.of(cells.cast(pl.String).fill_null(""))}, [empty]

    def _numbers_of(self, block: Block) -> Ids:
        """The number of the file of each row."""
        numbers = [self._files.setdefault(file, len(self._files)) for file in block.files]
        return np.broadcast_to(np.asarray(numbers, dtype=np.int32), len(block))

    def _reject(self, block: Block, row: int, reason: str) -> None:
        """A row that can't be used spoils its session."""
        name = named_rows(block.table[row], self.session)[0]
        self.bad_rows.add(*block.location(row), f"{reason} (its session is set aside whole)", str(name))
        self._spoilt.add(name)

    def _tell_of_changes(self, table: pl.DataFrame, names: Sequence[str]) -> None:
        for name in names:
            changing = int(table[_varies(name)].sum())
            if changing:
                self.note(f"`{name}` changes within {counted(changing, 'session')}, which have no value of it")

    def _block(self, steps: dict[str, Array], table: pl.DataFrame, offsets: Offsets, columns: Sequence[str]) -> Block:
        """Some sessions whose rows are contiguous."""
        good = ~table[_KEY].is_in(list(self._spoilt - {None})).to_numpy()
        if self.clock is not None:
            steps = by_time(steps, offsets)
            same = not_later(steps["stamps"], offsets)
            if self.on_duplicate == "stop":
                good &= self._not_doubled(same, offsets, good, table)
            elif len(same):
                steps, offsets = _merged(steps, offsets, same, self.on_duplicate)
                self.note(f"{counted(len(same), 'row')} of a time that stood before: {self.on_duplicate} is taken")
        lengths = np.diff(offsets)
        kept = np.repeat(good, lengths)
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
        names = list(self._files)
        files = [names[number] for number in table[_FILE]] if len(names) > 1 else names
        return Block(table.with_columns(*plain).with_columns(*made).select(columns), tuple(files), lines)

    def _not_doubled(self, same: Offsets, offsets: Offsets, good: Mask, table: pl.DataFrame) -> Mask:
        """Which sessions have no two rows of one time, such as the rows `same`; the others are recorded."""
        doubled = np.zeros(len(table), dtype=np.bool_)
        doubled[np.searchsorted(offsets, same, side="right") - 1] = True
        for row in np.flatnonzero(doubled & good).tolist():
            name = table[_KEY][row]
            reason = f"session {name!r} has two rows of one `{self.clock.name if self.clock else ''}`"
            file = list(self._files)[table[_FILE][row]]
            hint = "the mean of such rows: --set data.on_duplicate=mean"
            self.bad_rows.add(file, int(table[_LINE][row]), reason, str(name), hint)
        return ~doubled


def _merged(steps: dict[str, Array], offsets: Offsets, same: Offsets, how: str) -> tuple[dict[str, Array], Offsets]:
    """One row of each time; `same`: the rows that have that of the row before. What is no channel: the first one's."""
    first = np.setdiff1d(np.arange(offsets[-1]), same)
    merged = {name: values[first] for name, values in steps.items()}
    if how != "first":
        merged["values"] = np.add.reduceat(steps["values"], first, axis=0)
    if how == "mean":
        merged["values"] /= np.diff([*first, offsets[-1]])[:, None]
    return merged, np.searchsorted(first, offsets)


class _Facts:
    """What sessions have one of: their first line, and of each column a value and whether it changes."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._parts: list[pl.DataFrame] = []
        self._rows, self._least = 0, 1 << 16

    def add(self, numbers: Ids, block: Block, files: Ids) -> None:
        """Rows of a block, with the numbers of their sessions and files."""
        own = pl.DataFrame({_NUMBER: numbers, _LINE: block.lines, _FILE: files})
        steady = (pl.lit(False).alias(_varies(name)) for name in self._columns)
        rows = own.with_columns(block.table.get_column(name) for name in self._columns).with_columns(steady)
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
            pl.col(_LINE, _FILE).first(),
            *(pl.col(name).first() for name in self._columns),
            *(
                ((pl.col(name).n_unique() > 1) | pl.col(_varies(name)).any()).alias(_varies(name))
                for name in self._columns
            ),
        )


def _varies(name: str) -> str:
    return f"\0varies {name}"
