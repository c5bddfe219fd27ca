"""LTSV, labelled tab-separated values: a row a line, `label:value` pairs with a tab between them. http://ltsv.org"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from ostinato.data.io.blocks import Block
from ostinato.data.io.records import Records
from ostinato.data.readers.base import Source

_LOOKED_AT = 100


class LtsvSource(Source):
    """LTSV: the columns are the labels of the first hundred rows; a row that lacks one has no value there."""

    format = "ltsv"
    suffixes = (".ltsv",)
    tabular = True

    def _read_columns(self) -> list[str]:
        names: dict[str, None] = {}
        for records in self._records(glance=True):
            for index in range(min(len(records), _LOOKED_AT)):
                names.update(dict.fromkeys(_pairs(records, index) or ()))
            break
        return list(names)

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        for records in self._records():
            rows: list[dict[str, str]] = []
            lines: list[int] = []
            for index in range(len(records)):
                row = _pairs(records, index)
                if row is None:
                    reason = "a field has no `:` after its label"
                    self.bad_rows.add(str(self.path), int(records.lines[index]), reason, records.text(index))
                elif row:
                    rows.append(row)
                    lines.append(int(records.lines[index]))
            if rows:
                cells = {name: [row.get(name) for row in rows] for name in columns}
                frame = pl.DataFrame(cells, schema=dict.fromkeys(columns, pl.String))
                yield Block(frame, (str(self.path),), np.asarray(lines, dtype=np.int64))


def _pairs(records: Records, index: int) -> dict[str, str] | None:
    """Values by label; None where a field has no label. Nothing on a blank line."""
    fields = [field for field in records[index].decode("utf-8").strip("\r\n").split("\t") if field]
    split = [field.partition(":") for field in fields]
    return {label: value for label, _, value in split} if all(mark for _, mark, _ in split) else None
