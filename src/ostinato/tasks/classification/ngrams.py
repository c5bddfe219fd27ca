"""A linear score of a row's n-grams, in parallel to a recurrent path."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ostinato.types import Ragged

_MULTIPLIER = 1_000_003
_SCALE = 20.0
"""Adam moves every weight by about the learning rate, whatever its gradient. Scaled up, the score of a row reaches the
size of a logit within an epoch."""


class NgramScore(nn.Module):
    r"""A weight for every n-gram a row holds, scaled by how much more often one class holds it than the others.

    .. math::
        y_c &= 20 \sum_{j \in G} \frac{r_{jc}}{\lVert r_{Gc} \rVert} w_{jc}, \qquad
        G = \{h(x_{t-n+1}, \dots, x_t) : n \le N, t \ge n\} \\
        r_{jc} &= \log \frac{p_{jc} / \sum_i p_{ic}}{q_{jc} / \sum_i q_{ic}}

    p is one more than the number of training rows of class c that hold n-gram j, q the same for all other rows; the
    ratio r is set once by `fit` (naive Bayes), the weights w begin at zero and are learnt. Single tokens have a bucket
    of their own; longer n-grams share the rest. Sources: Wang & Manning 2012, "Baselines and bigrams" (NBSVM; here with
    logistic loss); hashing as Joulin et al. 2017, arXiv:1607.01759.

    Args:
        vocab_size: V.
        num_outputs: scores of a row.
        order: the longest n-gram, N.
        num_buckets: shared by n-grams of two tokens and more.
        dropout: share of n-grams left out while training, the rest scaled up.
    """

    usual_share = 0.5
    """Of the answer, where few rows say little of it."""

    def __init__(self, vocab_size: int, num_outputs: int, order: int, num_buckets: int, dropout: float) -> None:
        super().__init__()
        self.vocab_size, self.order, self.num_buckets, self.dropout = vocab_size, order, num_buckets, dropout
        self._size = vocab_size + num_buckets * (order > 1)
        self.weight = nn.Parameter(torch.zeros(self._size, num_outputs))
        self.log_ratio = nn.Parameter(torch.zeros(self._size, num_outputs), requires_grad=False)
        """r. A parameter, so that it is saved; zero until `fit`: the score of every row is then zero."""

    def fit(self, batches: Iterable[tuple[Ragged, Tensor]]) -> None:
        """Set the log ratios from all training rows, each batch with its (N, num_outputs) membership, 0 or 1."""
        inside, outside = torch.ones_like(self.log_ratio), torch.ones_like(self.log_ratio)
        for ids, members in batches:
            rows, buckets = self._distinct(ids)
            held = members.to(inside)[rows]
            inside.index_add_(0, buckets, held)
            outside.index_add_(0, buckets, 1 - held)
        with torch.no_grad():
            self.log_ratio.copy_((inside / inside.sum(0)).log() - (outside / outside.sum(0)).log())
            self.log_ratio[(inside + outside == 2).all(1)] = 0.0  # never seen: says nothing

    def forward(self, ids: Ragged) -> Tensor:
        """(N, num_outputs) in the original order of the rows; an empty row scores zero."""
        rows, buckets = self._distinct(ids)
        ratios = self.log_ratio[buckets]  # (n-grams of all rows, num_outputs)
        squares = ratios.new_zeros(ids.num_rows, ratios.shape[1]).index_add(0, rows, ratios.square())
        scored = ratios * self.weight[buckets]
        if self.training and self.dropout:
            keep = scored.new_empty(len(buckets), 1).bernoulli_(1 - self.dropout)
            scored = scored * keep / (1 - self.dropout)
        scores = torch.zeros_like(squares).index_add(0, rows, scored)
        return _SCALE * scores / squares.sqrt().clamp(min=1e-6)

    def _distinct(self, ids: Ragged) -> tuple[Tensor, Tensor]:
        """Each bucket that a row's n-grams fall into, once: the row's number and the bucket."""
        rows = ids.sorted_indices[ids.rows_index()]
        tokens, times, previous = ids.values.long(), ids.times_index(), ids.previous_index()
        keys = [rows * self._size + tokens]
        hashed = tokens
        for n in range(2, self.order + 1):
            hashed = hashed[previous] * _MULTIPLIER + tokens
            buckets = self.vocab_size + (hashed + n) % self.num_buckets
            keys.append((rows * self._size + buckets)[times >= n - 1])
        found = torch.unique(torch.cat(keys))
        return found // self._size, found % self._size
