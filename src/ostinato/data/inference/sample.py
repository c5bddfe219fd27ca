"""The head of the data, read once, for inference of what its columns hold."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from ostinato.data.io.blocks import Block
from ostinato.data.readers.base import Source

T = TypeVar("T")


class DataSample:
    """The first rows of a file or folder. They are read when they are first asked for, and kept.

    Bad rows are skipped here; they are recorded when the source is read.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._stored: dict[object, Iterator[Block]] = {}
        self._found: dict[object, Any] = {}

    @property
    def path(self) -> Path:
        """Of the file or folder."""
        return self.source.path

    @property
    def format(self) -> str:
        """Of the file or folder."""
        return self.source.format

    def columns(self) -> list[str]:
        """The names of the columns there are."""
        return self.source.columns()

    def rows(self, *names: str, num_blocks: int = 1) -> pl.DataFrame:
        """Some columns of the first block, or of the first few.

        Raises:
            DataError: if a column is missing or the file can't be read.
        """
        names = tuple(dict.fromkeys(names))
        return self.once((self.source.arrangement, names, num_blocks), lambda: self._rows(names, num_blocks))

    def cells(self, name: str) -> pl.Series:
        """The cells of a column that hold something."""
        return self.rows(name)[name].drop_nulls()

    def once(self, key: object, find: Callable[[], T]) -> T:
        """What `find` gives; asked again by the same key, it is not looked for again."""
        if key not in self._found:
            self._found[key] = find()
        found: T = self._found[key]
        return found

    def close(self) -> None:
        """Let go of what was read, and of the file; asked again, it is read again."""
        self._stored.clear()
        self._found.clear()

    def _rows(self, names: tuple[str, ...], num_blocks: int) -> pl.DataFrame:
        self.source.require(*names)
        source = self.source.glance()
        key = (names, source.arrangement) if source.columns_apart else None
        stored = self._stored[key] if key in self._stored else source.stored_blocks(names)
        self._stored[key], blocks = itertools.tee(stored)  # the first keeps what the second reads
        while some := list(itertools.islice(blocks, num_blocks)):
            found = [block.table.select(names) for block in source.arranged(some, names)]
            if found:
                return pl.concat(found)
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
