"""CSV and TSV (RFC 4180: quotes, doubled quotes, newlines inside quotes); a header, or the recipe names the columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import polars as pl

from ostinato.arrays import Mask, Offsets
from ostinato.data.io.blocks import Block
from ostinato.data.io.csv_quotes import count_fields, find_quotes, quoted_record_ends, split_fields
from ostinato.data.io.records import Records
from ostinato.data.readers.base import Source
from ostinato.errors import DataError


class DelimitedSource(Source):
    """CSV. Blank lines are passed over; an empty cell is no value."""

    format = "csv"
    suffixes: ClassVar[tuple[str, ...]] = (".csv",)
    options = ("header",)
    tabular = True
    separator = ","

    def _read_columns(self) -> list[str]:
        if self.header:
            return list(self.header)
        for records in self._records(self._ends, glance=True):
            filled = records.keep(_filled(records))
            if len(filled):
                return self._header(filled)
        raise DataError(f"`{self.path}` has no header that can be read.")

    def _header(self, records: Records) -> list[str]:
        header = split_fields(records[0].decode("utf-8"), self.separator)
        doubled = sorted({name for name in header if name and header.count(name) > 1})
        if doubled:
            raise DataError(f"`{self.path}` names a column twice: {', '.join(doubled)}.")
        return header

    def _hint_of_columns(self) -> str | None:
        """Another separator, or a first line that is no header."""
        if self.header:
            return None
        first = self.columns()
        for separator, name in ((";", "semicolons"), ("\t", "tabs"), (",", "commas"), ("|", "bars")):
            if len(first) == 1 and separator in first[0]:
                return f"are its columns separated by {name}? .csv needs commas, .tsv (data.format=tsv) tabs"
        if not any(" " in name or not name or name[0].isdigit() for name in first):
            return None
        names = ", ".join(f"name{number}" for number in range(1, len(first) + 1))
        return f"has the file no header? --set 'data.header=[{names}]' names its columns"

    def _ends(self, raw: bytes) -> Offsets:
        return quoted_record_ends(raw, self.separator)

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """Which records are good is settled here; polars parses those, and where it doesn't agree, each is split."""
        names = list(self.header)
        for records in self._records(self._ends):
            records = records.keep(_filled(records))
            if not names and len(records):
                names = self._header(records)
                records = records.keep(np.arange(len(records)) > 0)
            good, special = self._good(records, len(names))
            if len(good):
                places = [names.index(name) for name in columns]
                cells = None if special else self._parse(good, places, len(names))
                frame = pl.DataFrame(cells if cells is not None else self._split(good, places), schema=list(columns))
                yield Block(frame.with_columns(pl.all().replace("", None)), (str(self.path),), good.lines)

    def _good(self, records: Records, num_fields: int) -> tuple[Records, bool]:
        """The well-formed records; and whether there is what polars reads in another way than we do.

        That is: quotes that are plain characters, or a carriage return that ends no line.
        """
        quotes = find_quotes(records.raw, self.separator)
        counts = count_fields(records.raw, records.ends, self.separator, quotes)
        good = np.ones(len(records), dtype=np.bool_)
        if len(quotes.toggles) % 2:
            self._bad(records, len(records) - 1, "a quoted field begins here and never closes")
            good[-1] = False
        for index in records.holding(quotes.malformed).tolist():
            if good[index]:
                self._bad(records, index, "text follows a closing quote (a quote inside quotes is written twice)")
                good[index] = False
        for index in np.flatnonzero(good & (counts != num_fields)).tolist():
            fields = "1 field" if counts[index] == 1 else f"{counts[index]} fields"
            self._bad(records, index, f"has {fields}, the header has {num_fields}")
            good[index] = False
        records = records.keep(good)
        return records, quotes.plain or records.raw.count(b"\r") != records.raw.count(b"\r\n")

    def _parse(self, records: Records, places: list[int], num_fields: int) -> list[pl.Series] | None:
        try:
            frame = pl.read_csv(
                records.raw,
                has_header=False,
                new_columns=[str(number) for number in range(num_fields)],
                infer_schema=False,
                separator=self.separator,
            )
        except pl.exceptions.PolarsError:
            return None
        if frame.height != len(records) or frame.width != num_fields:
            return None
        return [frame.to_series(place) for place in places]

    def _split(self, records: Records, places: list[int]) -> list[pl.Series]:
        rows = [split_fields(records[i].decode("utf-8"), self.separator) for i in range(len(records))]
        return [pl.Series([row[place] for row in rows], dtype=pl.String) for place in places]


class TabSource(DelimitedSource):
    """TSV: as CSV, with tabs."""

    format = "tsv"
    suffixes = (".tsv", ".tab")
    separator = "\t"


def _filled(records: Records) -> Mask:
    """Which records are not blank lines."""
    data = np.frombuffer(records.raw, dtype=np.uint8)
    starts = records.starts
    lengths = records.ends - starts
    return ~((lengths == 1) | ((lengths == 2) & (data[starts] == 0x0D))) if len(records) else np.ones(0, dtype=np.bool_)
