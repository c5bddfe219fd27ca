"""A linear score of a row's n-grams, to stand beside a recurrent path."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.types import Ragged

_MULTIPLIER = 1_000_003
_SCALE = 3.0
"""Adam moves every weight by about the learning rate, whatever its gradient. Scaled up, the score of a row reaches the
size of a logit within an epoch."""


class NgramScore(nn.Module):
    r"""A weight for every n-gram of a row, hashed into buckets, added up.

    .. math:: y = \frac{3}{\sqrt{L}} \sum_{n=1}^{N} \sum_{t=n}^{L} w_{h(x_{t-n+1}, \dots, x_t)}

    Single tokens have a bucket of their own; longer n-grams share the rest. They begin at zero. Source: the wide part
    of Cheng et al. 2016, "Wide & Deep Learning", arXiv:1606.07792; hashing as Joulin et al. 2017, arXiv:1607.01759.

    Args:
        vocab_size: V.
        num_outputs: scores of a row.
        order: the longest n-gram, N.
        num_buckets: shared by n-grams of two tokens and more.
        dropout: share of n-grams left out while training, the rest scaled up.

    Call `count` once with the training rows: n-grams that hardly ever occur are then left out. Every text has some of
    its own, and a model that may use them learns its training texts by heart.
    """

    def __init__(self, vocab_size: int, num_outputs: int, order: int, num_buckets: int, dropout: float) -> None:
        super().__init__()
        self.vocab_size, self.order, self.num_buckets, self.dropout = vocab_size, order, num_buckets, dropout
        size = vocab_size + num_buckets * (order > 1)
        self.weight = nn.Parameter(torch.zeros(size, num_outputs))
        self.frequent = nn.Parameter(torch.ones(size), requires_grad=False)
        """1.0 where a bucket is scored, 0.0 where its n-grams are too rare. A parameter, so that it is saved."""

    def count(self, batches: Iterable[Ragged], min_frequency: int) -> None:
        """Score only buckets that `batches` hold at least `min_frequency` times."""
        counts = torch.zeros_like(self.frequent)
        for ids in batches:
            for buckets, whole in self._buckets(ids):
                counts.index_add_(0, buckets, whole)
        with torch.no_grad():
            self.frequent.copy_(counts >= min_frequency)

    def forward(self, ids: Ragged) -> Tensor:
        """(N, num_outputs) in the original order of the rows; an empty row scores zero."""
        rows = ids.sorted_indices[ids.rows_index()]
        scores = self.weight.new_zeros(ids.num_rows, self.weight.shape[1])
        for buckets, whole in self._buckets(ids):
            scored = whole * self.frequent[buckets]
            weights = F.embedding(buckets, self.weight) * scored.unsqueeze(1)  # (sum L, num_outputs)
            if self.training and self.dropout:
                keep = torch.empty_like(whole).bernoulli_(1 - self.dropout) / (1 - self.dropout)
                weights = weights * keep.unsqueeze(1)
            scores = scores.index_add(0, rows, weights)
        lengths = ids.lengths.clamp(min=1).to(scores)
        return _SCALE * scores / lengths.sqrt().unsqueeze(1)

    def _buckets(self, ids: Ragged) -> list[tuple[Tensor, Tensor]]:
        """For each n: the bucket of the n-gram that ends at each value, and 1.0 where it lies whole in its row."""
        tokens, times, previous = ids.values.long(), ids.times_index(), ids.previous_index()
        hashed = tokens
        found = [(tokens, torch.ones_like(tokens, dtype=self.weight.dtype))]
        for n in range(2, self.order + 1):
            hashed = hashed[previous] * _MULTIPLIER + tokens
            whole = (times >= n - 1).to(self.weight.dtype)
            found.append((self.vocab_size + (hashed + n) % self.num_buckets, whole))
        return found
