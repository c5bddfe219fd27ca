"""Edit distance between two sequences, and how one becomes the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

ItemT = TypeVar("ItemT")
Edit = tuple[ItemT | None, ItemT | None]
"""An item of the reference and one of the written sequence; None: a gap."""


def edit_distance(reference: Sequence[ItemT], written: Sequence[ItemT]) -> int:
    """The fewest insertions, deletions and substitutions that make one sequence the other (Levenshtein 1966).

    Example:
        >>> edit_distance("kitten", "sitting")
        3
    """
    above = list(range(len(written) + 1))
    for i, item in enumerate(reference, 1):
        left = i
        row = [left]
        for j, other in enumerate(written, 1):
            left = min(left + 1, above[j] + 1, above[j - 1] + (item != other))
            row.append(left)
        above = row
    return above[-1]


def align(reference: Sequence[ItemT], written: Sequence[ItemT]) -> list[Edit[ItemT]]:
    """One of the shortest ways from a sequence to another, item by item; equal items stand side by side.

    Example:
        >>> align("ab", "xb")
        [('a', 'x'), ('b', 'b')]
    """
    table = [list(range(len(written) + 1))]
    for i, item in enumerate(reference, 1):
        row = [i]
        for j, other in enumerate(written, 1):
            row.append(min(row[-1] + 1, table[-1][j] + 1, table[-1][j - 1] + (item != other)))
        table.append(row)
    edits: list[Edit[ItemT]] = []
    i, j = len(reference), len(written)
    while i or j:
        here = table[i][j]
        if i and j and here == table[i - 1][j - 1] + (reference[i - 1] != written[j - 1]):
            i, j = i - 1, j - 1
            edits.append((reference[i], written[j]))
        elif i and here == table[i - 1][j] + 1:
            i -= 1
            edits.append((reference[i], None))
        else:
            j -= 1
            edits.append((None, written[j]))
    return edits[::-1]
