"""The kind of feature that reads a column, auto-detected from its format or its first cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path

import polars as pl

from ostinato.data.inference.sample import DataSample
from ostinato.data.tables.list_cells import kind_of_values, lists_of
from ostinato.media.files import MEDIA
from ostinato.wording import with_article

_LOOKED_AT = 200
_MOST = 0.9
"""Share of the cells that decides a kind; the others are bad rows then."""
_FEWEST = 5
"""Cells among which one may be of no such kind."""
_NUMBERS = re.compile(r"\s*\[[\s\d.,eE+\[\]-]*(?:(?:Infinity|NaN|null)[\s\d.,eE+\[\]-]*)*\]\s*$")
_NUCLEOTIDES = re.compile(r"^\s*[ACGTUNacgtun]{20,}\s*$")
_RESIDUES = re.compile(r"^\s*[A-Z]{20,}\s*$")
_WORDS = re.compile(r'^\s*\[\s*"')
_PARSED = 20
"""Lists of numbers that are parsed, to tell notes from series."""


def kind_of(sample: DataSample, column: str) -> tuple[str, str] | None:
    """The kind of a column and the reason; None where it is plain text, or plain cells of a target."""
    return sample.once(("kind", column), lambda: _kind_of(sample, column))


def _kind_of(sample: DataSample, column: str) -> tuple[str, str] | None:
    known = sample.source.kind_of(column)
    if known is not None:
        return known, f"{with_article(sample.format)} file says so"
    cells = sample.cells(column).head(_LOOKED_AT)
    return _kind_of_cells(cells) if len(cells) else None


def _kind_of_cells(cells: pl.Series) -> tuple[str, str] | None:
    if cells.dtype == pl.List(pl.String):
        return "tokens", "its cells are lists of words"
    if cells.dtype.is_nested():
        return "series", "its cells are lists of numbers"
    texts = cells.to_list()
    tests: list[tuple[str, str, Callable[[str], object]]] = [
        (kind, f"cells name {', '.join(sorted(_suffixes(texts) & set(known)))} files", _named(known))
        for kind, known in MEDIA.items()
    ]
    tests += [
        ("series", "cells are lists of numbers", _NUMBERS.match),
        ("dna", "cells hold nucleotides only", _NUCLEOTIDES.match),
        ("protein", "cells are strings of 20 or more capital letters", _RESIDUES.match),
        ("tokens", "cells are lists of words", _WORDS.match),
        ("numbers", "cells are numbers", _is_number),
    ]
    for kind, what, matches in tests:
        count = sum(bool(matches(text)) for text in texts)
        if count < (len(texts) - 1 if len(texts) >= _FEWEST else len(texts)) and count < _MOST * len(texts):
            continue
        if kind == "series" and _hold_notes(texts):
            kind, what = "notes", "cells are lists of frames of pitches, not as many in every frame"
        return kind, f"its {what}" if count == len(texts) else f"{count} of its first {len(texts)} {what}"
    return None


def _hold_notes(texts: list[str]) -> bool:
    lists = lists_of(texts[:_PARSED])
    return lists is not None and kind_of_values(lists) == "notes"


def _suffixes(texts: list[str]) -> set[str]:
    return {Path(text).suffix.lower() for text in texts}


def _named(known: Collection[str]) -> Callable[[str], bool]:
    return lambda text: Path(text).suffix.lower() in known


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
