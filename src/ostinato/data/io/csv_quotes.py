"""Where CSV records and fields end: RFC 4180, with one leniency, a quote inside an unquoted field is a plain character.

A field that begins with a quote is quoted: separators and newlines inside are text, a doubled quote is one quote.
Nothing but a separator or the line's end may follow the closing quote; where something does, the record is malformed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ostinato.arrays import Array, Offsets
from ostinato.data.io.records import newlines_of

_NEWLINE, _RETURN = 0x0A, 0x0D


@dataclass(frozen=True)
class Quotes:
    """The quotes of some bytes that begin with a record.

    `toggles`: offsets of those that begin or end a quoted stretch, in turn; `malformed`: closing ones followed by text;
    `plain`: whether some quotes are plain characters.
    """

    toggles: Offsets
    malformed: Offsets
    plain: bool

    def outside(self, places: Offsets) -> Offsets:
        """Those of the ascending offsets that lie outside quotes."""
        return places[np.searchsorted(self.toggles, places) % 2 == 0] if len(self.toggles) else places


def find_quotes(raw: bytes, separator: str, quote: str = '"') -> Quotes:
    """The quotes of `raw` and what they are. `quote`: the character; none: there is none."""
    data = np.frombuffer(raw, dtype=np.uint8)
    places = np.flatnonzero(data == ord(quote)) if quote else np.empty(0, dtype=np.int64)
    if _all_regular(data, places, ord(separator), ord(quote) if quote else 0):
        return Quotes(places, places[:0], False)
    return _one_by_one(raw, places, separator.encode(), quote.encode())


def _all_regular(data: Array, places: Offsets, separator: int, quote: int) -> bool:
    """Whether quotes open only where a field begins and close only where it ends: then every second one closes."""
    opening, closing = places[0::2], places[1::2]
    before = data[np.maximum(opening - 1, 0)]
    at_start = (opening == 0) | (before == separator) | (before == _NEWLINE) | (before == quote)
    padded = np.concatenate([data, np.asarray([_NEWLINE, _NEWLINE], dtype=np.uint8)])
    after, second = padded[closing + 1], padded[closing + 2]
    at_end = (after == separator) | (after == _NEWLINE) | (after == quote)
    at_end |= (after == _RETURN) & (second == _NEWLINE)
    return bool(at_start.all() and at_end.all())


def _one_by_one(raw: bytes, places: Offsets, separator: bytes, quote: bytes) -> Quotes:
    toggles: list[int] = []
    malformed: list[int] = []
    starts, ends = (b"", separator, b"\n"), (b"", separator, b"\n")
    inside = plain = False
    next_place = 0
    for place in places.tolist():
        if place < next_place:
            continue
        if not inside:
            if raw[max(place - 1, 0) : place] in starts:
                toggles.append(place)
                inside = True
            else:
                plain = True
        elif raw[place + 1 : place + 2] == quote:
            next_place = place + 2
        else:
            toggles.append(place)
            inside = False
            if raw[place + 1 : place + 2] not in ends and raw[place + 1 : place + 3] not in (b"\r\n", b"\r"):
                malformed.append(place)
    return Quotes(np.asarray(toggles, dtype=np.int64), np.asarray(malformed, dtype=np.int64), plain)


def quoted_record_ends(raw: bytes, separator: str, quote: str = '"') -> Offsets:
    """Offsets just past each newline outside quotes."""
    return find_quotes(raw, separator, quote).outside(newlines_of(raw)) + 1


def count_fields(raw: bytes, ends: Offsets, separator: str, quotes: Quotes) -> Offsets:
    """How many fields each record has."""
    separators = np.flatnonzero(np.frombuffer(raw, dtype=np.uint8) == ord(separator))
    up_to = np.searchsorted(quotes.outside(separators), ends)
    return np.diff(up_to, prepend=0) + 1


def split_fields(record: str, separator: str, quote: str = '"') -> list[str]:
    """The fields of one well-formed record."""
    if not quote or quote not in record:
        return record.split(separator)
    own, apart = re.escape(quote), re.escape(separator)
    field = re.compile(rf"{own}((?:[^{own}]++|{own}{own})*+){own}|([^{apart}]*+)")
    fields: list[str] = []
    place = 0
    while place <= len(record):
        match = field.match(record, place)
        if match is None:  # can't be: the second alternative matches anywhere
            break
        quoted, unquoted = match.groups()
        fields.append(unquoted if quoted is None else quoted.replace(2 * quote, quote))
        place = match.end() + 1
    return fields
