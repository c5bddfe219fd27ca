"""Excel and OpenDocument sheets, through polars and calamine (the extra `excel`)."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from datetime import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from ostinato.data.io.blocks import Block
from ostinato.data.readers.base import Claim, Source
from ostinato.errors import DataError
from ostinato.media.extras import library
from ostinato.storage.unpack import require_growth
from ostinato.wording import listed, meant

_ROWS = 50_000
_LOOKED_AT = 50
"""Rows among which the names of columns are looked for, below a title."""
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How workbooks begin, new and old ones."""


class ExcelSource(Source):
    """A sheet as a table; cells are taken as their text, empty rows are skipped. `FILE.xlsx#SHEET` names one;
    else it is the first that holds rows.
    """

    format = "excel"
    suffixes: ClassVar[tuple[str, ...]] = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
    tabular = True
    _table: pl.DataFrame | None = None
    _above = 0

    @classmethod
    def claim(cls, path: Path) -> Claim | None:
        """By its suffix; other readers come first where the file is no workbook: many programs name tables so."""
        claim = super().claim(path)
        return Claim.LAST if claim is not None and path.is_file() and _begins(path) not in _WORKBOOKS else claim

    def _read_columns(self) -> list[str]:
        return self._sheet().columns

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        table = self._sheet()
        lines = np.arange(len(table), dtype=np.int64) + self._above + 2
        filled = table.select(pl.any_horizontal(pl.all().is_not_null())).to_series().to_numpy()
        for first in range(0, len(table), _ROWS):
            rows = slice(first, first + _ROWS)
            frame = table.select(columns)[rows]
            yield Block(frame, (str(self.path),), lines[rows]).keep(filled[rows])

    def _sheet(self) -> pl.DataFrame:
        if self._table is None:
            fastexcel = library("fastexcel", "reading Excel files", "excel")
            if zipfile.is_zipfile(self.path):
                with zipfile.ZipFile(self.path) as parts:
                    require_growth(sum(part.file_size for part in parts.infolist()), self.path)
            try:
                self._table = self._chosen(fastexcel.read_excel(self.path))
            except fastexcel.FastExcelError as error:
                marked = _begins(self.path).lstrip()[:1] == b"<"
                said = "it is HTML or XML" if marked else str(error).splitlines()[0].rstrip(".")[:200]
                raise DataError(
                    f"`{self.name}` is not a readable Excel file: {said}.",
                    hint="open it in a spreadsheet, and save it as .xlsx or .csv" if marked else None,
                ) from error
        return self._table

    def _chosen(self, workbook: Any) -> pl.DataFrame:
        names = list(workbook.sheet_names)
        if self.part is not None and self.part not in names:
            raise DataError(
                f"`{self.name}` has no sheet `{self.part}`. Sheets: {listed(names, 10)}.",
                instead=(self.part, (meant(self.part, names) or ("", names[0]))[1]),
            )
        for name in [self.part] if self.part is not None else names:
            table, above = self._texts(workbook, name)
            if len(table):
                self._above = above
                if above:
                    self.note(f"{self.path}: row {above + 1} of sheet {name} names the columns; above it is a title")
                others = [other for other in names if other != name]
                if self.part is None and others:
                    self.note(
                        f"{self.path}: its sheet {name} is read; others: {listed(others)} ({self.path}#{others[0]})"
                    )
                return table
        raise DataError(f"`{self.name}` holds no sheet with rows below a header.")

    def _texts(self, workbook: Any, name: str) -> tuple[pl.DataFrame, int]:
        """A sheet as text: whole numbers without `.0`, times in ISO 8601; and the rows above the names of columns."""
        head = workbook.load_sheet(name, header_row=None, n_rows=_LOOKED_AT, dtypes="string").to_polars()
        above = _title_rows(head)
        table: pl.DataFrame = workbook.load_sheet(name, header_row=above, dtype_coercion="coerce").to_polars()
        return table.with_columns(_text(table[column]) for column in table.columns), above


def _title_rows(head: pl.DataFrame) -> int:
    """The rows above the first one that names columns: they hold a title in their first cell, or leave more than one
    cell empty that most rows fill."""
    if not head.width or not len(head):
        return 0
    there = head.select(pl.all().is_not_null()).to_numpy()
    filled = there.sum(axis=1)
    most = int(np.bincount(filled[filled > 0]).argmax()) if (filled > 0).any() else 0
    title = (filled < most - 1) | ((filled == 1) & there[:, 0] & (most > 1))
    titles = np.flatnonzero(title[: int((filled == most).argmax())])
    return int(titles[-1]) + 1 if len(titles) else 0


def _begins(path: Path) -> bytes:
    """The first bytes of a file."""
    with path.open("rb") as file:
        return file.read(4)


def _text(cells: pl.Series) -> pl.Series:
    if cells.dtype.is_float() and bool((cells.drop_nulls() == cells.drop_nulls().round()).all()):
        whole = cells.cast(pl.Int64, strict=False)
        cells = whole if whole.null_count() == cells.null_count() else cells
    if cells.dtype == pl.Datetime:
        midnight = bool((cells.drop_nulls().dt.time() == time(0)).all())
        return cells.dt.strftime("%Y-%m-%d" if midnight else "%Y-%m-%d %H:%M:%S")
    return cells.cast(pl.String).replace("", None)
