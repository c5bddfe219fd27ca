"""Cells that are lists, or JSON lists: what they hold."""

from __future__ import annotations

import json
from typing import Any

MOST_LABELS = 20
"""Different whole numbers that are still taken for labels."""
_HIGHEST_PITCH = 127


def lists_of(cells: list[Any]) -> list[list[Any]] | None:
    """Cells that are lists, those written as JSON parsed; None if any is none."""
    found: list[list[Any]] = []
    for cell in cells:
        values = json_list(cell) if isinstance(cell, str) else cell
        if not isinstance(values, list):
            return None
        found.append(values)
    return found


def json_list(cell: str) -> list[Any] | None:
    """What a JSON list holds; None for any other text."""
    if not cell.lstrip().startswith("["):
        return None
    try:
        found: list[Any] = json.loads(cell)
    except json.JSONDecodeError:
        return None
    return found


def kind_of_values(rows: list[list[Any]]) -> str | None:
    """What lists hold: tags (names, or few different whole numbers), series (numbers, or as many of them at every
    step), notes (whole numbers, not as many at every step), or none of it."""
    values = [value for row in rows for value in row]
    if not values:
        return None
    if all(isinstance(value, str) for value in values):
        return "tags"
    if all(_is_number(value) for value in values):
        whole = all(isinstance(value, int) for value in values)
        return "tags" if whole and len(set(values)) <= MOST_LABELS else "series"
    if not all(isinstance(value, list) and all(map(_is_number, value)) for value in values):
        return None
    if len({len(value) for value in values}) == 1 and values[0]:
        return "series"
    pitches = [pitch for value in values for pitch in value]
    return "notes" if all(isinstance(p, int) and 0 <= p <= _HIGHEST_PITCH for p in pitches) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
