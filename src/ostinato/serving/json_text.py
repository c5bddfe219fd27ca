"""JSON as answers are sent and kept, and as requests are read: to the byte what Python's own library has, faster."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_PLAIN = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_OTHERWISE = re.compile(rb"(?:^|[:,\[])(?:-?(?:0\.0000|[\d.]+e)|n)")
"""Numbers that both write otherwise (1e-05 and 0.00001), and `null`, which may stand for what is no number."""


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
        RecursionError: for what is nested too deep.
    """
    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text)
