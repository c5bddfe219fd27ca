"""Baselines of language models: n-grams with back-off, and frequencies alone."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ostinato.arrays import Ids
from ostinato.baselines.base import Baseline, BaselineComparison, Figures
from ostinato.data.dataset import Examples, Features
from ostinato.data.sequences import Sequences
from ostinato.layers.ngram_counts import ORDERS, Ngrams
from ostinato.metrics.classification import Metrics
from ostinato.tasks.language_model.evaluation import text_metrics, window_nll
from ostinato.tasks.language_model.model import LanguageModel

_HELD_OUT = 0.1
_BLOCK_TOKENS = 500
_CONTEXT_TOKENS = 32


class TextComparison(BaselineComparison):
    """Answers are nats of each token of the validation text but the first."""

    model: LanguageModel
    divisible = False
    lower_is_better, unit, question = True, "tokens", "one token"

    @property
    def figure(self) -> str:  # type: ignore[override]
        """Bits a character, or a token."""
        characters = self.prepared.features.text.recipe.unit == "characters"
        return "bits_per_character" if characters else "bits_per_token"

    @property
    def units(self) -> None:
        """A token's state comes from those before it, whoever chose the epoch."""

    @property
    def num_train(self) -> int:
        """Tokens of the training text."""
        return len(_tokens(self.train))

    @property
    def num_units(self) -> int:
        """Tokens that are predicted."""
        return len(_tokens(self.validation)) - 1

    def answers(self, examples: Examples) -> Figures:
        """Of the recurrent model: the mean of the window that a token is in."""
        model, features = self.model, self.prepared.features
        found = window_nll(model, _tokens(examples), features, self.device, self.prepared.recipe.training.bptt)
        return np.concatenate([np.full(count, nll / count) for nll, count in found])

    def scores(self, answers: Figures) -> Metrics:
        """Metrics on the whole text, of stretches of some hundred tokens."""
        stretches = np.array_split(answers, max(1, len(answers) // _BLOCK_TOKENS))
        sizes = np.asarray([len(one) for one in stretches])
        return text_metrics(np.asarray([one.sum() for one in stretches]), sizes, self.prepared.features)

    def one(self, number: int) -> Examples:
        """A token with those before it."""
        tokens, places = _tokens(self.validation), self.validation.places
        start = (number * 997) % max(1, len(tokens) - _CONTEXT_TOKENS)
        some = tokens[start : start + _CONTEXT_TOKENS]
        return Examples(
            Sequences.from_lengths(some, np.asarray([len(some)])), None, places, np.zeros(1, dtype=np.int64)
        )

    def own_one(self, data: Examples) -> None:
        """The recurrent model reads one token, its state known."""
        model = self.model
        ids = torch.from_numpy(_tokens(data)[:1].astype(np.int64)).view(1, 1).to(self.device)
        with torch.inference_mode():
            model(ids, model.zero_states(1))


def _tokens(examples: Examples) -> Ids:
    """The text, documents one after the other."""
    return cast("Ids", examples.sequences.values)


class Frequencies(Baseline):
    """How frequent each token is, regardless of context (counts plus one)."""

    name, about, trivial = "frequencies alone", "how frequent each token is, regardless of context", True

    def fit(self, train: Examples, features: Features) -> None:
        """Count."""
        counts = np.bincount(_tokens(train), minlength=features.text.vocab_size) + 1.0
        self._nats = -np.log(counts / counts.sum())

    def answer(self, data: Examples) -> Figures:
        """Nats of each token but the first."""
        return np.asarray(self._nats[_tokens(data)[1:]])

    def parameters(self) -> list[NDArray[Any]]:
        """One number a token."""
        return [self._nats.astype(np.float32)]


class KneserNey(Baseline):
    """`Ngrams` of the whole training text, their order chosen on its last tenth."""

    name = "n-grams with back-off"
    about = "interpolated Kneser-Ney, the order chosen on the last tenth of the training text"

    def fit(self, train: Examples, features: Features) -> None:
        """Choose the order, then count all of the training text."""
        tokens, vocab = _tokens(train).astype(np.int64), features.text.vocab_size
        cut = int(len(tokens) * (1 - _HELD_OUT))
        orders = [n for n in ORDERS[features.text.recipe.unit or "characters"] if n < cut] or [1]
        tried = Ngrams.count(tokens[:cut], vocab, orders) if len(orders) > 1 else {}
        costs = {order: float(one.nll(tokens[cut:]).mean()) for order, one in tried.items()}
        order = min(orders, key=lambda n: costs.get(n, 0.0))
        self._ngrams = Ngrams.count(tokens, vocab, [order])[order]

    @property
    def details(self) -> str:
        """The order chosen."""
        return str(self._ngrams)

    def answer(self, data: Examples) -> Figures:
        """Nats of each token but the first."""
        return self._ngrams.nll(_tokens(data).astype(np.int64))[1:]

    def parameters(self) -> list[NDArray[Any]]:
        """Keys, counts, and weights of contexts."""
        return self._ngrams.parameters()
