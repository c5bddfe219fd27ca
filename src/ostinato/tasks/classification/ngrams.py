"""A linear score of a row's n-grams, solved before training, in parallel to a recurrent path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ostinato.arrays import Floats, Integers, Mask
from ostinato.data.vocabulary import END_ID, PAD_ID, SPECIAL
from ostinato.types import Ragged

Loss = Callable[[Tensor, Tensor], Tensor]
"""Of outputs (N, num_outputs) and targets, summed over rows."""

_MULTIPLIER = 1_000_003
_SCALE = 20.0
_STRENGTH = 10.0
"""What the loss weighs against the squares of the weights: on six sets 3 to 30 make no difference."""
_ITERATIONS = 60
_MOST_HELD = 20_000_000
"""N-grams of training rows in memory at once; of more, the first rows."""
_CHOICES = ((0.0, 0.0), (0.5, 1.0), (1.0, 1.0))
"""The power of ratios, and what pieces of words weigh."""
_MOST_TRIED, _PARTS = 4500, 3
"""Rows by which one of them is chosen, and how many parts of them there are; the first is held out."""
_SCALES = (0.5, 0.7, 1.0, 1.4, 2.0)
"""Of scores of rows that are held out: how sure they are counts for nothing."""


class NgramScore(nn.Module):
    r"""A weight for every n-gram of tokens that a row holds, and for every piece of its words' spelling:

    .. math::
        y_c &= b_c + \frac{1}{\sqrt{|G|}} \sum_{g \in G} \sum_{j \in g} \frac{r_{jc}}{\lVert r_{gc} \rVert} w_{jc},
        \qquad r_{jc} = \Big(1 + \ln \frac{1 + N}{1 + n_j}\Big)
        \left| \ln \frac{p_{jc} / \sum_i p_{ic}}{q_{jc} / \sum_i q_{ic}} \right|^{a}

    G are two sets, each n-gram once: those of up to `order` tokens with the row's ends, and of two to `letters`
    characters of a word with its ends. n_j of N training rows hold j; p is one more than how many of class c do, q the
    same for all other rows.
    `fit` sets r (naive Bayes, and how rare j is) and solves for w and b: the head's own loss, ten times, and
    :math:`\tfrac12 \lVert w \rVert^2`. Nothing is learnt by gradients of training. The power a is 0 (pieces then
    count for nothing), a half or 1: what scores rows best that are held out, a third. Single tokens have a bucket of
    their own; longer n-grams share half of the rest, pieces the other; without pieces, all.

    Sources: Wang & Manning 2012, "Baselines and bigrams" (NBSVM; here with idf, the head's loss and a power); hashing
    and spelling as Joulin et al. 2017, arXiv:1607.01759.

    Args:
        vocab_size: V.
        num_outputs: scores of a row.
        order: the longest n-gram of tokens.
        num_buckets: shared by n-grams of two tokens and more, and pieces of words.
        letters: the longest piece of a word; 0: spelling is not read.
        vocabulary: the tokens by their integers, where it is.
        edges: whether the ends of a row count as tokens in n-grams of two and more.
    """

    undecided_share = 0.5
    """Of the answer, until validation rows decide, and where they don't."""
    usual_share = 0.8
    """Of the answer, where few rows say little of it: of eight sets of 200 to 6,000 sentences and reviews, on a third
    held out of the training part, decided shares had a mean of 62.2 %, 61.8 with a half."""

    def __init__(
        self,
        vocab_size: int,
        num_outputs: int,
        order: int,
        num_buckets: int,
        letters: int = 0,
        vocabulary: Sequence[str] = (),
        *,
        edges: bool = True,
    ) -> None:
        super().__init__()
        self._choice: tuple[float, float] | None = None
        self.vocab_size, self.order, self.num_buckets, self.edges = vocab_size, order, num_buckets, edges
        self._size = vocab_size + num_buckets * (order > 1 or letters > 0)
        self._num_sets = 1 + (letters > 0)
        self.weight = nn.Parameter(torch.zeros(self._size, num_outputs), requires_grad=False)
        """w / 20; of `<pad>`, which no row holds, b / 20."""
        self.log_ratio = nn.Parameter(torch.zeros(self._size, num_outputs), requires_grad=False)
        """r. Parameters, so that they are saved; zero until `fit`: the score of every row is then zero."""
        self._shared = num_buckets // self._num_sets
        self._first_piece = vocab_size + self._shared
        pieces, lengths = _pieces_of(vocabulary, letters)
        self._pieces = torch.from_numpy(self._first_piece + pieces % self._shared)
        self._num_pieces = torch.from_numpy(lengths)

    def fit(self, batches: Iterable[tuple[Ragged, Tensor, Tensor]], loss: Loss) -> None:
        """Solve for the weights from all training rows: each batch with its (N, num_outputs) membership, 0 or 1, and
        its targets. Fitted again, it keeps a and whether pieces count: what is decided about it stays as good."""
        from scipy.sparse import csr_array

        found, members, targets, num_rows, held = [], [], [], 0, 0
        for ids, inside, wanted in batches:
            rows, buckets, sets = self._distinct(ids)
            found.append(torch.stack([(rows + num_rows) * self._num_sets + sets, buckets]).cpu())
            members.append(inside.cpu().float())
            targets.append(wanted.cpu())
            num_rows, held = num_rows + len(inside), held + len(rows)
            if held >= _MOST_HELD:
                break
        places, buckets = torch.cat(found, dim=1).numpy()
        used, columns = np.unique(buckets, return_inverse=True)
        ones = np.ones(len(places), dtype=np.float32)
        shape = (num_rows * self._num_sets, len(used))
        matrices = csr_array((ones, (places, columns)), shape=shape)
        truth = torch.cat(members).numpy()
        data = _Rows(matrices, truth, torch.cat(targets), self._num_sets, used >= self._first_piece, loss)
        self._choice = self._choice or data.chosen()
        ratio = data.ratios(*self._choice)
        weight, bias = data.solved(ratio)
        with torch.no_grad():
            self.log_ratio.zero_()[used] = torch.from_numpy(ratio).to(self.log_ratio)
            self.weight.zero_()[used] = torch.from_numpy(weight / _SCALE).to(self.weight)
            self.weight[PAD_ID] = torch.from_numpy(bias / _SCALE).to(self.weight)

    def forward(self, ids: Ragged) -> Tensor:
        """(N, num_outputs) in the original order of the rows; an empty row scores b."""
        rows, buckets, sets = self._distinct(ids)
        places = rows * self._num_sets + sets
        ratios = self.log_ratio[buckets]  # (n-grams of all rows, num_outputs)
        squares = ratios.new_zeros(ids.num_rows * self._num_sets, ratios.shape[1])
        scores = torch.zeros_like(squares).index_add(0, places, ratios * self.weight[buckets])
        scores = scores / squares.index_add(0, places, ratios.square()).sqrt().clamp(min=1e-6)
        summed = scores.view(ids.num_rows, self._num_sets, -1).sum(1) / self._num_sets**0.5
        outputs: Tensor = _SCALE * (summed + self.weight[PAD_ID])
        return outputs

    def _distinct(self, ids: Ragged) -> tuple[Tensor, Tensor, Tensor]:
        """Each bucket that a row's n-grams fall into, once a set: the row's number, the bucket, the set's number."""
        rows = ids.sorted_indices[ids.rows_index()] * self._num_sets
        tokens, times, previous = ids.values.long(), ids.times_index(), ids.previous_index()
        keys = [rows * self._size + tokens]
        ends = ids.lengths.to(times.device)[ids.sorted_indices][ids.rows_index()] - 1 == times

        def add(hashed: Tensor, where: Tensor) -> None:
            keys.append((rows * self._size + self.vocab_size + hashed % self._shared)[where])

        hashed = tokens
        for n in range(2, self.order + 1):
            if self.edges:
                add(hashed + n, times == n - 2)  # <pad> is the token before the first
                add(hashed * _MULTIPLIER + END_ID + n, ends & (times >= n - 2))
            hashed = hashed[previous] * _MULTIPLIER + tokens
            add(hashed + n, times >= n - 1)
        if self._num_sets > 1:
            keys.append(self._spelled(torch.unique(keys[0])))
        found = torch.unique(torch.cat(keys))
        places = found // self._size
        return places // self._num_sets, found % self._size, places % self._num_sets

    def _spelled(self, words: Tensor) -> Tensor:
        """The keys of the pieces of words, from the keys of the words."""
        counts, pieces = self._num_pieces.to(words.device), self._pieces.to(words.device)
        tokens = words % self._size
        lengths = counts[tokens]
        starts = (counts.cumsum(0) - counts)[tokens] - (lengths.cumsum(0) - lengths)
        index = torch.arange(int(lengths.sum()), device=words.device) + starts.repeat_interleave(lengths)
        return (words - tokens + self._size).repeat_interleave(lengths) + pieces[index]


@dataclass(frozen=True)
class _Rows:
    """Training rows. held: (rows * sets, F) of 0 and 1; members: (rows, K); spelled: (F,), which columns are pieces."""

    held: Any
    members: Floats
    targets: Tensor
    num_sets: int
    spelled: Mask
    loss: Loss

    def take(self, rows: Integers) -> _Rows:
        """Some of them."""
        places = (rows[:, None] * self.num_sets + np.arange(self.num_sets)).ravel()
        return replace(self, held=self.held[places], members=self.members[rows], targets=self.targets[rows])

    def chosen(self) -> tuple[float, float]:
        """The power of ratios, and what pieces weigh: what is best on a third that is held out."""
        order = np.random.default_rng(0).permutation(len(self.members))[:_MOST_TRIED]
        known, asked = self.take(order[len(order) // _PARTS :]), self.take(order[: len(order) // _PARTS])
        if not len(asked.members):
            return _CHOICES[1]

        def cost(choice: tuple[float, float]) -> float:
            ratio = known.ratios(*choice)
            scores = asked.scores(ratio, *known.solved(ratio), asked.norms(ratio))
            return min(float(self.loss(torch.from_numpy(scale * scores), asked.targets)) for scale in _SCALES)

        return min(_CHOICES, key=cost)

    def ratios(self, power: float, pieces: float) -> Floats:
        """r of each column and output, (F, K); 0 of columns that no row holds."""
        counts = self.held.sum(axis=0)[:, None]
        inside = self.held.T @ np.repeat(self.members, self.num_sets, axis=0)
        shares = [(one + 1) / (one + 1).sum(axis=0) for one in (inside, counts - inside)]
        rare = (1 + np.log((1 + len(self.members)) / (1 + counts))) * (counts > 0)
        found = rare * np.abs(np.log(shares[0] / shares[1])) ** power
        return np.asarray(found * np.where(self.spelled, pieces, 1.0)[:, None], dtype=np.float32)

    def norms(self, ratio: Floats) -> Floats:
        """(rows * sets, K)."""
        return np.asarray(np.sqrt(self.num_sets * np.maximum(self.held @ ratio**2, 1e-12)))

    def scores(self, ratio: Floats, weight: Floats, bias: Floats, norms: Floats) -> Floats:
        """(rows, K) float32."""
        each = (self.held @ (ratio * weight.astype(np.float32))) / norms
        summed = each.reshape(len(self.members), self.num_sets, -1).sum(axis=1) + bias
        return np.asarray(summed, dtype=np.float32)

    def solved(self, ratio: Floats) -> tuple[Floats, Floats]:
        """The weights (F, K) and biases (K,) of the least loss and squares."""
        from scipy.optimize import minimize

        norms, turned, (num_columns, num_outputs) = self.norms(ratio), self.held.T.tocsr(), ratio.shape

        def cost(flat: Floats) -> tuple[float, Floats]:
            weight = flat[num_outputs:].reshape(num_columns, num_outputs)
            outputs = torch.from_numpy(self.scores(ratio, weight, flat[:num_outputs], norms)).requires_grad_()
            with torch.enable_grad():
                value = _STRENGTH * self.loss(outputs, self.targets)
            slope = torch.autograd.grad(value, outputs)[0].numpy()
            back = np.repeat(slope, self.num_sets, axis=0) / norms
            slopes = np.concatenate([slope.sum(axis=0), (ratio * (turned @ back) + weight).ravel()])
            return float(value.detach()) + 0.5 * float((weight**2).sum()), slopes.astype(np.float64)

        start = np.zeros(num_outputs * (1 + num_columns))
        options = {"maxiter": _ITERATIONS, "ftol": 1e-6}
        found = minimize(cost, start, jac=True, method="L-BFGS-B", options=options).x
        return found[num_outputs:].reshape(num_columns, num_outputs), found[:num_outputs]


def _pieces_of(vocabulary: Sequence[str], longest: int) -> tuple[Integers, Integers]:
    """The hashes of the different pieces of each word with a blank at both ends, one word's after the other's, and how
    many each has; none of special tokens."""
    found, lengths = [np.empty(0, np.int64)], []
    for word in vocabulary if longest else ():
        codes = np.frombuffer(f" {word} ".encode("utf-32-le"), dtype=np.uint32).astype(np.int64)
        hashed, hashes = codes, [np.empty(0, np.int64)]
        for n in range(2, min(longest, len(codes)) + 1) if word not in SPECIAL else ():
            hashed = hashed[:-1] * _MULTIPLIER + codes[n - 1 :]
            hashes.append(hashed - n)
        found.append(np.unique(np.concatenate(hashes)))
        lengths.append(len(found[-1]))
    return np.concatenate(found), np.asarray(lengths, dtype=np.int64)
