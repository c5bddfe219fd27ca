"""A file cut into whole records (lines, or CSV records), each with the line it begins on. Never a part of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ostinato.arrays import Mask, Offsets
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError
from ostinato.storage.encodings import is_utf8

LONGEST_RECORD_BYTES = 512 << 20
_NEWLINE = 0x0A
_EXCERPT_BYTES = 200


@dataclass(frozen=True)
class Records:
    """Some records, one after the other; each ends with a newline.

    `ends`: the offset just past each; `lines`: the 1-based line each begins on.
    """

    raw: bytes
    ends: Offsets
    lines: Offsets

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def starts(self) -> Offsets:
        """The offset of each."""
        return np.concatenate([np.zeros(1, dtype=np.int64), self.ends[:-1]])[: len(self.ends)]

    def __getitem__(self, index: int) -> bytes:
        """One record, without its line end."""
        start = int(self.ends[index - 1]) if index else 0
        return self.raw[start : int(self.ends[index])].removesuffix(b"\n").removesuffix(b"\r")

    def decoded(self) -> Iterator[tuple[int, str]]:
        """The line each begins on, and its text."""
        return ((int(self.lines[index]), self[index].decode("utf-8")) for index in range(len(self)))

    def text(self, index: int) -> str:
        """One record as text, for a message."""
        return self[index][:_EXCERPT_BYTES].decode("utf-8", "replace")

    def holding(self, places: Offsets) -> Offsets:
        """The numbers of the records that hold the given offsets, each once."""
        return np.unique(np.searchsorted(self.ends, places, side="right")).astype(np.int64)

    def keep(self, mask: Mask) -> Records:
        """The records where `mask` is true."""
        if mask.all():
            return self
        lengths = np.diff(self.ends, prepend=0)
        data = np.frombuffer(self.raw, dtype=np.uint8)[np.repeat(mask, lengths)]
        return Records(data.tobytes(), np.cumsum(lengths[mask]), self.lines[mask])


Find = Callable[[bytes], Offsets]
"""Offsets just past each whole record in some bytes that begin with a record."""


def cut_records(pieces: Iterable[bytes], find: Find, path: Path) -> Iterator[Records]:
    """Pieces of a file, which end anywhere, as whole records. A last line without a newline gets one.

    Raises:
        DataError: for a record above 512 MB.
    """
    parts: list[bytes] = []
    waiting, wanted, line = 0, 0, 1
    for piece in pieces:
        parts.append(piece)
        waiting += len(piece)
        if waiting < wanted:  # a record longer than a piece: look again only when twice as much is there
            continue
        raw = b"".join(parts)
        ends = find(raw)
        end = int(ends[-1]) if len(ends) else 0
        if end:
            yield _number(raw[:end], ends, line)
            line += raw.count(b"\n", 0, end)
        rest = raw[end:]
        if len(rest) > LONGEST_RECORD_BYTES:
            raise DataError(f"`{path}`:{line}: a record of more than {LONGEST_RECORD_BYTES >> 20} MB begins here.")
        parts, waiting, wanted = [rest], len(rest), 2 * len(rest)
    raw = b"".join(parts)
    if raw:
        raw = raw if raw.endswith(b"\n") else raw + b"\n"
        ends = find(raw)
        if not len(ends) or int(ends[-1]) < len(raw):  # a quoted field that never closes
            ends = np.append(ends, len(raw))
        yield _number(raw, ends, line)


def _number(raw: bytes, ends: Offsets, first_line: int) -> Records:
    newlines = newlines_of(raw)
    starts = np.concatenate([np.zeros(1, dtype=np.int64), ends[:-1]])
    return Records(raw, ends, first_line + np.searchsorted(newlines, starts))


def newlines_of(raw: bytes) -> Offsets:
    """The offset of each newline."""
    return np.flatnonzero(np.frombuffer(raw, dtype=np.uint8) == _NEWLINE)


def line_ends(raw: bytes) -> Offsets:
    """As `Find`: every line is a record."""
    return newlines_of(raw) + 1


def readable(records: Records, bad_rows: BadRows, file: str) -> Mask:
    """Which records hold no NUL byte and are valid UTF-8; the others go to `bad_rows`."""
    good = np.ones(len(records), dtype=np.bool_)
    if b"\0" in records.raw:
        nuls = np.flatnonzero(np.frombuffer(records.raw, dtype=np.uint8) == 0)
        for index in records.holding(nuls).tolist():
            bad_rows.add(file, int(records.lines[index]), "holds a NUL byte", records.text(index))
            good[index] = False
    if not records.raw.isascii() and not is_utf8(records.raw):
        for index in np.flatnonzero(good).tolist():
            if not is_utf8(records[index]):
                hint = "if the file is Latin-1: --set data.encoding=latin-1"
                bad_rows.add(file, int(records.lines[index]), "not valid UTF-8", records.text(index), hint)
                good[index] = False
    return good
