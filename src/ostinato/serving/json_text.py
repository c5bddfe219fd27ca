"""JSON as answers are sent and kept, and as requests are read: to the byte what Python's own library has, faster."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import orjson

from ostinato.serving.refused import RefusedError

MOST_NESTED = 100
"""Lists and objects within each other, in what is received."""
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_PLAIN = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_OTHERWISE = re.compile(rb"(?:^|[:,\[])(?:-?(?:0\.0000|[\d.]+e)|n)")
"""Numbers that both write otherwise (1e-05 and 0.00001), and `null`, which may stand for what is no number."""
_LONG = r"(?:^\s*|[:,\[\s])-?\d{19}"
_LONG_TEXT, _LONG_BYTES = re.compile(_LONG), re.compile(_LONG.encode())
"""Whole numbers beyond 64 bits, which `orjson` reads as ones with a point."""


def json_bytes(value: Any) -> bytes:
    """As answers are sent and kept.

    Raises:
        ValueError: for numbers that JSON has not, and halves of characters.
        TypeError: for what is no JSON.
    """
    try:
        found = orjson.dumps(value, None, _PLAIN)
    except TypeError:
        return _ENCODER.encode(value).encode()
    if _OTHERWISE.search(found):
        return _ENCODER.encode(value).encode()
    return bytes(memoryview(found))  # of its own size: orjson's keeps 4 KB, and sessions keep their last answer


def json_of(text: str | bytes) -> Any:
    """What a request holds.

    Raises:
        ValueError: for what is no JSON.
        RefusedError: for what is nested too deep: what is done with it later needs no deep stack.
    """
    found = read(text)
    if is_deep(found):
        raise too_deep()
    return found


def read(text: str | bytes) -> Any:
    """As `json_of`, however deep it is nested, as long as it can be read at all."""
    try:
        if (_LONG_TEXT.search(text) if isinstance(text, str) else _LONG_BYTES.search(text)) is None:
            with suppress(ValueError):
                return orjson.loads(text)
        return json.loads(text)
    except RecursionError:
        raise too_deep() from None


def is_deep(value: Any) -> bool:
    """Whether something is nested too deep."""
    level: list[Any] = [[value]]
    for _ in range(MOST_NESTED + 1):
        level = [
            inner
            for one in level
            for inner in (one.values() if type(one) is dict else one)
            if type(inner) is list or type(inner) is dict
        ]
    return bool(level)


def too_deep() -> RefusedError:
    """How that is refused."""
    return RefusedError(
        422, f"JSON of at most {MOST_NESTED} lists and objects within each other was expected. Received: more."
    )
