"""JSON: one list of objects, or a table column by column; rows are numbered as they come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ostinato.data.readers.jsonl import JsonLinesSource
from ostinato.errors import DataError

_LINES = 1_000


class JsonSource(JsonLinesSource):
    """One JSON value: a list of objects, or an object that holds one such list and no other; a table in any form
    that pandas' `to_json` writes, or as a list for each column. Read whole; rows and cells are as of JSONL. A JSONL
    file of another name is read too.
    """

    format = "json"
    suffixes = (".json",)

    def _bytes(self) -> Iterator[bytes]:
        raw = b"".join(super()._bytes())
        rows = _rows(raw.decode("utf-8", "surrogateescape"))
        if isinstance(rows, str):
            raise DataError(
                f"`{self.path}` must hold a list of JSON objects, or one JSON object a line. Received: {rows}.",
                hint="write one object a line, in a file that ends in .jsonl",
            )
        if rows is None:
            yield raw
            return
        for first in range(0, len(rows), _LINES):
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows[first : first + _LINES])
            yield "".join(lines).encode("utf-8", "surrogateescape")


def _rows(text: str) -> list[Any] | str | None:
    """The rows; None where there is an object a line; else what is there."""
    try:
        found = json.loads(text)
    except RecursionError:
        return "values nested too deeply"
    except ValueError as error:
        return None if text.lstrip().startswith("{") and "\n" in text.strip() else f"invalid JSON: {error}"
    if isinstance(found, dict) and (rows := _of_columns(found)):
        return rows
    if isinstance(found, dict) and len(lists := [one for one in found.values() if isinstance(one, list)]) == 1:
        found = lists[0] if len(found) == 1 or all(isinstance(row, dict) for row in lists[0]) else found
    if isinstance(found, list):
        return found if found and isinstance(found[0], dict) else "a list of other values"
    return None if isinstance(found, dict) and "\n" not in text.strip() else f"one {type(found).__name__}"


def _of_columns(table: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a table that is written column by column, or as pandas' orients `split` and `table`; else none."""
    columns, data = table.get("columns"), table.get("data")
    if isinstance(columns, list) and isinstance(data, list) and all(_is_of(row, len(columns)) for row in data):
        return [dict(zip(map(str, columns), row, strict=True)) for row in data]
    if isinstance(data, list) and "schema" in table:
        return data if all(isinstance(row, dict) for row in data) else []
    first = next(iter(table.values()), None)
    if isinstance(first, dict) and all(isinstance(one, dict) and one.keys() == first.keys() for one in table.values()):
        by_column = len(table) > 1 and list(first) == [str(number) for number in range(len(first))]
        return [{name: table[name][key] for name in table} for key in first] if by_column else []
    count = len(first) if isinstance(first, list) else 0
    if len(table) > 1 < count and all(_is_of(one, count) for one in table.values()):
        return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    return []


def _is_of(values: object, count: int) -> bool:
    """Whether these are so many values."""
    return isinstance(values, list) and len(values) == count
