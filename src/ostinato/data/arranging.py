"""Series that stand in a table otherwise than one a cell: a column a step (wide), or a row a step (long)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from ostinato.data.arrays import Array
from ostinato.data.blocks import Block
from ostinato.data.rejects import BadRows, counted
from ostinato.errors import DataError, RecipeError

_ROWS = 4096
_LINE, _STAMP, _FIRST = "\0line", "\0time", "\0first"


@dataclass(frozen=True)
class Arrangement:
    """How the column `name` is made of others.

    Without `session`, each row is a series: the columns that `name` spells are its steps, and empty cells at the end
    say that it is shorter. With `session`, rows that share its value are a series: the columns are channels, and steps
    go by `time`, or as they stand. Such a table is held in memory as numbers, since a session may stand anywhere in it.

    Args:
        name: columns as the recipe's `data.input` spells them: `first:last` as they stand in the file, or `a,b,c`.
        session: the column whose value rows of one series share.
        time: the column that orders them: numbers, or dates and times in ISO 8601.
    """

    name: str
    session: str | None = None
    time: str | None = None

    def columns(self, there: Sequence[str]) -> list[str]:
        """The columns of the table with the made one among them."""
        self.parts(there)
        return [*there, *([] if self.name in there else [self.name])]

    def parts(self, there: Sequence[str]) -> list[str]:
        """The columns that `name` spells. Raises `DataError` where there is none of that name."""
        if self.name in there:
            return [self.name]
        first, colon, last = self.name.partition(":")
        names = [first, last] if colon else [part.strip() for part in self.name.split(",")]
        for name in (*names, *(one for one in (self.session, self.time) if one)):
            if name not in there:
                raise DataError(
                    f"there is no column `{name}`, of which `data.input` = {self.name!r} is made. "
                    f"Columns: {', '.join(there)}."
                )
        if not colon:
            return names
        start, end = there.index(first), there.index(last)
        if end < start:
            raise DataError(f"`{last}` stands before `{first}`. Received: `data.input` = {self.name!r}.")
        return list(there[start : end + 1])

    def needed(self, columns: Sequence[str], there: Sequence[str]) -> list[str]:
        """What must be read of the table so that `columns` can be given."""
        own = [name for name in (self.session, self.time) if name]
        plain = [name for name in columns if name in there]
        made = [*self.parts(there), *own] if self.name in columns or self.session else []
        return list(dict.fromkeys([*plain, *made]))

    def blocks(
        self,
        blocks: Iterable[Block],
        columns: Sequence[str],
        there: Sequence[str],
        bad_rows: BadRows,
        note: Callable[[str], None],
    ) -> Iterator[Block]:
        """Blocks of `columns`, the made one among them."""
        parts = self.parts(there)
        if self.session is not None:
            yield from _Sessions(self, parts, bad_rows, note).blocks(blocks, columns)
            return
        for block in blocks:
            yield _wide(block, self.name, parts, columns, bad_rows) if self.name in columns else block


def arrangement_of(name: str | None, session: str | None, time: str | None, there: Sequence[str]) -> Arrangement | None:
    """The arrangement a recipe asks for; None where its input is a column as it stands."""
    if session is None:
        if time is not None:
            raise RecipeError("`data.time` orders the rows of a `data.session`: name that column, too.")
        spelt = name is not None and name not in there and re.search(r"[:,]", name) is not None
        return Arrangement(str(name)) if spelt else None
    if name is None:
        raise RecipeError(
            "`data.input` is not set: the column of numbers that make a session's series.",
            hint="several channels: --input first:last, or --input a,b,c",
        )
    return Arrangement(name, session, time)


def _wide(block: Block, name: str, parts: Sequence[str], columns: Sequence[str], bad_rows: BadRows) -> Block:
    """A row a series."""
    numbers = _as_numbers(block.frame, parts)
    good = np.ones(len(block), dtype=np.bool_)
    for part in parts:
        for row in np.flatnonzero(_no_number(block.frame[part], numbers[part])).tolist():
            if good[row]:
                bad_rows.add(*block.location(row), f"`{part}` is not a number: {block.frame[part][row]!r}", "")
                good[row] = False
    matrix = numbers.fill_null(float("nan")).to_numpy().reshape(len(block), len(parts))
    known = ~np.isnan(matrix)
    lengths = np.where(known.any(axis=1), len(parts) - known[:, ::-1].argmax(axis=1), 0)
    cells = [row[:length].tolist() for row, length in zip(matrix, lengths, strict=True)]
    made = pl.Series(name, cells, dtype=pl.List(pl.Float64))
    return Block(block.frame.with_columns(made).select(columns), block.files, block.lines).keep(good)


@dataclass(frozen=True)
class _Sessions:
    """Rows of a long table, put together by session."""

    of: Arrangement
    parts: list[str]
    bad_rows: BadRows
    note: Callable[[str], None]

    def blocks(self, blocks: Iterable[Block], columns: Sequence[str]) -> Iterator[Block]:
        """Blocks of sessions, in the order in which their first rows stand."""
        file, frame = self._collect(blocks)
        if not len(frame):
            return
        session = str(self.of.session)
        frame = frame.with_columns(pl.col(_LINE).min().over(session).alias(_FIRST))
        frame = frame.sort([_FIRST, _STAMP, _LINE], maintain_order=True)
        others = [name for name in columns if name not in (session, self.of.name)]
        beside = [name for name in others if name not in self.parts]
        grouped = frame.group_by(session, maintain_order=True).agg(
            *(pl.col(part).alias(f"\0{part}") for part in self.parts),
            pl.col(_LINE).min(),
            (pl.col(_STAMP).n_unique() < pl.len()).alias("\0doubled"),
            *(pl.col(name).first() for name in others),
            *((pl.col(name).n_unique() > 1).alias(f"\0varies {name}") for name in beside),
        )
        grouped = self._without_doubled(grouped, file)
        for name in beside:
            grouped = self._constant(grouped, name)
        for start in range(0, len(grouped), _ROWS):
            some = grouped[start : start + _ROWS]
            lines = some[_LINE].to_numpy().astype(np.int64)
            yield Block(some.with_columns(self._made(some)).select(columns), (file,), lines)

    def _collect(self, blocks: Iterable[Block]) -> tuple[str, pl.DataFrame]:
        """All rows, channels as numbers; sessions with a row that can't be used are set aside whole."""
        session, found, file = str(self.of.session), [], ""
        spoilt: set[str] = set()
        for block in blocks:
            file = block.files[0]
            numbers = _as_numbers(block.frame, self.parts)
            stamps = _stamps(block, self.of.time)
            sessions = block.frame[session].cast(pl.String)
            problems: list[tuple[Array, str, pl.Series | None]] = [
                (sessions.is_null().to_numpy(), f"no value in column `{session}`", None)
            ]
            for part in self.parts:
                wrong = _no_number(block.frame[part], numbers[part])
                problems.append((wrong, f"`{part}` is not a number", block.frame[part]))
            if self.of.time is not None:
                unread = np.asarray(stamps.is_null())
                problems.append((unread, f"`{self.of.time}` is neither a number nor a time", block.frame[self.of.time]))
            for wrong, reason, cells in problems:
                for row in np.flatnonzero(wrong).tolist():
                    said = reason if cells is None else f"{reason}: {cells[row]!r}"
                    self.bad_rows.add(
                        *block.location(row), f"{said} (its session is set aside whole)", str(sessions[row])
                    )
                    spoilt.add(str(sessions[row]))
            plain = block.frame.drop(self.parts, strict=False).with_columns(sessions.alias(session))
            found.append(plain.with_columns(*numbers, stamps.alias(_STAMP), pl.Series(_LINE, block.lines)))
        if not found:
            return file, pl.DataFrame()
        frame = pl.concat(found)
        return file, frame.filter(~pl.col(session).fill_null("").is_in(list(spoilt)) & pl.col(session).is_not_null())

    def _without_doubled(self, grouped: pl.DataFrame, file: str) -> pl.DataFrame:
        """Without sessions that have two rows of one time."""
        if self.of.time is None:
            return grouped
        for row in np.flatnonzero(grouped["\0doubled"].to_numpy()).tolist():
            name = grouped[str(self.of.session)][row]
            reason = f"session {name!r} has two rows of one `{self.of.time}`"
            self.bad_rows.add(file, int(grouped[_LINE][row]), reason, str(name))
        return grouped.filter(~pl.col("\0doubled"))

    def _constant(self, grouped: pl.DataFrame, name: str) -> pl.DataFrame:
        """A column that has one value a session keeps it; where it changes, there is none."""
        varies = grouped[f"\0varies {name}"]
        if varies.any() and name != self.of.time:
            self.note(f"`{name}` changes within {counted(int(varies.sum()), 'session')}, which have no value of it")
        return grouped.with_columns(pl.when(varies).then(None).otherwise(pl.col(name)).alias(name))

    def _made(self, grouped: pl.DataFrame) -> pl.Series:
        """Numbers, or frames of several channels."""
        columns = [grouped[f"\0{part}"].list.eval(pl.element().fill_null(float("nan"))) for part in self.parts]
        if len(columns) == 1:
            return columns[0].alias(self.of.name)
        rows = [np.stack([np.asarray(part) for part in row], axis=1).tolist() for row in zip(*columns, strict=True)]
        return pl.Series(self.of.name, rows, dtype=pl.List(pl.List(pl.Float64)))


def _as_numbers(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    return frame.select(pl.col(name).cast(pl.Float64, strict=False) for name in names)


def _no_number(cells: pl.Series, numbers: pl.Series) -> Array:
    """Which cells hold something that is no number."""
    return np.asarray((cells.is_not_null() & numbers.is_null()).to_numpy())


def _stamps(block: Block, name: str | None) -> pl.Series:
    """What orders the rows, as numbers: the column of times, or the place in the file."""
    if name is None:
        return pl.Series(block.lines.astype(np.float64))
    cells = block.frame[name]
    numbers = cells.cast(pl.Float64, strict=False)
    if numbers.is_null().all() and cells.dtype == pl.String:
        numbers = cells.str.to_datetime(strict=False, time_unit="us").dt.epoch("us").cast(pl.Float64)
    return numbers
