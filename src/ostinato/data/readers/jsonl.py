"""JSONL: one JSON object a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import polars as pl

from ostinato.arrays import Mask
from ostinato.data.io.blocks import Block
from ostinato.data.io.records import Records
from ostinato.data.readers.base import Source
from ostinato.errors import DataError

_LOOKED_AT = 100
_HALF_CHARACTER = re.compile(rb"(?<!\\)(?:\\\\)*\\u[dD](?:[89abAB]..(?!\\u[dD][c-fC-F])|[c-fC-F])")
"""A surrogate escape without its other half. The low half after a high one matches too: `_half` looks closer."""


class JsonLinesSource(Source):
    """JSONL. Numbers are taken as text (`1.0` as `1`), lists and objects as JSON text; blank lines are skipped."""

    format = "jsonl"
    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")
    tabular = True

    def _read_columns(self) -> list[str]:
        names: dict[str, None] = {}
        looked_at = 0
        first = ""
        for records in self._records(glance=True):
            for index in range(min(len(records), _LOOKED_AT - looked_at)):
                row = _json_object(records[index])
                first = first or records.text(index).strip()
                names.update(dict.fromkeys(row if isinstance(row, dict) else ()))
            looked_at += len(records)
            if looked_at >= _LOOKED_AT:
                break
        if not names:
            array = first.startswith("[")
            raise DataError(
                f"`{self.path}` has no JSON object in its first {_LOOKED_AT} lines.",
                hint="if it is one JSON list: jq -c '.[]' FILE.json > FILE.jsonl" if array else None,
            )
        return list(names)

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """Polars parses a block; where it refuses, the lines it refuses are found and set aside."""
        for records in self._records():
            records = self._without_half_characters(records)
            frame = _parse(records.raw, columns)
            if frame is None or frame.height != len(records):
                records = records.keep(np.asarray([bool(records[i].strip()) for i in range(len(records))], np.bool_))
                good = np.ones(len(records), dtype=np.bool_)
                frames = self._search(records, columns, 0, good)
                frame, records = pl.concat(frames) if frames else None, records.keep(good)
            if frame is not None and len(frame):
                yield Block(frame, (str(self.path),), records.lines)

    def _search(self, records: Records, columns: Sequence[str], first: int, good: Mask) -> list[pl.DataFrame]:
        """Parse; where that fails halve, down to the lines at fault: bad rows, and false in `good`."""
        if not len(records):
            return []
        frame = _parse(records.raw, columns)
        if frame is not None and frame.height == len(records):
            return [frame]
        if len(records) == 1:
            row = _json_object(records[0])
            reason = row if isinstance(row, str) else "not valid JSON (RFC 8259)"
            self._bad(records, 0, reason)
            good[first] = False
            return []
        half = len(records) // 2
        front = np.arange(len(records)) < half
        return [
            *self._search(records.keep(front), columns, first, good),
            *self._search(records.keep(~front), columns, first + half, good),
        ]

    def _without_half_characters(self, records: Records) -> Records:
        r"""Without the lines that escape half a character (`\ud800` alone), which polars would read as a NUL."""
        if b"\\ud" not in records.raw and b"\\uD" not in records.raw:
            return records
        places = np.asarray([match.start() for match in _HALF_CHARACTER.finditer(records.raw)], dtype=np.int64)
        good = np.ones(len(records), dtype=np.bool_)
        for index in records.holding(places).tolist():
            if _half(records[index]):
                reason = "escapes half a character (a surrogate without its pair)"
                self._bad(records, index, reason)
                good[index] = False
        return records.keep(good)


def _parse(raw: bytes, columns: Sequence[str]) -> pl.DataFrame | None:
    try:
        return pl.read_ndjson(raw, schema=dict.fromkeys(columns, pl.String)).select(columns)
    except pl.exceptions.PolarsError:
        return None


def _half(line: bytes) -> bool:
    row = _json_object(line)
    if isinstance(row, str):
        return False  # broken in another way: found later
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _json_object(line: bytes) -> dict[str, Any] | str:
    """The object on a line, or why there is none."""
    try:
        row = json.loads(line.decode("utf-8"), parse_constant=_refuse, parse_int=str)
    except json.JSONDecodeError as error:
        return f"invalid JSON: {error.msg} at column {error.colno}"
    except RecursionError:
        return "invalid JSON: nested too deeply"
    except _NotJsonError as error:
        return f"invalid JSON: {error} is not a JSON value"
    return row if isinstance(row, dict) else f"not a JSON object but {_KINDS[type(row)]}"


class _NotJsonError(Exception):
    """A constant that Python's reader takes and JSON does not have."""


def _refuse(constant: str) -> object:
    raise _NotJsonError(constant)


_KINDS = {list: "a list", str: "a text or number", float: "a number", bool: "true or false", type(None): "null"}
