"""Nucleotides: overlapping k-mers as integers, or as vectors in which a doubtful letter is shares of what it may be."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import polars as pl

from ostinato.arrays import Array, Ids
from ostinato.data.features.base import Draft
from ostinato.data.features.letters import LettersFeature, codes_of, illegal
from ostinato.data.sequences import Sequences, within
from ostinato.data.vocabulary import SPECIAL, UNK_ID
from ostinato.recipe.kinds import DnaRecipe

BASES = "ACGT"
_MAY_BE = "A:A C:C G:G T:T R:AG Y:CT S:CG W:AT K:GT M:AC B:CGT D:AGT H:ACT V:ACG N:ACGT"
IUPAC = {letter: bases for letter, _, bases in (one.partition(":") for one in _MAY_BE.split())}
"""What each letter may mean (NC-IUB 1984, Nucleic Acids Research 13:3021-3030, 1985)."""
_LETTERS = "".join(IUPAC)
_LAST_PLACE = 255
_FRACTIONS = np.asarray([[(b in may) / len(may) for b in BASES] for may in IUPAC.values()], dtype=np.float32)
_COMPLEMENT = np.asarray(
    [
        [set(other) for other in IUPAC.values()].index({BASES[3 - BASES.index(b)] for b in may})
        for may in IUPAC.values()
    ],
    dtype=np.uint8,
)


class DnaFeature(LettersFeature):
    """A row of L letters becomes L - k + 1 overlapping k-mers, one a step. Case is folded, U read as T.

    `encoding: shares`: the outer product of the letters' shares, 4^k numbers that sum to 1; R (A or G) is
    (½, 0, ½, 0). `one_hot`: the same, but a k-mer with a letter other than A, C, G, T is zero everywhere. `ids`: one
    integer a k-mer, and such a one is `<unk>`. `reverse_complement`: the other strand, read in its own direction,
    stands beside: 2·4^k numbers a step.

    `positions: n` puts beside each step where in its row it stands, u from 0 to 1, as n bumps
    `exp(-(u - c_j)² (n - 1)² / 2)` whose centres c_j go evenly from 0 to 1: a window that was cut around a site has
    its sites at the same place in every row, and a network need not count steps to know it.

    Args:
        recipe: of the feature.
        counts: (V,) how often training rows held each integer (ids).
    """

    form = "vectors"
    recipe_type = DnaRecipe

    @property
    def whole_row_reason(self) -> str | None:
        """Of k-mers and places."""
        if self.recipe.k == 1 and not self.recipe.positions and not self.recipe.reverse_complement:
            return None
        return "k-mers, places and the other strand need a whole row"

    @classmethod
    def form_of(cls, recipe: DnaRecipe) -> str:
        """By the encoding."""
        return "ids" if recipe.encoding == "ids" else "vectors"

    def __init__(self, recipe: DnaRecipe, counts: Array) -> None:
        super().__init__(recipe, counts)
        self.form = self.form_of(recipe)  # type: ignore[misc]

    @property
    def step_noun(self) -> str:
        """Nucleotides, or k-mers."""
        return "nucleotide" if self.recipe.k == 1 else f"{self.recipe.k}-mer"

    @property
    def vocab_size(self) -> int:
        """4^k and the special tokens."""
        return int(len(SPECIAL) + 4**self.recipe.k)

    @property
    def value_shape(self) -> tuple[int, ...]:
        """() for ids, else (C,): 4^k, twice that with the other strand, and `positions`."""
        recipe = self.recipe
        return () if self.form == "ids" else (4**recipe.k * (1 + recipe.reverse_complement) + recipe.positions,)

    @classmethod
    def read(cls, recipe: DnaRecipe, cells: pl.Series) -> Draft:
        """Windows of k letter codes, then those of the other strand, then the place in its row (0 to 255), uint8."""
        letters = cells.cast(pl.String).str.strip_chars().str.to_uppercase().str.replace_all("U", "T", literal=True)
        codes, lengths = codes_of(letters, _LETTERS)
        rows = Sequences.from_lengths(codes, lengths)
        problems = illegal(rows, letters, "no nucleotide", f"nucleotides are {_LETTERS} and U")
        kept = np.maximum(lengths - recipe.k + 1, 0)
        for row in np.flatnonzero((kept == 0) & (lengths > 0)).tolist():
            problems.setdefault(row, f"has {lengths[row]} letters, fewer than k = {recipe.k}")
        kept[list(problems)] = 0
        starts = np.repeat(rows.offsets[:-1], kept) + within(kept)
        windows = codes[starts[:, None] + np.arange(recipe.k)]
        if recipe.reverse_complement:
            mirrored = np.repeat(rows.offsets[1:] - recipe.k, kept) - within(kept)
            other = _COMPLEMENT[codes[mirrored[:, None] + np.arange(recipe.k)[::-1]]]
            windows = np.concatenate([windows, other], axis=1)
        if recipe.positions:
            places = np.rint(within(kept) * (_LAST_PLACE / np.maximum(np.repeat(kept, kept) - 1, 1)))
            windows = np.concatenate([windows, places.astype(np.uint8)[:, None]], axis=1)
        return Draft(kept, Sequences.from_lengths(windows, kept), problems)

    @classmethod
    def fit(cls, recipe: DnaRecipe, values: Array) -> DnaFeature:
        """Counts of k-mers in training rows; vectors need none."""
        size = len(SPECIAL) + 4**recipe.k
        if recipe.encoding != "ids":
            return cls(recipe, np.zeros(0, dtype=np.int64))
        return cls(recipe, np.bincount(_ids(values), minlength=size))

    def transform(self, values: Array) -> Array:
        """int32 (n,), or float32 (n, C)."""
        if self.form == "ids":
            return _ids(values)
        k = self.recipe.k
        strands = [values[:, :k], values[:, k : 2 * k]] if self.recipe.reverse_complement else [values[:, :k]]
        parts = [self._vectors(strand) for strand in strands]
        if self.recipe.positions:
            parts.append(_bumps(self.recipe.positions)[values[:, -1]])
        return np.concatenate(parts, axis=1)

    def _vectors(self, windows: Array) -> Array:
        table = self._shares
        found = table[windows[:, 0]]
        for place in range(1, windows.shape[1]):
            found = (found[:, :, None] * table[windows[:, place]][:, None, :]).reshape(len(found), -1)
        return found

    @cached_property
    def _shares(self) -> Array:
        shares = _FRACTIONS.copy()
        if self.recipe.encoding == "one_hot":
            shares[len(BASES) :] = 0.0
        return shares

    def decode(self, values: Array) -> str:
        """The letters of one row; `?` where it is not known."""
        if self.form == "ids":
            kmers = [_kmer(int(value) - len(SPECIAL), self.recipe.k) for value in values]
        else:
            size = 4**self.recipe.k
            kmers = [_kmer(int(np.argmax(v[:size])) if v[:size].max() > 0.5 else -1, self.recipe.k) for v in values]
        return "".join(kmer[0] for kmer in kmers[:-1]) + kmers[-1] if kmers else ""


def _bumps(count: int) -> Array:
    """(256, count): for each place in a row its distance from evenly spaced centres, as bumps."""
    distance = np.arange(_LAST_PLACE + 1)[:, None] / _LAST_PLACE - np.linspace(0.0, 1.0, count)
    return np.exp(-((distance * (count - 1)) ** 2) / 2).astype(np.float32)


def _ids(windows: Array) -> Ids:
    """Integers of windows of letter codes."""
    k = windows.shape[1]
    places = windows.astype(np.int64) @ (4 ** np.arange(k - 1, -1, -1))
    clear = (windows < len(BASES)).all(axis=1)
    return np.where(clear, places + len(SPECIAL), UNK_ID).astype(np.int32)


def _kmer(number: int, k: int) -> str:
    if number < 0:
        return "?" * k
    return "".join(BASES[number // 4**place % 4] for place in range(k - 1, -1, -1))
