"""Models that write for a value against n-grams with back-off: of all training targets, and of each value's own."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ostinato.arrays import Offsets
from ostinato.baselines.base import Baseline, BaselineComparison, Figures
from ostinato.data.dataset import Examples, Features, Prepared
from ostinato.data.sequences import Sequences
from ostinato.data.vocabulary import END_ID
from ostinato.layers.ngram_counts import Keys, Ngrams
from ostinato.metrics.classification import Metrics
from ostinato.tasks.conditional.evaluation import given_metrics
from ostinato.tasks.conditional.model import Conditional
from ostinato.tasks.given import rows_by_given
from ostinato.tasks.transcripts import nll_of_rows

_ORDERS = (2, 3, 4, 5, 6)
_HELD_OUT = 10
_TRUST = (10.0, 100.0, 1e3, 1e4, 1e5)
_ROWS_A_VALUE = 5


class GivenComparison(BaselineComparison):
    """Answers are nats of each validation row's target, (N,), its closing `<end>` counted."""

    model: Conditional
    lower_is_better, figure = True, "nats_per_token"

    def answers(self, examples: Examples) -> Figures:
        """Of the recurrent model."""
        return nll_of_rows(self.model, examples, self.device)[0]

    def scores(self, answers: Figures) -> Metrics:
        """Nats a token over all rows."""
        return given_metrics(answers, _targets(self.validation).lengths + 1)


def _targets(data: Examples) -> Sequences:
    return data.target_sequences


def _closed(targets: Sequences, pad: int = -1, num_pads: int = 0) -> tuple[Keys, NDArray[np.bool_]]:
    """All rows one after the other, so many `pad` before and an `<end>` after each; and which tokens are no padding."""
    begins = targets.offsets[:-1] + np.arange(len(targets)) * (num_pads + 1)
    size = len(targets.values) + len(targets) * (num_pads + 1)
    tokens, own = np.full(size, pad, dtype=np.int64), np.ones(size, dtype=np.bool_)
    own[(begins[:, None] + np.arange(num_pads)).ravel()] = False
    ends = begins + num_pads + targets.lengths
    tokens[ends] = END_ID
    inside = own.copy()
    inside[ends] = False
    tokens[inside] = targets.values
    return tokens, own


def _by_row(nll: Figures, targets: Sequences) -> Figures:
    """(N,): sums over the tokens of each row and its `<end>`."""
    return np.add.reduceat(nll, targets.offsets[:-1] + np.arange(len(targets)))


class TokenFrequencies(Baseline):
    """How frequent each token is, regardless of what is given or came before (counts plus one)."""

    name, about, trivial = (
        "frequencies alone",
        "how frequent each token is, regardless of what is given or came before",
        True,
    )

    def fit(self, train: Examples, features: Features) -> None:
        """Count."""
        counts = np.bincount(_closed(_targets(train))[0], minlength=_vocab_size(features)) + 1.0
        self._nats = -np.log(counts / counts.sum())

    def answer(self, data: Examples) -> Figures:
        """Nats of each row."""
        targets = _targets(data)
        return _by_row(self._nats[_closed(targets)[0]], targets)

    def parameters(self) -> list[NDArray[Any]]:
        """One number a token."""
        return [self._nats.astype(np.float32)]


def _vocab_size(features: Features) -> int:
    return int(cast("Any", features.target).vocab_size)


class _RowNgrams:
    """`Ngrams` of rows that stand each for itself."""

    def __init__(self, ngrams: Ngrams) -> None:
        self.ngrams = ngrams

    @classmethod
    def count(cls, targets: Sequences, vocab_size: int, orders: tuple[int, ...]) -> dict[int, _RowNgrams]:
        """By order."""
        tokens, _ = _closed(targets, vocab_size, max(orders) - 1)
        found = Ngrams.count(tokens, vocab_size + 1, orders, never=vocab_size)
        return {order: cls(one) for order, one in found.items()}

    def nll(self, targets: Sequences) -> Figures:
        """Of every token and `<end>` of some rows, one row after the other."""
        tokens, own = _closed(targets, self.ngrams.never, len(self.ngrams.tables) - 1)
        return self.ngrams.nll(tokens)[own]


class NgramsOfAll(Baseline):
    """N-grams with back-off of all training targets, whatever is given; the order chosen on every tenth row."""

    name = "n-grams, regardless of what is given"
    about = "interpolated Kneser-Ney, the order chosen on every tenth training row"

    def fit(self, train: Examples, features: Features) -> None:
        """Choose the order, then count all rows."""
        targets, vocab = _targets(train), _vocab_size(features)
        early, late = _held_out(len(targets))
        order = min(_ORDERS)
        if len(early):
            tried = _RowNgrams.count(targets.take(early), vocab, _ORDERS)
            costs = {n: float(one.nll(targets.take(late)).mean()) for n, one in tried.items()}
            order = min(costs, key=lambda n: costs[n])
        self._ngrams = _RowNgrams.count(targets, vocab, (order,))[order]

    @property
    def details(self) -> str:
        """The order chosen."""
        return str(self._ngrams.ngrams)

    def answer(self, data: Examples) -> Figures:
        """Nats of each row."""
        targets = _targets(data)
        return _by_row(self._ngrams.nll(targets), targets)

    def parameters(self) -> list[NDArray[Any]]:
        """Of the n-grams."""
        return self._ngrams.ngrams.parameters()


def _held_out(count: int) -> tuple[Offsets, Offsets]:
    """Nine of ten rows, and every tenth."""
    rows = np.arange(count)
    return rows[rows % _HELD_OUT != 0], rows[rows % _HELD_OUT == 0]


class NgramsOfEach(NgramsOfAll):
    r"""N-grams of each value's own training targets, interpolated with those of all.

    .. math:: p(w \mid c, x) = \lambda_x \, p_x(w \mid c) + (1 - \lambda_x) \, p(w \mid c),
        \quad \lambda_x = N_x / (N_x + \beta)

    N_x is how many tokens training showed of the value x; β and the order of p_x are chosen on every tenth row.
    """

    name = "n-grams of each value"
    about = "interpolated Kneser-Ney of the rows with the same value, mixed with that of all"

    @classmethod
    def applies(cls, prepared: Prepared) -> bool:
        """Where a value is given at least five times on average."""
        train = prepared.train
        return len(rows_by_given(train)) * _ROWS_A_VALUE <= len(train)

    def fit(self, train: Examples, features: Features) -> None:
        """Choose order and β, then count all rows."""
        super().fit(train, features)
        examples, vocab = train, _vocab_size(features)
        early, late = _held_out(len(examples))
        self._order, self._trust = min(_ORDERS), _TRUST[-1]
        if len(early):
            known, held = examples.take(early), examples.take(late)
            order = (len(self._ngrams.ngrams.tables),)
            base = _RowNgrams.count(_targets(known), vocab, order)[order[0]].nll(_targets(held))
            costs: dict[tuple[int, float], float] = {}
            for n in _ORDERS:
                self._count(known, vocab, n)
                own, seen = self._own(held)
                costs |= {(n, trust): float(_mixed(base, own, seen, trust).mean()) for trust in _TRUST}
            self._order, self._trust = min(costs, key=lambda pair: costs[pair])
        self._count(examples, vocab, self._order)

    def _count(self, examples: Examples, vocab: int, order: int) -> None:
        targets = _targets(examples)
        self._each: dict[bytes, tuple[_RowNgrams, int]] = {}
        for value, rows in _groups(examples).items():
            own = targets.take(rows)
            self._each[value] = (_RowNgrams.count(own, vocab, (order,))[order], len(own.values) + len(own))

    def _own(self, examples: Examples) -> tuple[Figures, Figures]:
        """Nats of each token by the n-grams of its row's value, and how many tokens they were counted on (0: none)."""
        targets = _targets(examples)
        begins = targets.offsets[:-1] + np.arange(len(targets))
        nll, seen = (np.zeros(len(targets.values) + len(targets)) for _ in range(2))
        for value, rows in _groups(examples).items():
            if value not in self._each:
                continue
            ngrams, count = self._each[value]
            lengths = targets.lengths[rows] + 1
            firsts = np.cumsum(lengths) - lengths
            places = np.arange(int(lengths.sum())) + np.repeat(begins[rows] - firsts, lengths)
            nll[places], seen[places] = ngrams.nll(targets.take(rows)), count
        return nll, seen

    @property
    def details(self) -> str:
        """What was chosen."""
        each = f"{len(self._each):,} values, n-grams up to {self._order} tokens of each"
        return f"{each}, which weigh half after {self._trust:,.0f} training tokens"

    def answer(self, data: Examples) -> Figures:
        """Nats of each row."""
        targets = _targets(data)
        return _by_row(_mixed(self._ngrams.nll(targets), *self._own(data), self._trust), targets)

    def parameters(self) -> list[NDArray[Any]]:
        """Of all n-grams."""
        return [*super().parameters(), *(part for one, _ in self._each.values() for part in one.ngrams.parameters())]


def _mixed(base: Figures, own: Figures, seen: Figures, trust: float) -> Figures:
    share = seen / (seen + trust)
    return np.asarray(-np.log(share * np.exp(-own) + (1 - share) * np.exp(-base)))


def _groups(examples: Examples) -> dict[bytes, Offsets]:
    """The rows of each value that is given."""
    return {value: np.asarray(rows, dtype=np.int64) for value, rows in rows_by_given(examples).items()}
