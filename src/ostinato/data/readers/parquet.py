"""Parquet, read some rows at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ostinato.data.io.blocks import Block
from ostinato.data.readers.base import Source
from ostinato.errors import DataError
from ostinato.storage import decompress

_MOST_ROWS = 50_000
IN_MEMORY = ".in-memory.parquet"
"""How the name of a file ends that holds a table which was given in memory; messages don't name the file."""
UNNAMED = "table in memory"


@dataclass(frozen=True)
class _Unnamed:
    """How messages name the file of a table that was given in memory."""

    path: Path

    def __call__(self, text: str) -> str:
        """The text without the name of the file."""
        return text.replace(str(self.path), UNNAMED)


class ParquetSource(Source):
    """Parquet. Numbers and dates are taken as their text, lists and structs as JSON text."""

    format = "parquet"
    columns_apart = True
    suffixes = (".parquet",)
    tabular = True

    def __post_init__(self) -> None:
        """Raise `DataError` for a compressed file, too."""
        if self.path.name.endswith(IN_MEMORY):
            self.alias = _Unnamed(self.path)
        super().__post_init__()
        if self.path.suffix.lower() in decompress.COMPRESSED:
            raise DataError(
                f"`{self.path}` is a compressed Parquet file; Parquet compresses inside.", hint="unpack it first"
            )

    def _read_columns(self) -> list[str]:
        try:
            schema = pl.scan_parquet(self.path).collect_schema()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._unreadable(error) from error
        return schema.names()

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """One pass of polars' streaming engine, which holds only the row groups it is at."""
        frame = pl.scan_parquet(self.path).select(columns)
        start = 0
        batches = iter(frame.collect_batches(chunk_size=self._rows_of_block(), maintain_order=True))
        while True:
            try:
                batch = next(batches, None)
            except (pl.exceptions.PolarsError, OSError) as error:
                raise self._unreadable(error) from error
            if batch is None:
                break
            if not len(batch):
                continue
            lines = np.arange(start + 1, start + len(batch) + 1, dtype=np.int64)
            texts = pl.DataFrame([self._as_text(batch[name]) for name in columns])
            yield Block(texts, (str(self.path),), lines)
            start += len(batch)
        if start == 0:
            raise DataError(f"`{self.path}` is empty.")

    def _rows_of_block(self) -> int:
        """As many rows as make about a block, by the file's size."""
        rows = int(pl.scan_parquet(self.path).select(pl.len()).collect().item())
        return max(1, min(_MOST_ROWS, decompress.BLOCK_BYTES * rows // self.path.stat().st_size))

    def _as_text(self, column: pl.Series) -> pl.Series:
        if column.dtype.is_nested():
            values = (value.to_list() if isinstance(value, pl.Series) else value for value in column)
            texts = [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in values]
            return pl.Series(column.name, texts, dtype=pl.String)
        if column.dtype == pl.Binary:
            raise DataError(
                f"column `{column.name}` of `{self.path}` holds bytes, not text.", hint="make it a column of texts"
            )
        return plain_texts(column)

    def _unreadable(self, error: Exception) -> DataError:
        return DataError(f"`{self.path}` is not a readable Parquet file: {str(error).splitlines()[0]}")


def plain_texts(column: pl.Series) -> pl.Series:
    """Plain values as their text."""
    if column.dtype == pl.Duration:
        column = column.dt.total_microseconds() / 1e6
    return column.cast(pl.String)
