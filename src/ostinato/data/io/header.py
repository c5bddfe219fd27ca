"""The first line of a table: names of its columns, or a row like those below it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

_NUMBER = re.compile(r"[+\-−(]?\s?[\$€£¥]?\s?[+-]?(\d[\d ',.]*|\.\d+)([eE][+-]?\d+)?\s?[%€]?\)?$")
_TIME = re.compile(
    r"\d{1,4}[-/.]\d{1,2}([-/.]\d{1,4})?([T ]+\d{1,2}(:\d{2})+.*)?$|\d{1,2}(:\d{2}){1,2}(\.\d+)?( ?[AaPp][Mm])?$"
)
_MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-")
_MOST = 0.9
_FEW_NAMES = 20
"""Different cells that a column of names of classes may hold."""
_LONG = 12
_TIMES_EACH = 3
"""Rows that each of these must have on average."""


def is_value(cell: str) -> bool:
    """Whether a cell is a number or a time, however it is written."""
    return _NUMBER.match(cell.strip()) is not None or _is_time(cell)


def _is_time(cell: str) -> bool:
    return _TIME.match(cell.strip()) is not None and not re.match(r"^\d+\.\d+$", cell.strip())


def is_header(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool | None:
    """Whether the first line names columns (True), or is a row like the others (False); None: it can't be decided.

    It names columns where a text is above numbers or times, or where numbers rise from column to column as they do
    in no row below; it is a row where it has numbers, times, a class, a sentence or a string of letters as those have.
    """
    alike = 0
    for cell, below in zip(first, zip(*rows, strict=True), strict=False):
        given = [other for other in below if other.strip().lower() not in _MISSING]
        if not given or cell.strip().lower() in _MISSING:
            continue
        values = sum(is_value(other) for other in given)
        if values >= _MOST * len(given):
            times = sum(_is_time(other) for other in given) >= _MOST * len(given)
            if not is_value(cell) or _is_time(cell) != times:
                return True
            alike += 1
        elif not values and (_names_a_class(cell, given) or _is_sentence(cell, given) or _is_of_letters(cell, given)):
            alike += 1
    if not alike:
        return None
    return None if _counts_up(first) and sum(map(_counts_up, rows)) * 2 <= len(rows) else False


def _names_a_class(cell: str, below: Sequence[str]) -> bool:
    names = set(below)
    return cell in names and 1 < len(names) <= min(_FEW_NAMES, len(below) // _TIMES_EACH)


def _is_sentence(cell: str, below: Sequence[str]) -> bool:
    """Whether it ends as sentences do, and so do most cells below it; a question may be a name."""
    ends = sum(other.strip().endswith((".", "!", "?", "…")) for other in below)
    return " " in cell.strip() and cell.strip().endswith((".", "!", "…")) and 2 * ends > len(below)


def _is_of_letters(cell: str, below: Sequence[str]) -> bool:
    """Whether it is long, and of the same few letters as the cells below it: DNA, a protein."""
    letters = set[str]().union(*(other.strip() for other in below))
    return len(cell.strip()) >= _LONG and set(cell.strip()) <= letters and len({one.upper() for one in letters}) <= 26


def _counts_up(cells: Sequence[str]) -> bool:
    """Whether the numbers of a line rise from column to column: two whole ones, or four others, at least."""
    numbers = [float(cell) for cell in cells if re.match(r"^\s*-?\d+(\.\d+)?\s*$", cell)]
    least = 2 if all(number.is_integer() for number in numbers) else 4
    return len(numbers) >= least and all(a < b for a, b in itertools.pairwise(numbers))


def name_fields(header: Sequence[str]) -> tuple[list[str], list[int], dict[str, str]]:
    """A name for each field, those that the file leaves without one by their number, and new names of doubled ones.

    Example:
        >>> name_fields(["", "ISE", "ISE"])
        (['column_1', 'ISE', 'ISE_2'], [0], {'ISE_2': 'ISE'})
    """
    given = ["" if re.match(r"Unnamed: \d+$", name.strip()) else name.strip() for name in header]
    fields: dict[str, None] = {}
    named = set(given)
    unnamed: list[int] = []
    renamed: dict[str, str] = {}
    for place, name in enumerate(given):
        free = name or f"column_{place + 1}"
        number = 2
        while free in fields or (free != name and free in named):
            free, number = f"{name or f'column_{place + 1}'}_{number}", number + 1
        if not name:
            unnamed.append(place)
        elif free != name:
            renamed[free] = name
        fields[free] = None
    return list(fields), unnamed, renamed


def numbers_rows(cells: Sequence[str | None]) -> int | None:
    """Where the numbers of a column start that numbers the rows, 0 or 1; None where it does not."""
    for start in (0, 1):
        if len(cells) > 1 and all(cell == str(start + row) for row, cell in enumerate(cells)):
            return start
    return None
