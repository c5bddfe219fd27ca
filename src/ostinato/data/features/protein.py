"""Amino acids: integers, or vectors, with physico-chemical scales beside them."""

from __future__ import annotations

import numpy as np
import polars as pl

from ostinato.arrays import Array
from ostinato.data.features.base import Draft
from ostinato.data.features.letters import LettersFeature, codes_of, illegal
from ostinato.data.sequences import Sequences
from ostinato.data.vocabulary import SPECIAL
from ostinato.recipe.kinds import ProteinRecipe

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
_DOUBTFUL = {"B": "DN", "Z": "EQ", "J": "IL", "X": AMINO_ACIDS}
_READ_AS = {"U": "C", "O": "K"}
_LETTERS = AMINO_ACIDS + "".join(_DOUBTFUL)
_X = len(AMINO_ACIDS)


def _scale(numbers: str) -> tuple[float, ...]:
    """A number for each amino acid, in their order."""
    return tuple(map(float, numbers.split()))


HYDROPATHY = _scale("1.8 2.5 -3.5 -3.5 2.8 -0.4 -3.2 4.5 -3.9 3.8 1.9 -3.5 -1.6 -3.5 -4.5 -0.8 -0.7 4.2 -0.9 -1.3")
"""Kyte, Doolittle 1982, "A simple method for displaying the hydropathic character of a protein", J. Mol. Biol. 157."""
VOLUME = _scale(
    "88.6 108.5 111.1 138.4 189.9 60.1 153.2 166.7 168.6 166.7 "
    "162.9 114.1 112.7 143.8 173.4 89.0 116.1 140.0 227.8 193.6"
)
"""In cubic Å: Zamyatnin 1972, "Protein volume in solution", Prog. Biophys. Mol. Biol. 24."""
CHARGE = tuple({"D": -1.0, "E": -1.0, "K": 1.0, "R": 1.0}.get(letter, 0.0) for letter in AMINO_ACIDS)
"""At pH 7, in elementary charges."""
HELIX = _scale("1.42 0.70 1.01 1.51 1.13 0.57 1.00 1.08 1.16 1.21 1.45 0.67 0.57 1.11 0.98 0.77 0.83 1.06 1.08 0.69")
"""Preference for helices: Chou, Fasman 1978, Adv. Enzymol. 47."""
SHEET = _scale("0.83 1.19 0.54 0.37 1.38 0.75 0.87 1.60 0.74 1.30 1.05 0.89 0.55 1.10 0.93 0.75 1.19 1.70 1.37 1.47")
"""Preference for strands: Chou, Fasman 1978, Adv. Enzymol. 47."""


def _table(scales: bool) -> Array:
    """(24, C): shares of the 20 amino acids for each letter; beside them the scales, standardised over them."""
    may = {**{letter: letter for letter in AMINO_ACIDS}, **_DOUBTFUL}
    shares = np.asarray([[(one in may[letter]) / len(may[letter]) for one in AMINO_ACIDS] for letter in _LETTERS])
    if scales:
        raw = np.asarray([HYDROPATHY, VOLUME, CHARGE, HELIX, SHEET]).T
        shares = np.concatenate([shares, shares @ ((raw - raw.mean(axis=0)) / raw.std(axis=0))], axis=1)
    return shares.astype(np.float32)


class ProteinFeature(LettersFeature):
    """One amino acid a step. Case is folded; U (selenocysteine) is read as C, O (pyrrolysine) as K.

    `encoding: ids`: one integer of 20, or X for B, Z, J and X. `encoding: shares`: 20 shares (B is half D, half N; X a
    twentieth of each), and with `scales` five numbers more: hydropathy, volume,
    charge, preference for helix and strand.

    Args:
        recipe: of the feature.
        counts: (V,) how often training rows held each integer.
    """

    form = "ids"
    recipe_type = ProteinRecipe

    @classmethod
    def form_of(cls, recipe: ProteinRecipe) -> str:
        """By the encoding."""
        return "ids" if recipe.encoding == "ids" else "vectors"

    def __init__(self, recipe: ProteinRecipe, counts: Array) -> None:
        super().__init__(recipe, counts)
        self.form = self.form_of(recipe)  # type: ignore[misc]
        self._vectors = _table(recipe.scales)

    @property
    def step_noun(self) -> str:
        """Residues."""
        return "residue"

    @property
    def vocab_size(self) -> int:
        """20 amino acids, X, and the special tokens."""
        return len(SPECIAL) + _X + 1

    @property
    def value_shape(self) -> tuple[int, ...]:
        """() for ids, (20,) or with scales (25,) for vectors."""
        return () if self.form == "ids" else (self._vectors.shape[1],)

    @classmethod
    def read(cls, recipe: ProteinRecipe, cells: pl.Series) -> Draft:
        """Letter codes, uint8."""
        letters = cells.cast(pl.String).str.strip_chars().str.to_uppercase()
        for letter, instead in _READ_AS.items():
            letters = letters.str.replace_all(letter, instead, literal=True)
        codes, lengths = codes_of(letters, _LETTERS)
        rows = Sequences.from_lengths(codes, lengths)
        problems = illegal(rows, letters, "no amino acid", f"amino acids are {_LETTERS}, U and O")
        return Draft(lengths, rows, problems)

    @classmethod
    def fit(cls, recipe: ProteinRecipe, values: Array) -> ProteinFeature:
        """Counts of the integers in training rows."""
        return cls(recipe, np.bincount(_ids(values), minlength=len(SPECIAL) + _X + 1))

    def transform(self, values: Array) -> Array:
        """int32 (n,), or float32 (n, C)."""
        return _ids(values) if self.form == "ids" else self._vectors[np.minimum(values, len(_LETTERS) - 1)]

    def decode(self, values: Array) -> str:
        """The letters of one row."""
        if self.form == "ids":
            return "".join((AMINO_ACIDS + "X")[max(int(value) - len(SPECIAL), -1)] for value in values)
        shares = values[:, : len(AMINO_ACIDS)]
        return "".join(AMINO_ACIDS[int(row.argmax())] if row.max() > 0.5 else "X" for row in shares)


def _ids(codes: Array) -> Array:
    return (np.minimum(codes, _X) + len(SPECIAL)).astype(np.int32)
