"""Long tables, a row a step: rows gathered by the name they share, and put in order of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from ostinato.arrays import Array, Ids, Mask, Offsets
from ostinato.data.io.blocks import Block
from ostinato.data.io.spool import stretches
from ostinato.data.tables.group_rows import Groups
from ostinato.data.tables.numbers import Problem, Reject, read_numbers, usable
from ostinato.data.times.clock import Clock


@dataclass
class LongTable:
    """Takes in a table block by block. Its numbers wait outside of memory: a series may be anywhere in the table.

    Args:
        numbers: the columns of numbers, by the name of the array that they become together.
        reject: for each row that can't be used; it is not taken in.
        series: the columns whose values the rows of one series share; none: all rows are of one series.
        clock: of the columns that order them; none: they stay in file order.
        missing: words for a number that is missing, beside an empty cell.
    """

    numbers: Mapping[str, Sequence[str]]
    reject: Reject
    series: Sequence[str] = ()
    clock: Clock | None = None
    missing: Sequence[str] = ()
    _groups: Groups = field(default_factory=Groups, init=False)

    def add(
        self, block: Block, further: Mapping[str, Array] | None = None, problems: Sequence[Problem] = ()
    ) -> tuple[Ids, Mask]:
        """Take in the rows of a block, with further arrays that have a value a row, and what is wrong with those.

        Returns:
            Of the rows taken the numbers of their series, and which rows these are.
        """
        frame, arrays, found = block.table, dict(further or {}), list[Problem]()
        names = named_rows(frame, self.series)
        for name in self.series:
            found.append((frame[name].is_null().to_numpy(), f"no value in column `{name}`", None))
        for key, columns in self.numbers.items():
            arrays[key], wrong = read_numbers(frame, columns, self.missing)
            found += wrong
        if self.clock is not None:
            cells = self.clock.cells(frame)
            times, unread = self.clock.read(cells)
            arrays |= times
            found.append((unread, f"`{self.clock.name}` {self.clock.expected}", cells))
        good = usable(block, [*found, *problems], self.reject)
        return self._groups.add(names.filter(good), {key: values[good] for key, values in arrays.items()}), good

    def finish(self, path: str) -> tuple[list[str], Offsets, dict[str, Array]]:
        """The names of the series by first appearance, where each begins and ends, and the arrays in that order.

        Args:
            path: of the file, for messages.

        Raises:
            DataError: where it stays open which form the time stamps have.
        """
        offsets, arrays = self._groups.finish()
        if self.clock is not None and arrays:
            arrays = self.clock.finish(arrays, offsets, path)
        return self._groups.numbering.names, offsets, arrays


def named_rows(frame: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """What the rows of a series share: the values of some columns, with `/` between; null where one is missing."""
    if not columns:
        return pl.Series([""]).new_from_index(0, len(frame))
    first, *rest = (frame[name].cast(pl.String) for name in columns)
    if not rest:
        return first
    names = _escaped(first)
    for cells in rest:
        names = names + "/" + _escaped(cells)
    return names


def _escaped(cells: pl.Series) -> pl.Series:
    """So that `a/b`, `c` and `a`, `b/c` stay two series."""
    return cells.str.replace_all("\\", "\\\\", literal=True).str.replace_all("/", "\\/", literal=True)


def not_later(stamps: Array, offsets: Offsets | None = None) -> Offsets:
    """The rows that are not later than the row before them in their series, looked for a stretch at a time.

    Args:
        stamps: of series, one after the other.
        offsets: where each begins; none: it is one series.
    """
    rows = np.concatenate(
        [
            np.flatnonzero(np.diff(stamps[max(some.start - 1, 0) : some.stop]) <= 0) + max(some.start, 1)
            for some in stretches(stamps)
        ]
    )
    return rows if offsets is None else np.setdiff1d(rows, offsets)


def by_time(steps: dict[str, Array], offsets: Offsets) -> dict[str, Array]:
    """The steps of some series, those of each in order of time; as they are if already in order."""
    if not len(not_later(steps["stamps"], offsets)):
        return steps
    order = np.lexsort((steps["stamps"], np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))))
    return {name: values[order] for name, values in steps.items()}
