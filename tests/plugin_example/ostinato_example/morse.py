"""A feature from outside: Morse code, `... --- ...`, letters parted by blanks and words by `/`, to letters."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import polars as pl

from ostinato.arrays import Array
from ostinato.data.features.base import Draft, FittedFeature
from ostinato.data.sequences import Sequences
from ostinato.data.vocabulary import SPECIAL
from ostinato.recipe import Component

_A_TO_Z = ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.."
_CODES = {code: number for number, code in enumerate([*_A_TO_Z.split(), "/"], len(SPECIAL))}


class MorseRecipe(Component):
    """How a column of Morse code is read: `features.input.kind: morse`."""

    kind: Literal["morse"] = "morse"
    gaps: Literal["keep", "drop"] = "keep"


class MorseFeature(FittedFeature):
    """Letters, and gaps between words, to integers."""

    form = "ids"
    recipe_type = MorseRecipe
    vocab_size = len(SPECIAL) + len(_CODES)

    def __init__(self, recipe: MorseRecipe, counts: Array) -> None:
        self.recipe, self.counts = recipe, counts

    @property
    def step_noun(self) -> str:
        """A letter."""
        return "letter"

    @classmethod
    def read(cls, recipe: MorseRecipe, cells: pl.Series) -> Draft:
        """The codes of each cell; a cell with any other is a bad row."""
        rows = [[code for code in cell.split() if code != "/" or recipe.gaps == "keep"] for cell in cells.to_list()]
        wrong = {row: code for row, codes in enumerate(rows) for code in reversed(codes) if code not in _CODES}
        rows = [[] if row in wrong else codes for row, codes in enumerate(rows)]
        lengths = np.asarray([len(codes) for codes in rows], dtype=np.int64)
        values = np.asarray([_CODES[code] for codes in rows for code in codes], dtype=np.int32)
        problems = {row: f"{code!r} is no Morse code" for row, code in wrong.items()}
        return Draft(lengths, Sequences.from_lengths(values, lengths), problems)

    @classmethod
    def fit(cls, recipe: MorseRecipe, values: Array) -> MorseFeature:
        """How often there was which letter."""
        return cls(recipe, np.bincount(values, minlength=cls.vocab_size))

    def decode(self, values: Array) -> str:
        """As letters."""
        return "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ "[int(number) - len(SPECIAL)] for number in values)

    def to_dict(self) -> dict[str, Any]:
        """The recipe and the counts."""
        return {"recipe": self.recipe.model_dump(mode="json"), "counts": self.counts.tolist()}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> MorseFeature:
        """The inverse of `to_dict`."""
        return cls(MorseRecipe.model_validate(saved["recipe"]), np.asarray(saved["counts"]))
