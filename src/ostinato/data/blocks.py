"""Files as a stream of blocks of whole records, so that a file larger than memory is read like a small one.

A block is a table of text columns plus, for every row, the line it began on. Decompression (.gz, .bz2, .xz) and the
choice among UTF-8, UTF-8 with BOM and Latin-1 happen here, once, for every format.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

import numpy as np
import polars as pl

from ostinato.data.rejects import BadRows
from ostinato.errors import DataError

BLOCK_BYTES = 16 << 20
_LONGEST_RECORD_BYTES = 512 << 20
_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
Lines = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class Block:
    """Some rows of one file. `frame`: text columns; `lines`: the 1-based line (Parquet: row) of each row."""

    frame: pl.DataFrame
    files: tuple[str, ...]
    """One name for the whole block, or one a row (a folder of texts)."""
    lines: Lines

    def location(self, row: int) -> tuple[str, int]:
        """Where row `row` stands: file and line."""
        return self.files[row if len(self.files) > 1 else 0], int(self.lines[row])


@dataclass
class Decoder:
    """Bytes to text, block after block, with what was found said in `encoding`.

    `auto` takes UTF-8 (a BOM is removed). Where the non-ASCII lines are not UTF-8, the file is read as Latin-1; where only
    a few of them are not, those are bad rows of a UTF-8 file.
    """

    file: str
    requested: str
    bad_rows: BadRows
    encoding: str = "ascii"
    _seen_utf8: bool = field(default=False, repr=False)

    def decode(self, raw: bytes, first_line: int) -> str:
        """The text of `raw`; lines that can't be decoded are recorded as bad rows and left empty."""
        if self.requested == "latin-1" or self.encoding == "Latin-1":
            self.encoding = "Latin-1"
            return raw.decode("latin-1")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            return self._decode_lines(raw, first_line)
        if not raw.isascii():
            self._seen_utf8 = True
            self.encoding = "UTF-8" if self.encoding == "ascii" else self.encoding
        return text

    def _decode_lines(self, raw: bytes, first_line: int) -> str:
        lines = raw.split(b"\n")
        good: list[str] = []
        broken: list[int] = []
        valid = 0
        for number, line in enumerate(lines):
            try:
                good.append(line.decode("utf-8"))
                valid += not line.isascii()
            except UnicodeDecodeError:
                good.append("")
                broken.append(number)
        if self.requested == "auto" and not self._seen_utf8 and valid < len(broken):
            self.encoding = "Latin-1"
            return raw.decode("latin-1")
        for number in broken:
            self.bad_rows.add(self.file, first_line + number, "not valid UTF-8", lines[number][:80].decode("latin-1"))
        self.encoding = "UTF-8"
        return "\n".join(good)


def open_binary(path: Path) -> IO[bytes]:
    """The bytes of `path`, decompressed by its suffix. Raises `DataError` where it can't be opened."""
    opener = _OPENERS.get(path.suffix.lower(), open)
    try:
        return cast("IO[bytes]", opener(path, "rb"))
    except OSError as error:
        raise DataError(f"can't open `{path}`: {error.strerror or error}.") from error


def raw_blocks(path: Path, *, quoted: bool = False, spaces: bool = False) -> Iterator[bytes]:
    """Bytes of `path`, cut only where a record ends: at a newline, `quoted`: at one outside double quotes (as CSV),
    `spaces`: also at a space (a text without newlines). A UTF-8 BOM is removed.

    Raises `DataError` for an empty or unreadable file, UTF-16, or a record above 512 MB.
    """
    rest = b""
    first = True
    with open_binary(path) as stream:
        while True:
            try:
                chunk = stream.read(BLOCK_BYTES)
            except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
                raise DataError(f"can't read `{path}`: {str(error) or type(error).__name__}.") from error
            if first:
                chunk = _without_bom(path, chunk)
                first = False
            if not chunk:
                break
            rest += chunk
            end = _record_end(rest, quoted, spaces)
            if end:
                yield rest[:end]
                rest = rest[end:]
            if len(rest) > _LONGEST_RECORD_BYTES:
                what = "a quoted field that never closes" if quoted else "a line"
                raise DataError(f"`{path}` holds {what} of more than {_LONGEST_RECORD_BYTES >> 20} MB.")
    if rest:
        yield rest


def _without_bom(path: Path, chunk: bytes) -> bytes:
    if chunk.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(
            f"`{path}` is UTF-16; Ostinato reads UTF-8 and Latin-1.", hint="convert it: iconv -f UTF-16 -t UTF-8"
        )
    chunk = chunk.removeprefix(b"\xef\xbb\xbf")
    if not chunk.strip():
        raise DataError(f"`{path}` is empty.")
    return chunk


def _record_end(raw: bytes, quoted: bool, spaces: bool) -> int:
    if not quoted:
        return max(raw.rfind(b"\n"), raw.rfind(b" ") if spaces else -1) + 1
    ends = record_ends(raw)
    return int(ends[-1]) if len(ends) else 0


def record_ends(raw: bytes) -> Lines:
    """Offsets just past each newline that stands outside double quotes."""
    data = np.frombuffer(raw, dtype=np.uint8)
    newlines = np.flatnonzero(data == 0x0A)
    quotes = np.flatnonzero(data == 0x22)
    inside = np.searchsorted(quotes, newlines) % 2
    return cast("Lines", newlines[inside == 0].astype(np.int64) + 1)
