"""What features of letters share: rows as small integers, and which letter is none of an alphabet."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import polars as pl

from ostinato.arrays import Array, Offsets
from ostinato.data.features.base import FittedFeature
from ostinato.data.sequences import Sequences

ILLEGAL = 255
"""The code of a letter that is not in the alphabet."""
_CODE_POINTS = 0x110000


class LettersFeature(FittedFeature):
    """A feature of letters.

    Args:
        recipe: of the feature.
        counts: (V,) how often training rows held each integer.
    """

    letters, ngrams = True, True
    cell_type = str

    def __init__(self, recipe: Any, counts: Array) -> None:
        self.recipe, self.counts = recipe, counts

    def to_dict(self) -> dict[str, Any]:
        """Counts of the integers."""
        return {"recipe": self.recipe.model_dump(mode="json"), "counts": self.counts.tolist()}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        return cls(cls.recipe_type.model_validate(saved["recipe"]), np.asarray(saved["counts"], dtype=np.int64))


def codes_of(letters: pl.Series, alphabet: str) -> tuple[Array, Offsets]:
    """The place of each letter in `alphabet` (at most 255 ASCII letters), uint8 (sum L,), and the length of each row.

    A letter that is not in it is `ILLEGAL`.

    Example:
        >>> codes_of(pl.Series(["GA", "T?"]), "ACGT")[0].tolist()
        [2, 0, 3, 255]
    """
    table = np.full(_CODE_POINTS, ILLEGAL, dtype=np.uint8)
    for code, letter in enumerate(alphabet):
        table[ord(letter)] = code
    lengths = letters.str.len_chars().fill_null(0).to_numpy().astype(np.int64)
    points = np.frombuffer("".join(letters.fill_null("").to_list()).encode("utf-32-le"), dtype=np.uint32)
    return table[points], lengths


def illegal(rows: Sequences, letters: pl.Series, what: str, known: str) -> dict[int, str]:
    """Why rows of codes that hold an illegal letter can't be used: the letter, its position, how many there are."""
    places = np.flatnonzero(rows.values == ILLEGAL)
    bad_rows = np.searchsorted(rows.offsets, places, side="right") - 1
    problems: dict[int, str] = {}
    for row in np.unique(bad_rows).tolist():
        of_row = places[bad_rows == row] - rows.offsets[row]
        first = int(of_row[0])
        more = f", and {len(of_row) - 1} more" if len(of_row) > 1 else ""
        problems[row] = f"{letters[row][first]!r} at position {first + 1} is {what}{more} ({known})"
    return problems
