"""What every reader is: a path as blocks of columns."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from ostinato.data.io.blocks import Block
from ostinato.data.io.prefetch import read_ahead
from ostinato.data.io.records import Find, Records, cut_records, line_ends, readable
from ostinato.data.readers.boundary import reading
from ostinato.data.rejects import BadRows
from ostinato.data.tables.reshape import Arrangement
from ostinato.errors import DataError
from ostinato.recipe.dialect import Dialect
from ostinato.storage.decompress import COMPRESSED, read_utf8
from ostinato.wording import meant


class Claim(IntEnum):
    """How surely a path is of a format; the surest reader takes it."""

    LAST = 1
    """Where no other reader claims it."""
    SUFFIX = 2
    """By its suffix, or those of a folder's files."""
    NAME = 3
    """By its whole name."""


def suffix_of(path: Path) -> str:
    """The suffix in lower case, a compression's looked through: `.csv` of `rows.CSV.gz`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


@dataclass
class Source:
    """A file or folder as blocks of rows.

    `notes` collects what a user should know (folders left out, Latin-1); `found_encoding`: once reading has begun.
    """

    path: Path
    bad_rows: BadRows
    dialect: Dialect = field(default_factory=Dialect)
    """How it is written, as far as a recipe says."""
    notes: list[str] = field(default_factory=list)
    found_encoding: str | None = field(default=None, init=False)
    _columns: list[str] | None = field(default=None, init=False, repr=False)
    format: ClassVar[str] = ""
    """What `data.format` calls it."""
    suffixes: ClassVar[tuple[str, ...]] = ()
    """How the names of its files end, in lower case; a compression's suffix may follow."""
    of_files: ClassVar[bool] = True
    """Whether it reads a file."""
    of_folders: ClassVar[bool] = False
    """Whether it reads a folder."""
    of_archives: ClassVar[bool] = False
    """Whether it reads an archive itself; what is in one is unpacked for the other readers."""
    tabular: ClassVar[bool] = False
    """Whether its files are tables with named columns, which may hold steps of time in their rows."""
    options: ClassVar[tuple[str, ...]] = ()
    """Which of `names` and the parts of a dialect it takes, beside the encoding."""
    usual_input: ClassVar[str | None] = None
    """The column that is read where a recipe names none."""
    usual_target: ClassVar[str | None] = None
    """The column that is predicted where a recipe names none."""
    columns_apart: ClassVar[bool] = False
    """Whether a column is read without the others: each costs what it holds."""
    part: str | None = None
    """What of the file is read, where it holds several tables: `train` of `music.npz#train`."""
    names: tuple[str, ...] = ()
    """What the parts of a media file's name are called."""
    arrangement: Arrangement | None = None
    """How a column is made of several columns or rows."""
    alias: Callable[[str], str] = field(default=str, repr=False)
    """How messages name its files: those of an archive by the archive."""
    otherwise: str = ""
    """How else the file may be read, where its content alone said what it is."""

    def __post_init__(self) -> None:
        """Raise `DataError` for an option that the format does not take."""
        given = self.dialect.given() | ({"names": self.names} if self.names else {})
        for option, value in given.items():
            if option not in ("encoding", *self.options):
                shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
                raise DataError(f"`data.{option}` does not apply to the format {self.format}. Received: {shown}.")
        self.bad_rows.alias = self.alias

    @property
    def encoding(self) -> str:
        """Of its bytes, as far as a recipe says."""
        return self.dialect.encoding

    @property
    def name(self) -> str:
        """The file or folder, as messages say it."""
        return self.alias(str(self.path))

    def resolved(self) -> dict[str, Any]:
        """What a recipe must say, under `data`, so that the file is read as it is read now."""
        return {"format": self.format}

    @classmethod
    def claim(cls, path: Path) -> Claim | None:
        """How surely `path` is of this format, by its name or, of a folder, by the files in it; None: not at all."""
        if not path.is_dir():
            return Claim.SUFFIX if suffix_of(path) in cls.suffixes else None
        if cls.of_folders and any(suffix_of(file) in cls.suffixes for file in path.iterdir() if file.is_file()):
            return Claim.SUFFIX
        return None

    def kind_of(self, column: str) -> str | None:
        """The kind of feature (`features.*.kind`) that a column is by the format alone; None: its cells must say."""
        return None

    def unusable(self, column: str, cells: pl.Series) -> list[tuple[pl.Series, str]]:
        """Which cells of text can't be, by the format alone, and why."""
        return []

    def usual_session(self, target: str | None) -> tuple[str | None, str] | None:
        """The column of sessions, if rows are steps, and the columns that make a series, where a recipe says nothing
        of them; None: there is no such series.
        """
        return None

    def columns(self) -> list[str]:
        """The names of the columns there are. Raises `DataError` if the file can't be read."""
        if self._columns is None:
            with reading(self.name, self.format, self.alias):
                self._columns = self._read_columns()
        return list(self._columns) if self.arrangement is None else self.arrangement.columns(self._columns)

    def _read_columns(self) -> list[str]:
        raise NotImplementedError

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """The rows, in order, with `columns` as text or lists, read ahead in the background.

        Bad rows go to `bad_rows`, not into a block.

        Raises:
            DataError: if a column is missing or the file can't be read.
        """
        self.require(*columns)
        return self.arranged(read_ahead(self._named_blocks(self._needed(columns))), columns)

    def glance(self) -> Source:
        """The same file, whose bad rows and notes are not recorded here."""
        other = copy.copy(self)
        other.bad_rows, other.notes = BadRows("skip"), []
        return other

    def stored_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """The rows as they are stored, before any arrangement: all that `columns` are made of, read here and now."""
        self.require(*columns)
        return self._named_blocks(self._needed(columns) if self.columns_apart else list(self._columns or ()))

    def arranged(self, blocks: Iterable[Block], columns: Sequence[str]) -> Iterator[Block]:
        """`columns`, made of stored blocks."""
        if self.arrangement is not None:
            return self.arrangement.blocks(blocks, columns, list(self._columns or ()), self.bad_rows, self.note)
        return iter(blocks)

    def numbers_rows_from(self) -> int | None:
        """Where the numbers start of a column that has no name and numbers the rows; None where there is none."""
        return None

    def _needed(self, columns: Sequence[str]) -> list[str]:
        """The columns of the file that `columns` are made of."""
        return self.arrangement.needed(columns, list(self._columns or ())) if self.arrangement else list(columns)

    def _named_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """What the file holds; errors of libraries, and its name, as messages say them."""
        with reading(self.name, self.format, self.alias):
            for block in self._read_blocks(columns):
                yield block.named(self.alias)

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        raise NotImplementedError

    def require(self, *names: str) -> None:
        """Raise `DataError` if a column is missing, naming those there are."""
        there = dict.fromkeys(self.columns())
        for name in names:
            if name not in there:
                near = meant(name, there)
                raise DataError(
                    f"`{self.name}` has no column `{name}`. Columns: {', '.join(there)}.",
                    hint=None if near else self._hint_of_columns(),
                    instead=near,
                )

    def _another(self, part: str) -> tuple[str, str]:
        """What names the file, and what names a part of it."""
        return f"{self.path}#{self.part}" if self.part else str(self.path), f"{self.path}#{part}"

    def _hint_of_columns(self) -> str | None:
        """What may be wrong where a column is missing and none has a similar name."""
        return None

    def note(self, text: str) -> None:
        """Something a user should know, once."""
        text = self.alias(text)
        if text not in self.notes:
            self.notes.append(text)

    def _bytes(self) -> Iterator[bytes]:
        """The file as UTF-8."""
        return read_utf8(self.path, self.encoding, self._found, self.part)

    def _found(self, encoding: str) -> None:
        self.found_encoding = encoding
        if encoding == "Latin-1" and self.encoding == "auto":
            self.note(f"{self.path}: not UTF-8, read as Latin-1 (another: --set data.encoding=cp1250)")

    def _bad(self, records: Records, index: int, reason: str, hint: str | None = None) -> None:
        """Record a record that can't be used."""
        lines = records[index].count(b"\n") + 1
        self.bad_rows.add(str(self.path), int(records.lines[index]), reason, records.text(index), hint, lines)

    def _records(self, find: Find = line_ends, *, glance: bool = False) -> Iterator[Records]:
        """The file's records. `glance`: bad rows are not reported."""
        bad_rows = BadRows() if glance else self.bad_rows
        for records in cut_records(self._bytes(), find, self.path):
            yield records.keep(readable(records, bad_rows, str(self.path)))
