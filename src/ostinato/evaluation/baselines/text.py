"""Rivals of language models: n-grams with back-off, and frequencies alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ostinato.data.arrays import Ids
from ostinato.data.dataset import Features
from ostinato.evaluation import metrics
from ostinato.evaluation.baselines.base import Contest, Data, Figures, Rival, Scores
from ostinato.evaluation.scoring import window_nats
from ostinato.models import LanguageModel

Keys = NDArray[np.int64]
_HELD_OUT = 0.1
_ORDERS = {"characters": (4, 5, 6, 7, 8), "words": (2, 3, 4), "subwords": (2, 3, 4)}
_BLOCK_TOKENS = 500
_CONTEXT_TOKENS = 32
_LEAST_DISCOUNT = 0.1
"""The estimate may be zero in small texts; shorter n-grams would then never be asked, and a new token be impossible."""


class TextContest(Contest):
    """Answers are nats of each token of the validation text but the first."""

    lower_is_better, unit, question = True, "tokens", "one token"

    @property
    def figure(self) -> str:  # type: ignore[override]
        """Bits a character, or a token."""
        characters = self.prepared.features.text.recipe.unit == "characters"
        return "bits_per_character" if characters else "bits_per_token"

    @property
    def validation(self) -> Ids:
        """The run's validation text."""
        return cast("Ids", self.prepared.validation)

    @property
    def num_units(self) -> int:
        """Tokens that are predicted."""
        return len(self.validation) - 1

    def own(self) -> Figures:
        """Of the recurrent model: the mean of the window that a token is in."""
        model, features = cast("LanguageModel", self.model), self.prepared.features
        found = window_nats(model, self.validation, features, self.device, self.prepared.recipe.training.bptt)
        return np.concatenate([np.full(count, nats / count) for nats, count in found])

    def scores(self, answers: Figures) -> Scores:
        """Metrics on the whole text, and bits on stretches of some hundred tokens."""
        characters = self.prepared.features.text.recipe.unit == "characters"
        found = metrics.language_model(float(answers.sum()), len(answers), characters=characters)
        blocks = np.array_split(answers, max(1, len(answers) // _BLOCK_TOKENS))
        bits = [float(block.mean()) / np.log(2) for block in blocks]
        return Scores(found, np.asarray(bits))

    def one(self, number: int) -> Ids:
        """A token with those before it."""
        start = (number * 997) % max(1, len(self.validation) - _CONTEXT_TOKENS)
        return self.validation[start : start + _CONTEXT_TOKENS]

    def own_one(self, data: Data) -> None:
        """The recurrent model reads one token, its state known."""
        model = cast("LanguageModel", self.model)
        ids = torch.from_numpy(cast("Ids", data)[:1].astype(np.int64)).view(1, 1).to(self.device)
        with torch.inference_mode():
            model(ids, model.encoder.zero_states(1))


@dataclass(frozen=True)
class Table:
    """The n-grams of one length and how often each occurs, or how many different tokens precede it.

    keys: sorted numbers, `place of the n-1 first tokens in their own table * V + last token`; counts: of each; totals,
    weights: by place of the n-1 first tokens, the sum of counts, and what is taken from them and left to shorter
    n-grams; discounts: (4,), what is taken from counts of 0, 1, 2, 3 and more.
    """

    keys: Keys
    counts: Keys
    totals: Figures
    weights: Figures
    discounts: Figures


class Frequencies(Rival):
    """How frequent each token is, whatever stands before it (counts plus one)."""

    name, about, trivial = "frequencies alone", "how frequent each token is, whatever stands before", True

    def fit(self, train: Data, features: Features) -> None:
        """Count."""
        counts = np.bincount(cast("Ids", train), minlength=features.text.vocab_size) + 1.0
        self._nats = -np.log(counts / counts.sum())

    def answer(self, data: Data) -> Figures:
        """Nats of each token but the first."""
        return np.asarray(self._nats[cast("Ids", data)[1:]])

    def parameters(self) -> list[NDArray[Any]]:
        """One number a token."""
        return [self._nats.astype(np.float32)]


class KneserNey(Rival):
    r"""Interpolated Kneser-Ney n-grams with three discounts; the order is chosen on the last tenth of training data.

    .. math::
        p_n(w \mid c) = \frac{\max(a(c w) - D(a(c w)), 0)}{\sum_v a(c v)}
            + \frac{\sum_i D_i N_i(c)}{\sum_v a(c v)} \, p_{n-1}(w \mid c')

    a are counts for the longest n-grams and, for shorter ones, how many different tokens stand before; c' is c without
    its first token, N_i(c) the number of n-grams that begin with c and have a = i (3: three and more), p_0 uniform.
    Source: Chen & Goodman 1998, "An empirical study of smoothing techniques", section 3 ("modified Kneser-Ney");
    deviation: a discount is never below 0.1.
    """

    name = "n-grams with back-off"
    about = "interpolated Kneser-Ney, the order chosen on the last tenth of the training text"

    def fit(self, train: Data, features: Features) -> None:
        """Choose the order, then count all of the training text."""
        tokens, self._vocab = cast("Ids", train).astype(np.int64), features.text.vocab_size
        cut = int(len(tokens) * (1 - _HELD_OUT))
        orders = [n for n in _ORDERS[features.text.recipe.unit or "characters"] if n < cut]
        self._order = 1
        if orders:
            raw, lower = self._tables(tokens[:cut], max(orders))
            held = tokens[cut:]
            costs = {n: float(self._nats(held, [*lower[: n - 1], raw[n - 1]]).mean()) for n in orders}
            self._order = min(costs, key=lambda n: costs[n])
        raw, lower = self._tables(tokens, self._order)
        self._kept = [*lower[: self._order - 1], raw[self._order - 1]]

    @property
    def details(self) -> str:
        """The order chosen."""
        return f"up to {self._order} tokens, {sum(len(table.keys) for table in self._kept):,} n-grams"

    def answer(self, data: Data) -> Figures:
        """Nats of each token but the first."""
        return self._nats(cast("Ids", data).astype(np.int64), self._kept)[1:]

    def parameters(self) -> list[NDArray[Any]]:
        """Keys, counts, and weights of contexts."""
        tables = self._kept
        counts = [table.counts.astype(np.int32) for table in tables]
        return [*(t.keys for t in tables), *counts, *(t.weights.astype(np.float32) for t in tables)]

    def _tables(self, tokens: Keys, order: int) -> tuple[list[Table], list[Table]]:
        """For every length a table of counts, and one of how many tokens precede (for the lengths below the last)."""
        keys_of: list[Keys] = []
        counts_of: list[Keys] = []
        rest_of: list[Keys] = []
        prefix = np.zeros(len(tokens), dtype=np.int64)  # the place of the n-1 tokens before each token
        suffix = np.zeros(len(tokens), dtype=np.int64)  # the place of the n-gram without its first token
        for n in range(1, order + 1):
            found = prefix[: len(tokens) - n + 1] * self._vocab + tokens[n - 1 :]
            keys, first, place, counts = np.unique(found, return_index=True, return_inverse=True, return_counts=True)
            keys_of.append(keys)
            counts_of.append(counts)
            rest_of.append(suffix[first])
            prefix, suffix = place[:-1], place[1:]
        contexts = [1, *(len(keys) for keys in keys_of[:-1])]
        raw = [_table(*each, self._vocab) for each in zip(keys_of, counts_of, contexts, strict=True)]
        before = [np.bincount(rest, minlength=len(keys)) for rest, keys in zip(rest_of[1:], keys_of[:-1], strict=True)]
        lower = [_table(*each, self._vocab) for each in zip(keys_of[:-1], before, contexts[:-1], strict=True)]
        return raw, lower

    def _nats(self, tokens: Keys, tables: list[Table]) -> Figures:
        """-ln p of every token given those before it, as far back as the text begins."""
        found = np.full(len(tokens), 1.0 / self._vocab)
        contexts = np.zeros(len(tokens), dtype=np.int64)  # the place of what stands before each token; -1: unknown
        for table in tables:
            alive = np.flatnonzero(contexts >= 0)
            context = contexts[alive]
            keys = context * self._vocab + tokens[alive]
            where = np.minimum(np.searchsorted(table.keys, keys), len(table.keys) - 1)
            seen = table.keys[where] == keys
            counts = np.where(seen, table.counts[where], 0)
            totals = np.maximum(table.totals[context], 1e-300)
            kept = np.maximum(counts - table.discounts[np.minimum(counts, 3)], 0.0)
            mixed = (kept + table.weights[context] * found[alive]) / totals
            found[alive] = np.where(table.totals[context] > 0, mixed, found[alive])
            places = np.full(len(tokens), -1, dtype=np.int64)
            places[alive] = np.where(seen, where, -1)
            contexts = np.concatenate([[-1], places[:-1]])
        return np.asarray(-np.log(found))


def _table(keys: Keys, counts: Keys, num_contexts: int, vocab: int) -> Table:
    """With the discounts Y = n1 / (n1 + 2 n2), D_i = i - (i + 1) Y n_{i+1} / n_i of Chen & Goodman."""
    occurring = [float((counts == i).sum()) for i in range(1, 5)]
    ratio = occurring[0] / (occurring[0] + 2 * occurring[1]) if occurring[0] else 0.0
    discounts = np.zeros(4)
    for i in (1, 2, 3):
        wanted = i - (i + 1) * ratio * occurring[i] / occurring[i - 1] if occurring[i - 1] else discounts[i - 1]
        discounts[i] = min(max(wanted, _LEAST_DISCOUNT), i)
    contexts = keys // vocab
    totals = np.bincount(contexts, weights=counts, minlength=num_contexts)
    taken = np.bincount(contexts, weights=discounts[np.minimum(counts, 3)], minlength=num_contexts)
    return Table(keys, counts, np.asarray(totals, np.float64), np.asarray(taken, np.float64), discounts)
