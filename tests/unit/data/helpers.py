"""Reading a file whole, in blocks of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from ostinato.data.readers.registry import Source, open_source
from ostinato.data.rejects import BadRows
from ostinato.recipe.dialect import Dialect
from ostinato.storage import decompress

BLOCK_SIZES = (1, 7, 64, 1000, 16 << 20)


@dataclass
class Read:
    """All that reading gave: rows, the line of each, what is wrong with which line, notes."""

    rows: list[tuple[str | None, ...]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    num_blocks: int = field(default=0, compare=False)

    @property
    def texts(self) -> list[str | None]:
        """The first column."""
        return [row[0] for row in self.rows]


def read(path: Path, columns: Sequence[str] | None = None, *, block_bytes: int = 16 << 20, **dialect: Any) -> Read:
    """Read a whole source. `bad` is "LINE: reason"."""
    bad_rows, found = BadRows(), Read()
    with mock.patch.object(decompress, "BLOCK_BYTES", block_bytes):
        source: Source = open_source(path, bad_rows, dialect=Dialect(**dialect))
        for block in source.blocks(columns if columns is not None else source.columns()):
            found.num_blocks += 1
            found.rows += block.table.rows()
            for row in range(len(block)):
                file, line = block.location(row)
                found.lines.append(line)
                found.files.append(Path(file).name)
    found.bad = [f"{row.line}: {row.reason}" for row in bad_rows.in_order()]
    found.notes = list(source.notes)
    return found


def read_same(path: Path, columns: Sequence[str] | None = None, **dialect: Any) -> Read:
    """Read with every block size; all must agree."""
    first, *others = (read(path, columns, block_bytes=size, **dialect) for size in BLOCK_SIZES)
    for other in others:
        assert other == first
    return first
