"""Series in a table that are not one per cell: a column a step (wide), or a row a step (long)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ostinato.data.io.blocks import Block
from ostinato.data.rejects import BadRows
from ostinato.data.tables.list_columns import list_column
from ostinato.data.tables.numbers import wide_rows
from ostinato.data.tables.sessions import Sessions
from ostinato.data.times.clock import Clock
from ostinato.errors import DataError, RecipeError
from ostinato.recipe.base import Columns, named_by
from ostinato.wording import option


@dataclass(frozen=True)
class Arrangement:
    """How the column `name` is made of others.

    Without `session`, each row is a series: the columns that `name` spells are its steps, and empty cells at the end
    say that it is shorter. With `session`, rows that share its value are a series: the columns are channels, and steps
    are ordered by `time`, or as in the file; `labels` has a value a step, too, and becomes a list.

    Args:
        name: columns as the recipe's `data.input` spells them: `first:last` as they are in the file, or `a,b,c`.
        session: the columns whose values rows of one series share.
        time: the columns that order them: numbers, or dates and times.
        time_format: of these; none: it is inferred.
        labels: the column that says something of each step.
        numeric: whether it says numbers, or else texts.
        on_duplicate: rows of one time in one session: stop, or which value is taken.
    """

    name: str
    session: tuple[str, ...] = ()
    time: tuple[str, ...] = ()
    time_format: str | None = None
    labels: str | None = None
    numeric: bool = False
    on_duplicate: str = "stop"

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
        for name in (*names, *self.session, *self.time):
            if name not in there:
                raise DataError(
                    f"there is no column `{name}`, of which `data.input` = {self.name!r} is made. "
                    f"Columns: {', '.join(there)}."
                )
        if not colon:
            return names
        start, end = there.index(first), there.index(last)
        if end < start:
            raise DataError(f"`{last}` comes before `{first}`. Received: `data.input` = {self.name!r}.")
        return list(there[start : end + 1])

    def needed(self, columns: Sequence[str], there: Sequence[str]) -> list[str]:
        """What must be read of the table so that `columns` can be given."""
        own = [*self.session, *self.time, *([self.labels] if self.labels else [])]
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
        if self.session:
            clock = Clock(self.time, self.time_format, plain=True) if self.time else None
            sessions = Sessions(
                self.name, parts, self.session, clock, self.labels, self.numeric, bad_rows, note, self.on_duplicate
            )
            yield from sessions.blocks(blocks, columns)
            return
        for block in blocks:
            yield _wide(block, self.name, parts, columns, bad_rows) if self.name in columns else block


def arrangement_of(
    name: str | None, session: Columns, time: Columns, there: Sequence[str], time_format: str | None = None
) -> Arrangement | None:
    """The arrangement a recipe asks for; None where its input is a single column."""
    if session is None:
        if time is not None:
            raise RecipeError("`data.time` orders the rows of a `data.session`: name that column, too.")
        spelt = name is not None and name not in there and re.search(r"[:,]", name) is not None
        return Arrangement(str(name)) if spelt else None
    if name is None:
        channels = [name for name in there if name not in (*named_by(session), *named_by(time))] or list(there)
        raise RecipeError(
            "`data.input` is not set: the column of numbers that make a session's series.",
            hint=f"one channel: {option('--input', channels[-1])}; several: `--input first:last`, `--input a,b,c`",
        )
    return Arrangement(name, named_by(session), named_by(time), time_format)


def _wide(block: Block, name: str, parts: Sequence[str], columns: Sequence[str], bad_rows: BadRows) -> Block:
    """A row a series."""
    numbers, lengths, good = wide_rows(block, parts, lambda of, row, what: bad_rows.add(*of.location(row), what))
    made = list_column(name, numbers[np.arange(len(parts)) < lengths[:, None]], lengths)
    return Block(block.table.with_columns(made).select(columns), block.files, block.lines).keep(good)
