"""Interpolated Kneser-Ney n-grams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.int64]
Figures = NDArray[np.float64]
ORDERS = {"characters": (4, 5, 6, 7, 8), "words": (2, 3, 4), "subwords": (2, 3, 4)}
"""Lengths that are tried, by what a token is."""
DISCOUNTED = 3
"""Counts from here on have the same discount."""
_LEAST_DISCOUNT = 0.1
"""The estimate may be zero in small texts; shorter n-grams would then never be asked, and a new token be impossible."""


@dataclass(frozen=True)
class Table:
    """The n-grams of one length and how often each occurs, or how many different tokens precede it.

    keys: sorted numbers, `place of the n-1 first tokens in their own table * V + last token`; counts: of each; totals,
    weights: by place of the n-1 first tokens, the sum of counts, and what is taken from them and left to shorter
    n-grams; discounts: (4,), what is taken from counts of 0, 1, 2, 3 and more; occurrences: how often each occurs.
    """

    keys: Keys
    counts: Keys
    totals: Figures
    weights: Figures
    discounts: Figures
    occurrences: Keys


@dataclass(frozen=True)
class Ngrams:
    r"""Interpolated Kneser-Ney n-grams with three discounts.

    .. math::
        p_n(w \mid c) = \frac{\max(a(c w) - D(a(c w)), 0)}{\sum_v a(c v)}
            + \frac{\sum_i D_i N_i(c)}{\sum_v a(c v)} \, p_{n-1}(w \mid c')

    a are counts for the longest n-grams and, for shorter ones, how many different tokens precede them; c' is c without
    its first token, N_i(c) the number of n-grams that begin with c and have a = i (3: three and more), p_0 uniform.
    Source: Chen & Goodman 1998, "An empirical study of smoothing techniques", section 3 ("modified Kneser-Ney");
    deviation: a discount is never below 0.1.

    tables: by length, from 1; vocab: V, every token is below it; never: a token that precedes others and is never
    predicted (the padding before a row); -1: none.
    """

    tables: list[Table]
    vocab: int
    never: int = -1

    @classmethod
    def count(cls, tokens: Keys, vocab: int, orders: Sequence[int], never: int = -1) -> dict[int, Ngrams]:
        """The n-grams of a text by their greatest length, for each of `orders`; it is read once."""
        keys_of: list[Keys] = []
        counts_of: list[Keys] = []
        rest_of: list[Keys] = []
        prefix = np.zeros(len(tokens), dtype=np.int64)  # the place of the n-1 tokens before each token
        suffix = np.zeros(len(tokens), dtype=np.int64)  # the place of the n-gram without its first token
        for n in range(1, max(orders) + 1):
            found = prefix[: len(tokens) - n + 1] * vocab + tokens[n - 1 :]
            keys, first, place, counts = np.unique(found, return_index=True, return_inverse=True, return_counts=True)
            keys_of.append(keys)
            counts_of.append(counts)
            rest_of.append(suffix[first])
            prefix, suffix = place[:-1], place[1:]
        contexts = [1, *(len(keys) for keys in keys_of[:-1])]
        before = [np.bincount(rest, minlength=len(keys)) for rest, keys in zip(rest_of[1:], keys_of[:-1], strict=True)]
        each = list(zip(keys_of, counts_of, contexts, strict=True))
        raw = [_table(keys, counts, counts, size, vocab, never) for keys, counts, size in each]
        lower = [
            _table(keys, few, counts, size, vocab, never)
            for few, (keys, counts, size) in zip(before, each[:-1], strict=True)
        ]
        return {n: cls([*lower[: n - 1], raw[n - 1]], vocab, never) for n in orders}

    def __str__(self) -> str:
        return f"up to {len(self.tables)} tokens, {sum(len(table.keys) for table in self.tables):,} n-grams"

    def nll(self, tokens: Keys) -> Figures:
        """-ln p of every token given those before it, as far back as the text begins, (L,)."""
        found = np.full(len(tokens), 1.0 / (self.vocab - (self.never >= 0)))
        contexts = np.zeros(len(tokens), dtype=np.int64)  # the place of the context before each token; -1: unknown
        for table in self.tables:
            alive = np.flatnonzero(contexts >= 0)
            context = contexts[alive]
            keys = context * self.vocab + tokens[alive]
            where = np.minimum(np.searchsorted(table.keys, keys), len(table.keys) - 1)
            seen = table.keys[where] == keys
            counts = np.where(seen, table.counts[where], 0)
            totals = np.maximum(table.totals[context], 1e-300)
            kept = np.maximum(counts - table.discounts[np.minimum(counts, DISCOUNTED)], 0.0)
            mixed = (kept + table.weights[context] * found[alive]) / totals
            found[alive] = np.where(table.totals[context] > 0, mixed, found[alive])
            places = np.full(len(tokens), -1, dtype=np.int64)
            places[alive] = np.where(seen, where, -1)
            contexts = np.concatenate([[-1], places[:-1]])
        return np.asarray(-np.log(found))

    def parameters(self) -> list[NDArray[Any]]:
        """Keys, counts, and weights of contexts."""
        counts = [table.counts.astype(np.int32) for table in self.tables]
        return [*(t.keys for t in self.tables), *counts, *(t.weights.astype(np.float32) for t in self.tables)]


def _table(keys: Keys, counts: Keys, occurrences: Keys, num_contexts: int, vocab: int, never: int) -> Table:
    counts = np.where(keys % vocab == never, 0, counts)
    discounts = discounts_of(counts)
    contexts = keys // vocab
    totals = np.bincount(contexts, weights=counts, minlength=num_contexts)
    taken = np.bincount(contexts, weights=discounts[np.minimum(counts, DISCOUNTED)], minlength=num_contexts)
    return Table(keys, counts, np.asarray(totals, np.float64), np.asarray(taken, np.float64), discounts, occurrences)


def discounts_of(counts: Keys) -> Figures:
    """(4,), by count: Y = n1 / (n1 + 2 n2), D_i = i - (i + 1) Y n_{i+1} / n_i (Chen & Goodman)."""
    occurring = [float((counts == i).sum()) for i in range(1, 5)]
    ratio = occurring[0] / (occurring[0] + 2 * occurring[1]) if occurring[0] else 0.0
    discounts = np.zeros(4)
    for i in (1, 2, 3):
        wanted = i - (i + 1) * ratio * occurring[i] / occurring[i - 1] if occurring[i - 1] else discounts[i - 1]
        discounts[i] = min(max(wanted, _LEAST_DISCOUNT), i)
    return discounts
