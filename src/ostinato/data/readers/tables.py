"""A folder of tables: a file a session, a subfolder a class, or a table beside them that says more of each file."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import polars as pl

from ostinato.data.io.blocks import Block
from ostinato.data.readers.base import Claim, Source, suffix_of
from ostinato.data.readers.delimited import DelimitedSource, TabSource
from ostinato.data.readers.jsonl import JsonLinesSource
from ostinato.data.readers.parquet import ParquetSource
from ostinato.data.rejects import counted
from ostinato.data.tables.numbers import MISSING, numbers_of
from ostinato.errors import DataError
from ostinato.recipe.dialect import Dialect
from ostinato.wording import listed

_READERS: tuple[type[Source], ...] = (DelimitedSource, TabSource, JsonLinesSource, ParquetSource)
_FILE, _LABEL = "file", "label"
_SPLITS = frozenset(("train", "training", "test", "testing", "valid", "validation", "val", "dev", "eval"))
_TIMES = frozenset(("time", "timestamp", "date", "datetime", "t", "index", "step", "frame", "id", ""))
_MOSTLY = 0.9


@dataclass
class TablesSource(Source):
    """Tables of one form as a single long one, with the columns `file` (the path in the folder, without suffix) and,
    where there are subfolders, `label`, the first one's name.

    A table beside them that names the files in one of its columns says more of each: its other columns are joined.
    Where something is known of each file, a file is a session unless a recipe says otherwise: its columns of numbers
    are its channels. Files with other columns than most are bad rows.
    """

    format: ClassVar[str] = "tables"
    of_files: ClassVar[bool] = False
    of_folders: ClassVar[bool] = True
    tabular: ClassVar[bool] = True
    options: ClassVar[tuple[str, ...]] = DelimitedSource.options
    _facts: pl.DataFrame | None = field(default=None, init=False, repr=False)

    @classmethod
    def claim(cls, path: Path) -> Claim | None:
        """A folder of tables, or of folders of tables."""
        return Claim.SUFFIX if path.is_dir() and any(_reader_of(file) for file in _files(path)) else None

    @property
    def usual_target(self) -> str | None:  # type: ignore[override]
        """What is known of each file, if it is one thing."""
        known = self._known
        return _LABEL if _LABEL in known else known[0] if len(known) == 1 else None

    def usual_session(self, target: str | None) -> tuple[str | None, str] | None:
        """The column of sessions and the channels, where the target is something that is known of each file."""
        target = target or self.usual_target
        if target not in self._known or not self._channels:
            return None
        return _FILE, ",".join(self._channels)

    @cached_property
    def _known(self) -> list[str]:
        """The columns of what is known of each file."""
        return [name for name in self.columns()[len(self._sources[0].columns()) + 1 :] if name != _FILE]

    @cached_property
    def _channels(self) -> list[str]:
        """The columns of numbers, but the time."""
        head = next(iter(self._sources[0].glance().stored_blocks(self._sources[0].columns()))).table
        return [name for name in head.columns if name.lower() not in _TIMES and _is_numeric(head[name])]

    @cached_property
    def _sources(self) -> list[Source]:
        """The readers of the tables, by path, all of one form; sets `_facts`."""
        files = [file for file in _files(self.path) if _reader_of(file)]
        top = [file.name for file in files if file.parent == self.path]
        if len(top) > 1 and {name.partition(".")[0].lower().rpartition("_")[2] for name in top} <= _SPLITS:
            raise DataError(
                f"`{self.path}` holds one table per part of the data: {listed(top)}.",
                instead=(str(self.path), f"{self.path}/{top[-1]}"),
            )
        found = [self._open(file) for file in files]
        forms = Counter(tuple(source.columns()) for source in found)
        if not forms:
            raise DataError(f"`{self.path}` holds no tables: {', '.join(_suffixes())}.")
        usual = forms.most_common(1)[0][0]
        for source in [source for source in found if tuple(source.columns()) != usual]:
            if self._facts is None and source.path.parent == self.path and (facts := self._facts_of(source, files)):
                self._facts = facts[0]
                continue
            reason = f"has the columns {listed(source.columns())}, most files have {listed(usual)}"
            self.bad_rows.add(str(source.path), 1, reason, source.path.name)
        return [source for source in found if tuple(source.columns()) == usual]

    def _open(self, file: Path) -> Source:
        reader = _reader_of(file) or DelimitedSource
        dialect = self.dialect if reader.options else Dialect(encoding=self.encoding)
        return reader(file, self.bad_rows, dialect, notes=self.notes, alias=self.alias)

    def _facts_of(self, source: Source, files: Sequence[Path]) -> tuple[pl.DataFrame] | None:
        """A table beside the others with the paths of files in its column `file`, if one of its columns names them."""
        table = pl.concat([block.table for block in source.glance().stored_blocks(source.columns())])
        names = {key: _plain(self.path, file) for file in files for key in _keys(self.path, file)}
        for name in table.columns:
            cells = table[name].cast(pl.String)
            known = cells.is_in(list(names))
            if len(cells) and known.mean() >= _MOSTLY:  # type: ignore[operator] # a share, of text never a date
                paths = cells.replace_strict(names, default=None).alias(_FILE)
                return (table.drop(name).with_columns(paths).drop_nulls(_FILE).unique(_FILE, keep="first"),)
        return None

    def _read_columns(self) -> list[str]:
        inner = self._sources[0].columns()
        nested = all(source.path.parent != self.path for source in self._sources)
        facts = [name for name in (self._facts.columns if self._facts is not None else []) if name != _FILE]
        columns = [*inner, _FILE, *([_LABEL] if nested else []), *facts]
        if doubled := sorted(name for name, count in Counter(columns).items() if count > 1):
            raise DataError(f"a column of the tables in `{self.path}` must have another name: {', '.join(doubled)}.")
        if len(self._sources) > 1:
            self.note(f"{self.path}: {counted(len(self._sources), 'table')} of one form, the file's name as `{_FILE}`")
        return columns

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        self.columns()
        for source in self._sources:
            name = _plain(self.path, source.path)
            beside = pl.DataFrame({_FILE: [name], _LABEL: [name.split("/")[0]]})
            if self._facts is not None:
                beside = beside.drop(_LABEL).join(self._facts, on=_FILE, how="left")
            inner = [column for column in source.columns() if column in columns] or source.columns()[:1]
            reading = copy.copy(source)
            reading.bad_rows = self.bad_rows
            for block in reading.stored_blocks(inner):
                frame = block.table.with_columns(
                    pl.lit(beside[column][0], dtype=pl.String).alias(column)
                    for column in columns
                    if column not in block.table.columns
                )
                yield Block(frame.select(columns), (str(source.path),), block.lines)


def _files(folder: Path) -> list[Path]:
    """The visible files of a folder and its subfolders, by path."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )


def _reader_of(file: Path) -> type[Source] | None:
    return next((reader for reader in _READERS if suffix_of(file) in reader.suffixes), None)


def _suffixes() -> list[str]:
    return [suffix for reader in _READERS for suffix in reader.suffixes]


def _plain(folder: Path, file: Path) -> str:
    """The path in the folder, without suffixes."""
    path = file.relative_to(folder)
    return path.with_name(path.name.partition(".")[0]).as_posix()


def _keys(folder: Path, file: Path) -> set[str]:
    """How a table may name a file."""
    path = file.relative_to(folder).as_posix()
    return {path, file.name, file.name.partition(".")[0], _plain(folder, file)}


def _is_numeric(cells: pl.Series) -> bool:
    if cells.dtype != pl.String:
        return False
    return not numbers_of(cells, MISSING)[1].any()
