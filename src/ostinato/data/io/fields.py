"""Tables of text cut into records and fields, by their dialect."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import polars as pl

from ostinato.arrays import Mask, Offsets
from ostinato.data.io.csv_quotes import Quotes, count_fields, find_quotes, split_fields
from ostinato.data.io.records import Records, line_ends, newlines_of
from ostinato.recipe.dialect import BLANKS, Dialect

_RETURN = 0x0D
_STAND_IN = "\x1f"
"""What a separator that is no ASCII character is replaced by."""


@dataclass(frozen=True)
class Fields:
    """How records end and what is in them. `dialect`: its separator, quote and comment are known."""

    dialect: Dialect

    @property
    def separator(self) -> str:
        """The one ASCII character between fields, once rows are as `rows` gives them."""
        given = self.dialect.separator
        return "\t" if given == BLANKS else given if len(given) == 1 and given.isascii() else _STAND_IN

    @property
    def quote(self) -> str:
        """The character around cells; empty: there is none."""
        return "" if self.dialect.quote == "none" else self.dialect.quote

    @property
    def is_rewritten(self) -> bool:
        """Whether another character must take the place of what separates fields; no cell holds a newline then."""
        return self.separator != self.dialect.separator

    def ends(self, raw: bytes) -> Offsets:
        """Offsets just past each record."""
        if self.is_rewritten or not self.quote:
            return line_ends(raw)
        return self.quotes(raw).outside(newlines_of(raw)) + 1

    def rows(self, records: Records) -> Records:
        """Those that are no blank lines and no comments, with one character between fields."""
        records = records.keep(self._filled(records))
        if not self.is_rewritten or not len(records):
            return records
        raw = self.rewritten(records.raw)
        records = Records(raw, newlines_of(raw) + 1, records.lines)
        return records.keep(self._filled(records))

    def rewritten(self, raw: bytes) -> bytes:
        """Lines with the one character between fields."""
        if self.dialect.separator != BLANKS:
            return raw.replace(self.dialect.separator.encode(), _STAND_IN.encode()) if self.is_rewritten else raw
        raw = re.sub(rb"(?m)^[ \t]+|[ \t\r]+$", b"", raw)
        quote = self.quote.encode()
        if not quote or quote not in raw:
            return re.sub(rb"[ \t]+", b"\t", raw)
        own = re.escape(quote)
        cell = rb"(?<![^ \t\n])" + own + rb"(?:[^\n" + own + rb"]|" + 2 * own + rb")*" + own
        return re.sub(cell + rb"|[ \t]+", lambda at: b"\t" if at[0][:1] in (b" ", b"\t") else at[0], raw)

    def quotes(self, raw: bytes) -> Quotes:
        """The quotes of some records."""
        return find_quotes(raw, self.separator, self.quote)

    def counts(self, records: Records, quotes: Quotes) -> Offsets:
        """How many fields each has."""
        return count_fields(records.raw, records.ends, self.separator, quotes)

    def split(self, record: bytes) -> list[str]:
        """The fields of one."""
        return split_fields(record.decode("utf-8", "replace"), self.separator, self.quote)

    def cells(self, records: Records, num_fields: int, places: list[int], *, one_by_one: bool) -> list[pl.Series]:
        """The cells of some fields. `one_by_one`: polars would read these records in another way than we do."""
        parsed = None if one_by_one else self._parse(records, num_fields)
        if parsed is not None:
            return [parsed.to_series(place) for place in places]
        rows = [self.split(records[i]) for i in range(len(records))]
        return [pl.Series([row[place] for row in rows], dtype=pl.String) for place in places]

    def is_special(self, records: Records, quotes: Quotes) -> bool:
        """Whether there is what polars reads in another way: quotes that are plain characters, or a carriage return
        that ends no line."""
        return quotes.plain or records.raw.count(b"\r") != records.raw.count(b"\r\n")

    def _parse(self, records: Records, num_fields: int) -> pl.DataFrame | None:
        try:
            frame = pl.read_csv(
                records.raw,
                has_header=False,
                new_columns=[str(number) for number in range(num_fields)],
                infer_schema=False,
                separator=self.separator,
                quote_char=self.quote or None,
            )
        except pl.exceptions.PolarsError:
            return None
        return frame if (frame.height, frame.width) == (len(records), num_fields) else None

    def _filled(self, records: Records) -> Mask:
        if not len(records):
            return np.ones(0, dtype=np.bool_)
        data = np.frombuffer(records.raw, dtype=np.uint8)
        starts = records.starts
        lengths = records.ends - starts
        filled: Mask = ~((lengths == 1) | ((lengths == 2) & (data[starts] == _RETURN)))
        mark = b"" if self.dialect.comment == "none" else self.dialect.comment.encode()
        if mark:
            padded = np.append(data, np.zeros(len(mark), dtype=np.uint8))
            filled &= ~np.all([padded[starts + at] == byte for at, byte in enumerate(mark)], axis=0)
        return filled
