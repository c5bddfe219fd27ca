"""Tables of text: CSV and TSV, by any separator; how one is written is found in its first lines (`table_head`).

With quotes as RFC 4180 has them: a quote inside quotes is written twice, newlines inside quotes are text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import polars as pl

from ostinato.data.io.blocks import Block
from ostinato.data.io.records import Records
from ostinato.data.readers.base import Source, suffix_of
from ostinato.data.readers.table_head import TableHead, beginning, read_table_head
from ostinato.recipe.dialect import Dialect
from ostinato.storage.encodings import is_wide

HEAD_BYTES = 1 << 20
"""How much of a file's beginning says how it is written: the same for every block size."""
_FURTHER, _FURTHER_BYTES = 4, 1 << 18
"""Places beyond it, up to the end, at which so much says how numbers are written, too."""


class DelimitedSource(Source):
    """CSV. Blank lines are skipped; an empty cell is no value."""

    format = "csv"
    suffixes: ClassVar[tuple[str, ...]] = (".csv",)
    options = tuple(Dialect.model_fields)
    tabular = True
    usual = Dialect(separator=",", quote='"', decimal=".", thousands="none", comment="none")
    """How a file with this name is written unless its content says otherwise."""
    _head: TableHead | None = None

    @property
    def head(self) -> TableHead:
        """What the first lines say of the table."""
        if self._head is None:
            raw = beginning(self._bytes(), HEAD_BYTES)
            self._head = read_table_head(self.path, raw, self.dialect, self.usual, self._further())
        return self._head

    def _further(self) -> list[bytes]:
        """Some whole lines from beyond the beginning, to the end, as UTF-8; none of a file that can't be read from the
        middle, since it is packed, or written in UTF-16."""
        encoding, size = self.found_encoding or "", self.path.stat().st_size
        utf8, packed = encoding.startswith("UTF-8"), suffix_of(self.path) != self.path.suffix.lower()
        if size <= HEAD_BYTES or packed or not (utf8 or not is_wide(encoding)):
            return []
        found: list[bytes] = []
        with self.path.open("rb") as file:
            for place in np.linspace(HEAD_BYTES, max(HEAD_BYTES, size - _FURTHER_BYTES), _FURTHER).astype(int).tolist():
                file.seek(place)
                raw = file.read(_FURTHER_BYTES)
                raw = raw[raw.find(b"\n") + 1 : raw.rfind(b"\n") + 1]
                found.append(raw if utf8 else raw.decode(encoding, "replace").encode())
        return found

    def _read_columns(self) -> list[str]:
        for note in self.head.notes:
            self.note(f"{self.name}: {note}")
        return [name for name in self.head.names if name not in self.head.passed_over]

    def resolved(self) -> dict[str, Any]:
        """The format, and what of the dialect is not the usual one."""
        return {**super().resolved(), **self.head.unusual}

    def numbers_rows_from(self) -> int | None:
        """Of a column without a name."""
        return self.head.row_numbers

    def _hint_of_columns(self) -> str | None:
        """A first line that is no header."""
        first = self.columns()
        if self.dialect.header or not any(" " in name or name[0].isdigit() for name in first):
            return None
        names = ", ".join(f"name{number}" for number in range(1, len(first) + 1))
        return f"if the file has no header, to name its columns: --set 'data.header=[{names}]'"

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """Decides which records are valid; polars parses these, and each is split here where polars disagrees."""
        head = self.head
        places = [head.names.index(name) for name in columns]
        for records in self._records(head.fields.ends):
            rows = head.fields.rows(records)
            if len(head.not_rows) and len(rows) and rows.lines[0] <= head.not_rows[-1]:
                rows = rows.keep(~np.isin(rows.lines, head.not_rows))
            good, special = self._good(rows, head)
            if len(good):
                cells = head.fields.cells(good, len(head.names), places, one_by_one=special)
                frame = pl.DataFrame([one.rename(name) for one, name in zip(cells, columns, strict=True)])
                yield Block(head.plain(frame), (str(self.path),), good.lines)

    def _good(self, records: Records, head: TableHead) -> tuple[Records, bool]:
        """The well-formed records; and whether there is what polars reads in another way than we do."""
        quotes = head.fields.quotes(records.raw)
        counts = head.fields.counts(records, quotes)
        good = np.ones(len(records), dtype=np.bool_)
        hint = "if quotes are ordinary characters: --set data.quote=none"
        if len(quotes.toggles) % 2:
            self._bad(records, len(records) - 1, "a quoted field begins here and never closes", hint)
            good[-1] = False
        for index in records.holding(quotes.malformed).tolist():
            if good[index]:
                self._bad(records, index, "text follows a closing quote (a quote inside quotes is written twice)", hint)
                good[index] = False
        above = "the header" if head.not_rows else "the table"
        for index in np.flatnonzero(good & (counts != len(head.names))).tolist():
            fields = "1 field" if counts[index] == 1 else f"{counts[index]} fields"
            self._bad(records, index, f"has {fields}, {above} has {len(head.names)}")
            good[index] = False
        return records.keep(good), head.fields.is_special(records, quotes)


class TabSource(DelimitedSource):
    """TSV: as CSV, with tabs, and without quotes unless it clearly has them."""

    format = "tsv"
    suffixes = (".tsv", ".tab")
    usual = DelimitedSource.usual.model_copy(update={"separator": "\t", "quote": "none"})
