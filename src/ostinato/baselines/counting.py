"""Rows as sparse counts of their n-grams, and as fixed numbers: what linear baselines read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ostinato.arrays import Array, Offsets
from ostinato.data.dataset import Examples, Features
from ostinato.data.features import Feature
from ostinato.data.sequences import Sequences

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_MOST_PIXELS = 1024


def token_rows(sequences: Sequences) -> Sequences:
    """Rows of one integer a step: of words with their characters, the words alone."""
    values = sequences.values
    return sequences if values.ndim == 1 else Sequences(values[:, 0], sequences.offsets)


class NgramCounts:
    """Which column of a sparse matrix each n-gram of training rows has; rarer ones than `min_rows` have none.

    Args:
        order: the longest n-gram, >= 1.
        min_rows: of longer n-grams than one token: in how many training rows it must be.
    """

    def __init__(self, order: int, min_rows: int = 2) -> None:
        self.order, self.min_rows = order, min_rows
        self._size = 0
        self._known: list[NDArray[np.int64]] = []

    @property
    def num_columns(self) -> int:
        """Of the matrix."""
        return sum(map(len, self._known))

    @property
    def keys(self) -> list[NDArray[np.int64]]:
        """What is saved of it."""
        return self._known

    def fit(self, rows: Sequences) -> csr_array:
        """Counts of the training rows, (N, columns)."""
        self._size, self._known = int(rows.values.max(initial=0)) + 2, []
        blocks = []
        for n, (row, key) in enumerate(self._keys(rows, grow=True), start=1):
            known, column = np.unique(key, return_inverse=True)
            if n > 1:
                pairs = np.unique(column * len(rows) + row) // max(len(rows), 1)
                kept = np.bincount(pairs, minlength=len(known)) >= self.min_rows
                row, column = row[kept[column]], (np.cumsum(kept) - 1)[column[kept[column]]]
                known = known[kept]
            self._known.append(known)
            blocks.append((row, column))
        return self._matrix(blocks, len(rows))

    def transform(self, rows: Sequences) -> csr_array:
        """Counts of other rows, (N, columns); n-grams that training never showed are left out."""
        blocks = []
        for (row, key), known in zip(self._keys(rows, grow=False), self._known, strict=True):
            if not len(known):
                blocks.append((row[:0], key[:0]))
                continue
            column = np.minimum(np.searchsorted(known, key), len(known) - 1)
            found = known[column] == key
            blocks.append((row[found], column[found]))
        return self._matrix(blocks, len(rows))

    def _keys(self, rows: Sequences, grow: bool) -> Iterator[tuple[Offsets, NDArray[np.int64]]]:
        """For each length n: the row and a number for every n-gram. Longer ones are numbered by the place of their
        beginning among the known shorter ones, so that no number grows beyond 64 bits."""
        tokens = np.minimum(rows.values.astype(np.int64), self._size - 1)
        row = np.repeat(np.arange(len(rows)), rows.lengths)
        ends = np.repeat(rows.offsets[1:], rows.lengths)
        at = np.arange(len(tokens))
        prefix = tokens
        for n in range(1, self.order + 1):
            yield row, prefix
            if n == self.order:
                return
            known = self._known[n - 1]
            place = np.minimum(np.searchsorted(known, prefix), max(len(known) - 1, 0))
            alive = (known[place] == prefix if len(known) else np.zeros(len(prefix), dtype=bool)) & (at + n < ends)
            row, at, ends = row[alive], at[alive], ends[alive]
            prefix = place[alive] * self._size + tokens[at + n]

    def _matrix(self, blocks: list[tuple[Offsets, Offsets]], num_rows: int) -> csr_array:
        from scipy.sparse import csr_array

        starts = np.cumsum([0, *map(len, self._known)])
        rows = np.concatenate([row for row, _ in blocks])
        columns = np.concatenate([column + start for (_, column), start in zip(blocks, starts, strict=False)])
        ones = np.ones(len(rows), dtype=np.float32)
        places = (rows.astype(np.int32), columns.astype(np.int32))  # scikit-learn takes no wider ones
        found = csr_array((ones, places), shape=(num_rows, int(starts[-1])))
        found.sum_duplicates()
        return found


def summary_of(examples: Examples, features: Features) -> Array:
    """(N, F): every column of fixed size as it is, and of sequences their mean, spread, ends, extremes and length."""
    parts = [_summary(examples.sequences, features.input)]
    parts += [_summary(examples.extra[name], feature) for name, feature in sorted(features.extra.items())]
    return np.concatenate(parts, axis=1)


def _summary(sequences: Sequences, feature: Feature) -> Array:
    if feature.form in ("ids", "words"):
        return _shares(token_rows(sequences), int(getattr(feature, "vocab_size", 1)), feature.ragged)
    frames = sequences.values.reshape(len(sequences.values), -1)
    stride = -(-frames.shape[1] // _MOST_PIXELS)
    frames = frames[:, ::stride].astype(np.float32)
    return _moments(Sequences(frames, sequences.offsets)) if feature.ragged else frames


def _shares(rows: Sequences, size: int, ragged: bool) -> Array:
    """(N, V): the share of each token in a row; of many tokens none, n-grams are a baseline of their own."""
    if size > _MOST_PIXELS:
        return np.zeros((len(rows), 0), dtype=np.float32)
    found = np.zeros((len(rows), size), dtype=np.float32)
    owner = np.repeat(np.arange(len(rows)), rows.lengths)
    np.add.at(found, (owner, np.minimum(rows.values, size - 1)), 1.0)
    return found / np.maximum(rows.lengths, 1)[:, None].astype(np.float32) if ragged else found


def _moments(rows: Sequences) -> Array:
    """(N, 8 C + 1): of each channel mean, deviation, lowest, highest, first, last, mean step and roughness; length."""
    lengths, size = rows.lengths, rows.values.shape[1]
    found = np.zeros((len(rows), 8 * size + 1), dtype=np.float32)
    for i in range(len(rows)):
        row = rows.row(i)
        if not len(row):
            continue
        steps = np.diff(row, axis=0) if len(row) > 1 else np.zeros((1, size), dtype=np.float32)
        parts = (row.mean(0), row.std(0), row.min(0), row.max(0), row[0], row[-1], steps.mean(0), np.abs(steps).mean(0))
        found[i, :-1] = np.concatenate(parts)
    found[:, -1] = np.log1p(lengths)
    return found


def resampled(rows: Sequences, num_steps: int) -> Array:
    """(N, num_steps, C): every row stretched linearly to one length; rows of that length stay as they are."""
    size = rows.values.reshape(len(rows.values), -1).shape[1]
    found = np.zeros((len(rows), num_steps, size), dtype=np.float32)
    for i in range(len(rows)):
        row = rows.row(i).reshape(-1, size)
        if len(row) == num_steps:
            found[i] = row
        elif len(row):
            places = np.linspace(0, len(row) - 1, num_steps)
            low = np.floor(places).astype(int)
            share = (places - low)[:, None]
            found[i] = row[low] * (1 - share) + row[np.minimum(low + 1, len(row) - 1)] * share
    return found
