"""A linear score of a row's n-grams, solved before training, in parallel to a recurrent path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ostinato.arrays import Floats
from ostinato.data.vocabulary import PAD_ID, SPECIAL
from ostinato.types import Ragged

Loss = Callable[[Tensor, Tensor], Tensor]
"""Of outputs (N, num_outputs) and targets, summed over rows."""

_MULTIPLIER = 1_000_003
_SCALE = 20.0
_STRENGTH = 10.0
"""What the loss weighs against the squares of the weights: on six sets 3 to 30 make no difference."""
_ITERATIONS = 60
_MOST_HELD = 30_000_000
"""N-grams of training rows in memory at once; of more, the first rows."""


class NgramScore(nn.Module):
    r"""A weight for every n-gram of tokens that a row holds, and for every piece of its words' spelling:

    .. math::
        y_c &= b_c + \frac{1}{\sqrt{|G|}} \sum_{g \in G} \sum_{j \in g} \frac{r_{jc}}{\lVert r_{gc} \rVert} w_{jc},
        \qquad r_{jc} = \Big(1 + \ln \frac{1 + N}{1 + n_j}\Big)
        \left| \ln \frac{p_{jc} / \sum_i p_{ic}}{q_{jc} / \sum_i q_{ic}} \right|^{1/2}

    G are two sets, each n-gram once: those of up to `order` tokens, and of two to `letters` characters of a word with
    its ends. n_j of N training rows hold j; p is one more than how many of class c do, q the same for all other rows.
    `fit` sets r (naive Bayes, and how rare j is) and solves for w and b: the head's own loss, ten times, and
    :math:`\tfrac12 \lVert w \rVert^2`. Nothing is learnt by gradients of training. Single tokens have a bucket of their
    own; all else shares the rest.

    Sources: Wang & Manning 2012, "Baselines and bigrams" (NBSVM; here the root of the ratio, with idf and the head's
    loss); hashing and spelling as Joulin et al. 2017, arXiv:1607.01759.

    Args:
        vocab_size: V.
        num_outputs: scores of a row.
        order: the longest n-gram of tokens.
        num_buckets: shared by n-grams of two tokens and more, and pieces of words.
        letters: the longest piece of a word; 0: spelling is not read.
        vocabulary: the tokens by their integers, where it is.
    """

    usual_share = 0.5
    """Of the answer, where few rows say little of it."""

    def __init__(
        self,
        vocab_size: int,
        num_outputs: int,
        order: int,
        num_buckets: int,
        letters: int = 0,
        vocabulary: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.vocab_size, self.order, self.num_buckets = vocab_size, order, num_buckets
        self._size = vocab_size + num_buckets * (order > 1 or letters > 0)
        self._num_sets = 1 + (letters > 0)
        self.weight = nn.Parameter(torch.zeros(self._size, num_outputs), requires_grad=False)
        """w / 20; of `<pad>`, which no row holds, b / 20."""
        self.log_ratio = nn.Parameter(torch.zeros(self._size, num_outputs), requires_grad=False)
        """r. Parameters, so that they are saved; zero until `fit`: the score of every row is then zero."""
        pieces = _pieces_of(vocabulary, letters)
        self._pieces = torch.from_numpy(vocab_size + np.concatenate([*pieces, np.empty(0, np.int64)]) % num_buckets)
        self._num_pieces = torch.tensor([len(one) for one in pieces], dtype=torch.int64)

    def fit(self, batches: Iterable[tuple[Ragged, Tensor, Tensor]], loss: Loss) -> None:
        """Solve for the weights from all training rows: each batch with its (N, num_outputs) membership, 0 or 1, and
        its targets."""
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
        ratio = _ratios(matrices, np.repeat(truth, self._num_sets, axis=0))
        weight, bias = _solved(matrices, ratio, self._num_sets, lambda out: loss(out, torch.cat(targets)))
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
        hashed = tokens
        for n in range(2, self.order + 1):
            hashed = hashed[previous] * _MULTIPLIER + tokens
            buckets = self.vocab_size + (hashed + n) % self.num_buckets
            keys.append((rows * self._size + buckets)[times >= n - 1])
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


def _pieces_of(vocabulary: Sequence[str], longest: int) -> list[Any]:
    """The hashes of the different pieces of each word with a blank at both ends, int64; none of special tokens."""
    found = []
    for word in vocabulary if longest else ():
        codes = np.frombuffer(f" {word} ".encode("utf-32-le"), dtype=np.uint32).astype(np.int64)
        hashed, hashes = codes, []
        for n in range(2, min(longest, len(codes)) + 1):
            hashed = hashed[:-1] * _MULTIPLIER + codes[n - 1 :]
            hashes.append(hashed - n)
        found.append(np.unique(np.concatenate(hashes)) if word not in SPECIAL else np.empty(0, np.int64))
    return found


def _ratios(held: Any, members: Floats) -> Floats:
    """r of each column and output, (F, K)."""
    counts = held.sum(axis=0)[:, None]
    inside = held.T @ members
    shares = [(one + 1) / (one + 1).sum(axis=0) for one in (inside, counts - inside)]
    rare = 1 + np.log((1 + len(members)) / (1 + counts))
    return np.asarray(rare * np.sqrt(np.abs(np.log(shares[0] / shares[1]))), dtype=np.float32)


def _solved(held: Any, ratio: Floats, num_sets: int, loss: Callable[[Tensor], Tensor]) -> tuple[Floats, Floats]:
    """The weights (F, K) and biases (K,) of the least loss."""
    from scipy.optimize import minimize

    turned, (num_columns, num_outputs) = held.T.tocsr(), ratio.shape
    norms = np.sqrt(num_sets * np.maximum(held @ ratio**2, 1e-12))

    def cost(flat: Floats) -> tuple[float, Floats]:
        weight = flat[num_outputs:].reshape(num_columns, num_outputs)
        scores = (held @ (ratio * weight.astype(np.float32))) / norms
        summed = scores.reshape(-1, num_sets, num_outputs).sum(axis=1) + flat[:num_outputs]
        outputs = torch.tensor(summed, dtype=torch.float32, requires_grad=True)
        with torch.enable_grad():
            value = _STRENGTH * loss(outputs)
        (slope,) = torch.autograd.grad(value, outputs)
        back = np.repeat(slope.numpy(), num_sets, axis=0) / norms
        slopes = np.concatenate([slope.numpy().sum(axis=0), (ratio * (turned @ back) + weight).ravel()])
        return float(value.detach()) + 0.5 * float((weight**2).sum()), slopes.astype(np.float64)

    start = np.zeros(num_outputs * (1 + num_columns))
    options = {"maxiter": _ITERATIONS, "ftol": 1e-6}
    found = minimize(cost, start, jac=True, method="L-BFGS-B", options=options).x
    return found[num_outputs:].reshape(num_columns, num_outputs), found[:num_outputs]
