"""JSON: one list of objects, as `to_json(orient="records")` writes; rows are numbered as they come in the list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ostinato.data.readers.jsonl import JsonLinesSource
from ostinato.errors import DataError

_LINES = 1_000


class JsonSource(JsonLinesSource):
    """One JSON value: a list of objects, or an object that holds one such list and nothing else. Read whole; rows and
    cells are as of JSONL. A JSONL file of another name is read too.
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
    if isinstance(found, dict) and len(found) == 1:
        found = next(iter(found.values()))
    if isinstance(found, list):
        return found if found and isinstance(found[0], dict) else "a list of other values"
    return None if isinstance(found, dict) and "\n" not in text.strip() else f"one {type(found).__name__}"
