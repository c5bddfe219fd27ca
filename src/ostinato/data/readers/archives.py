"""The archives of time series: UCR (`_TRAIN.tsv`) and sktime/aeon (`.ts`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from ostinato.arrays import Array
from ostinato.data.io.blocks import Block
from ostinato.data.readers.base import Claim, Source
from ostinato.errors import DataError

_UCR_NAME = re.compile(r"_(TRAIN|TEST)\.(tsv|txt)(\.gz|\.bz2|\.xz)?$")
_WHOLE = re.compile(r"^[+-]?\d+(\.0*)?(e[+-]?0*)?$", re.IGNORECASE)
_MISSING = ("", "?", "nan")
_COMMENTS = ("#", "%")


Row = tuple[Array, str, int]
"""Frames (L, C), the label, and the line."""


class _SeriesSource(Source):
    """A series a row, and its label."""

    usual_input = "series"
    usual_target = "label"

    def kind_of(self, column: str) -> str | None:
        """`series` is one."""
        return "series" if column == "series" else None

    def _block(self, rows: list[Row], columns: Sequence[str]) -> Block:
        """Frames of one number as plain numbers."""
        flat = all(values.shape[1] == 1 for values, _, _ in rows)
        cells = [values[:, 0].tolist() if flat else values.tolist() for values, _, _ in rows]
        dtype = pl.List(pl.Float64) if flat else pl.List(pl.List(pl.Float64))
        labels = pl.Series("label", [label for _, label, _ in rows], dtype=pl.String)
        frame = pl.DataFrame([pl.Series("series", cells, dtype=dtype), labels])
        lines = np.asarray([line for _, _, line in rows], dtype=np.int64)
        return Block(frame.select(columns), (str(self.path),), lines)


class UcrSource(_SeriesSource):
    """The UCR archive: no header, a line a series, its class first, then its values between tabs (or commas).

    NaN (or nothing) at the end of a line says that the series is shorter; elsewhere a value is missing, which
    `features.input.missing` decides about. Columns: `series`, `label`.
    """

    format = "ucr"

    @classmethod
    def claim(cls, path: Path) -> Claim | None:
        """A file named as those of the archive: `ECG200_TRAIN.tsv`, `ECG200_TEST.tsv.xz`."""
        return Claim.NAME if _UCR_NAME.search(path.name) and not path.is_dir() else None

    def _read_columns(self) -> list[str]:
        return ["series", "label"]

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        for records in self._records():
            read = (self._row(text.strip("\r\n "), line) for line, text in records.decoded())
            rows = [row for row in read if row is not None]
            if rows:
                yield self._block(rows, columns)

    def _row(self, text: str, line: int) -> Row | None:
        """None for a blank line, and for a bad row, which is recorded."""
        if not text:
            return None
        fields = re.split(r"\t|,", text) if "\t" in text or "," in text else text.split()
        try:
            values = _numbers(fields[1:])[:, None]
        except _NoNumberError as error:
            hint = "if the file is a table with a header: --set data.format=tsv" if line == 1 else None
            self.bad_rows.add(str(self.path), line, f"not a number: {str(error)!r}", text, hint)
            return None
        values = values[: _length(values)]
        if not len(values):
            self.bad_rows.add(str(self.path), line, "holds no value after its class", text)
            return None
        return values, _label(fields[0]), line


@dataclass
class TsSource(_SeriesSource):
    """sktime's and aeon's `.ts`: a header of `@` lines, then a line a case: its dimensions between colons, the values
    of each between commas, its class (or number) last where the header says so. Missing: `?` or `NaN`.

    Columns: `series` (frames of one number a dimension, or plain numbers where there is one), and `label`.
    """

    format = "ts"
    suffixes = (".ts",)
    _header: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def _read_columns(self) -> list[str]:
        for records in self._records(glance=True):
            for _, text in records.decoded():
                if self._is_header(text.strip()):
                    return ["series", "label"] if self._labelled else ["series"]
        raise DataError(f"`{self.path}` has no line `@data`: it is not a .ts file.")

    @property
    def _labelled(self) -> bool:
        return any(self._header.get(key, "false").split()[:1] == ["true"] for key in ("classlabel", "targetlabel"))

    def _is_header(self, line: str) -> bool:
        """Take up a line of the header; true for the last one."""
        if line.lower().startswith("@data"):
            if self._header.get("timestamps", "false").startswith("true"):
                raise DataError(
                    f"`{self.path}` has a time stamp for each value (`@timeStamps true`), which is not supported.",
                    hint="write it as a table, one row per step, for `data.session` and `data.time`",
                )
            return True
        if line.startswith("@"):
            key, _, value = line[1:].partition(" ")
            self._header[key.lower()] = value.strip().lower()
        elif line and not line.startswith(_COMMENTS):
            raise DataError(f"`{self.path}` has data before its line `@data`: it is not a .ts file.")
        return False

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        in_data = False
        for records in self._records():
            rows: list[Row] = []
            for line, text in records.decoded():
                text = text.strip()
                if not in_data:
                    in_data = self._is_header(text)
                elif text and not text.startswith(_COMMENTS) and (row := self._row(text, line)) is not None:
                    rows.append(row)
            if rows:
                yield self._block(rows, columns)

    def _row(self, text: str, line: int) -> Row | None:
        """None for a bad row, which is recorded."""
        parts = text.split(":")
        label = parts.pop().strip() if self._labelled else ""
        problem, dimensions = "", []
        try:
            dimensions = [_numbers(part.split(",")) for part in parts]
        except _NoNumberError as error:
            problem = f"not a number: {str(error)!r}"
        wanted = self._header.get("dimensions", self._header.get("dimension", ""))
        lengths = [len(values) for values in dimensions]
        if not problem and wanted.isdecimal() and len(dimensions) != int(wanted):
            problem = f"has {len(dimensions)} dimensions, the header says {wanted}"
        if not problem and len(set(lengths)) > 1:
            problem = f"its dimensions have different numbers of steps: {lengths[:12]}"
        values = np.stack(dimensions, axis=1) if not problem and dimensions else np.zeros((0, 1))
        values = values[: _length(values)]
        if not problem and not len(values):
            problem = "holds no value"
        if problem:
            self.bad_rows.add(str(self.path), line, problem, text)
            return None
        return values, label, line


class _NoNumberError(ValueError):
    """A field that is neither a number nor missing."""


def _numbers(fields: list[str]) -> Array:
    """Numbers, NaN where one is missing."""
    try:
        return np.asarray(fields, dtype=np.float64)
    except ValueError:
        pass
    found = np.full(len(fields), np.nan)
    for number, text in enumerate(fields):
        text = text.strip()
        if text.lower() in _MISSING:
            continue
        try:
            found[number] = float(text)
        except ValueError:
            raise _NoNumberError(text[:40]) from None
    return found


def _length(values: Array) -> int:
    """Steps up to the last one at which something was measured."""
    there = np.flatnonzero(~np.isnan(values).all(axis=1))
    return int(there[-1]) + 1 if len(there) else 0


def _label(text: str) -> str:
    """`1` for `1.0000000e+00`, as the archive's oldest files write classes."""
    text = text.strip()
    return str(int(float(text))) if _WHOLE.match(text) else text
