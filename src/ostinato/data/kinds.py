"""What kind of feature a column holds, told by its format or its first cells."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import polars as pl

from ostinato.data.media import MEDIA
from ostinato.data.sources import Source

_LOOKED_AT = 200
_NUMBERS = re.compile(r"^\s*\[\s*(\[|-?\d|NaN|null)")
_NUCLEOTIDES = re.compile(r"^[ACGTUNacgtun]{20,}$")


def kind_of(source: Source, column: str) -> tuple[str, str] | None:
    """The kind of a column and the reason; None where it is plain text, or plain cells of a target."""
    known = source.kind_of(column)
    if known is not None:
        return known, f"a {source.format} file says so"
    cells = source.sample([column])[column].drop_nulls().head(_LOOKED_AT)
    return _kind_of_cells(cells) if len(cells) else None


def _kind_of_cells(cells: pl.Series) -> tuple[str, str] | None:
    if cells.dtype == pl.List(pl.String):
        return "tokens", "its cells are lists of words"
    if cells.dtype.is_nested():
        return "series", "its cells are lists of numbers"
    suffixes = {Path(cell).suffix.lower() for cell in cells.to_list()}
    for kind, known in MEDIA.items():
        if suffixes <= set(known):
            return kind, f"its cells name {', '.join(sorted(suffixes))} files"
    tests: tuple[tuple[str, str, Callable[[str], object]], ...] = (
        ("series", "its cells are lists of numbers", _NUMBERS.match),
        ("dna", "its cells hold nucleotides only", _NUCLEOTIDES.match),
    )
    for kind, reason, matches in tests:
        if all(matches(cell) for cell in cells.to_list()):
            return kind, reason
    if cells.cast(pl.Float64, strict=False).is_not_null().all():
        return "numbers", "its cells are numbers"
    return None
