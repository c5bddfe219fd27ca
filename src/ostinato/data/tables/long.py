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
from ostinato.data.tables.times import parse_times


@dataclass
class LongTable:
    """Takes in a table block by block. Its numbers wait outside of memory: a series may stand anywhere in the table.

    Args:
        numbers: the columns of numbers, by the name of the array that they become together.
        reject: for each row that can't be used; it is not taken in.
        series: the column whose value the rows of one series share; none: all rows are of one series.
        time: the column that orders them; none: they stay as they stand.
        fractions: whether times may be fractions, too, and not only whole numbers, dates and times of the day.
        missing: words for a number that is missing, beside an empty cell.
    """

    numbers: Mapping[str, Sequence[str]]
    reject: Reject
    series: str | None = None
    time: str | None = None
    fractions: bool = False
    missing: Sequence[str] = ()
    unit: str | None = field(default=None, init=False)
    """Of the times, "us" or "step", as the first that can be read has it."""
    _groups: Groups = field(default_factory=Groups, init=False)

    def add(
        self, block: Block, further: Mapping[str, Array] | None = None, problems: Sequence[Problem] = ()
    ) -> tuple[Ids, Mask]:
        """Take in the rows of a block, with further arrays that have a value a row, and what is wrong with those.

        Returns:
            Of the rows taken the numbers of their series, and which rows these are.
        """
        frame, arrays, found = block.frame, dict(further or {}), list[Problem]()
        names = pl.Series([""]).new_from_index(0, len(block))
        if self.series is not None:
            names = frame[self.series].cast(pl.String)
            found.append((names.is_null().to_numpy(), f"no value in column `{self.series}`", None))
        for key, columns in self.numbers.items():
            arrays[key], wrong = read_numbers(frame, columns, self.missing)
            found += wrong
        if self.time is not None:
            times = self._times(frame[self.time])
            arrays["stamps"] = times.fill_null(0).to_numpy()
            what = "a number nor a time" if self.fractions else "a whole number nor a time"
            found.append((times.is_null().to_numpy(), f"`{self.time}` is neither {what}", frame[self.time]))
        good = usable(block, [*found, *problems], self.reject)
        return self._groups.add(names.filter(good), {key: values[good] for key, values in arrays.items()}), good

    def finish(self) -> tuple[list[str], Offsets, dict[str, Array]]:
        """The names of the series by first appearance, where each begins and ends, and the arrays in that order."""
        return self._groups.numbering.names, *self._groups.finish()

    def _times(self, cells: pl.Series) -> pl.Series:
        """Times as numbers, null where a cell is none, or one of another unit than the first."""
        as_number = pl.Float64 if self.fractions else pl.Int64
        numbers = cells.cast(pl.String).str.strip_chars().cast(as_number, strict=False)
        if self.unit == "step" or (self.fractions and self.unit is None and numbers.null_count() < len(numbers)):
            self.unit = "step"
            return numbers
        parsed = parse_times(cells)
        if parsed is None or parsed[1] != (self.unit or parsed[1]):
            return pl.Series([None], dtype=as_number).new_from_index(0, len(cells))
        self.unit = parsed[1]
        return parsed[0].cast(as_number)


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
    """The steps of some series, those of each in order of time; as they are if they stand so."""
    if not len(not_later(steps["stamps"], offsets)):
        return steps
    order = np.lexsort((steps["stamps"], np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))))
    return {name: values[order] for name, values in steps.items()}
