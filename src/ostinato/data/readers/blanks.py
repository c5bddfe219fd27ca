"""Tables whose columns stand between blanks, as instruments and old programs write them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ostinato.data.readers.delimited import TabSource

_BLANKS = re.compile(rb"[ \t]+")
_NUMBERS = re.compile(r"[-+]?(?:[0-9.]+(?:e[-+]?[0-9]+)?|nan|inf)$", re.IGNORECASE)


class BlanksSource(TabSource):
    """As TSV, with any number of blanks between columns. Where the first line is numbers, columns are called
    `column1`, `column2`, …, unless `data.header` names them.
    """

    format = "blanks"
    suffixes = ()

    def _read_columns(self) -> list[str]:
        if not self.header:
            first = next((line for piece in self._bytes() for line in piece.split(b"\n") if line), b"")
            cells = first.decode("utf-8", "replace").split("\t")
            if all(_NUMBERS.match(cell) for cell in cells):
                self.header = tuple(f"column{number}" for number in range(1, len(cells) + 1))
        return super()._read_columns()

    def _bytes(self) -> Iterator[bytes]:
        """The file, a tab in place of each run of blanks within a line."""
        rest = b""
        for piece in super()._bytes():
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()
            if lines:
                yield b"".join(_BLANKS.sub(b"\t", line.strip()) + b"\n" for line in lines)
        if rest:
            yield _BLANKS.sub(b"\t", rest.strip()) + b"\n"
