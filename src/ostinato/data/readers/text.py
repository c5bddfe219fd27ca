"""Plain text: one document, however long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ostinato.data.io.blocks import Block
from ostinato.data.io.records import LONGEST_RECORD_BYTES, Records, newlines_of, readable
from ostinato.data.readers.base import Claim, Source, suffix_of
from ostinato.errors import DataError

_LONGEST_TAG_BYTES = 4096
_LONG_LINE_BYTES = 1 << 20
_SPACES = b" \t\r\n"


class TextSource(Source):
    """Plain text: one column `text`; consecutive blocks continue one document. Line ends are read as newlines.

    A block ends before white space and outside a tag, so that no token is cut in two.
    """

    format = "text"
    suffixes = (".txt", ".text", ".md")
    usual_input = "text"

    @classmethod
    def claim(cls, path: Path) -> Claim | None:
        """A text by its name; whatever else may be called .txt is so by its content."""
        claim = super().claim(path)
        return claim and (Claim.SUFFIX if suffix_of(path) == ".md" else Claim.LAST)

    def _read_columns(self) -> list[str]:
        return ["text"]

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        line = 1
        for raw in _cut_text(self._bytes(), str(self.path)):
            newlines = newlines_of(raw)
            ends = newlines + 1
            if not raw.endswith(b"\n"):
                ends = np.append(ends, len(raw))
            good = readable(Records(raw, ends, line + np.arange(len(ends))), self.bad_rows, str(self.path))
            if not good.all():  # a bad line is left empty
                lines = raw.split(b"\n")
                raw = b"\n".join(text if kept else b"" for text, kept in zip(lines, [*good, True], strict=False))
            if raw:
                frame = pl.DataFrame({name: [raw.decode("utf-8").replace("\r\n", "\n")] for name in columns})
                yield Block(frame, (str(self.path),), np.asarray([line], dtype=np.int64))
            line += len(newlines)


def _cut_text(pieces: Iterable[bytes], file: str) -> Iterator[bytes]:
    parts: list[bytes] = []
    waiting, wanted = 0, 0
    for piece in pieces:
        parts.append(piece)
        waiting += len(piece)
        if waiting < wanted:
            continue
        raw = b"".join(parts)
        end = _block_end(raw)
        if end:
            yield raw[:end]
        rest = raw[end:]
        if len(rest) > LONGEST_RECORD_BYTES:
            raise DataError(f"`{file}` holds more than {LONGEST_RECORD_BYTES >> 20} MB without a space or newline.")
        parts, waiting, wanted = [rest], len(rest), 2 * len(rest) if not end else 0
    yield b"".join(parts)


def _block_end(raw: bytes) -> int:
    """Where to cut: before the last newline outside a tag; in a very long line, before the last space outside one."""
    for space in (b"\n", b" ") if len(raw) > _LONG_LINE_BYTES else (b"\n",):
        end = _run_start(raw, raw.rfind(space))
        while end > 0:
            tag = raw.rfind(b"<", max(0, end - _LONGEST_TAG_BYTES), end)
            if tag <= raw.rfind(b">", max(0, end - _LONGEST_TAG_BYTES), end):
                return end
            end = _run_start(raw, raw.rfind(space, 0, tag))
    return 0


def _run_start(raw: bytes, place: int) -> int:
    """The beginning of the run of white space that holds `place`."""
    while place > 0 and raw[place - 1] in _SPACES:
        place -= 1
    return place
