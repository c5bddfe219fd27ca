"""What counting knows of the tokens that others are translated to, which a decoder builds on where it looks."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ostinato.data.sequences import Sequences

_ROUNDS = 6
_MOST_PAIRS = 5_000_000
"""Of a source and a target token of one row that are counted; of more rows are left out, evenly."""
_LEAST = 1e-3
"""Added to a probability: what is no known translation is possible."""


class Lexicon(nn.Module):
    r"""ln p(token of the target | where a decoder looks), of translations counted on training pairs.

    .. math:: p(w \mid a) = \sum_s a_s \, t(w \mid x_s) + 10^{-3}

    with weights a of attention over the source x, and t of IBM model 1, the K likeliest of each source token. Source:
    Arthur, Neubig, Nakamura 2016, "Incorporating discrete translation lexicons into neural machine translation",
    arXiv:1606.02006, section 4 ("bias").

    Args:
        vocab_size: V of the target.
        size: K.
    """

    def __init__(self, vocab_size: int, size: int) -> None:
        super().__init__()
        self.vocab_size, self.size = vocab_size, size
        self.tokens = nn.Parameter(torch.empty(0, dtype=torch.int32), requires_grad=False)
        """(source tokens, K). Parameters, so that they are saved; of the shape that the pairs give them."""
        self.chances = nn.Parameter(torch.empty(0), requires_grad=False)
        """(source tokens, K), t of each."""

    def fit(self, sources: Sequences, targets: Sequences, num_sources: int) -> None:
        """Count pairs of ids, row by row; `num_sources`: how many different source tokens there are."""
        tokens, chances = translations(sources, targets, num_sources, self.vocab_size, self.size)
        self.tokens.data = torch.from_numpy(tokens).to(self.tokens)
        self.chances.data = torch.from_numpy(chances).to(self.chances)

    def forward(self, weights: Tensor, ids: Tensor) -> Tensor:
        """ln p, (M, V), of weights (M, S) over the source tokens (M, S)."""
        tokens = self.tokens[ids.long()].flatten(1).long()
        chances = (weights.unsqueeze(2) * self.chances[ids.long()]).flatten(1)
        found = weights.new_zeros(len(weights), self.vocab_size)
        return found.scatter_add(1, tokens, chances.to(found)).add_(_LEAST).log()


def translations(
    sources: Sequences, targets: Sequences, num_sources: int, num_targets: int, most: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    r"""The likeliest translations of each source token and their probabilities, (num_sources, most) each.

    IBM model 1 by expectation maximisation: each target token comes from one of the source tokens of its row, any as
    likely, or from none, and is then drawn by its frequency. Source: Brown et al. 1993, "The mathematics of statistical
    machine translation", section 4.2.
    """
    rows = _counted(sources.lengths * targets.lengths)
    pairs = sources.lengths[rows] * targets.lengths[rows]
    row = np.repeat(rows, pairs)
    within = np.arange(len(row)) - np.repeat(np.cumsum(pairs) - pairs, pairs)
    place = targets.offsets[row] + within % targets.lengths[row]
    source = sources.values[sources.offsets[row] + within // targets.lengths[row]].astype(np.int64)
    keys, pair = np.unique(source * num_targets + targets.values[place], return_inverse=True)
    source, target = keys // num_targets, keys % num_targets
    frequency = np.bincount(targets.values, minlength=num_targets) / max(len(targets.values), 1)
    chances = np.full(len(keys), 1 / max(num_targets, 1))
    for _ in range(_ROUNDS):
        mass = chances[pair]
        whole = np.bincount(place, mass, minlength=len(targets.values)) + frequency[targets.values]
        expected = np.bincount(pair, mass / whole[place], minlength=len(keys))
        chances = expected / np.bincount(source, expected, minlength=num_sources)[source]
    order = np.lexsort((-chances, source))
    source, target, chances = source[order], target[order], chances[order]
    rank = np.arange(len(source)) - np.searchsorted(source, source)
    kept = rank < most
    tokens = np.zeros((num_sources, most), dtype=np.int32)
    found = np.zeros((num_sources, most), dtype=np.float32)
    tokens[source[kept], rank[kept]], found[source[kept], rank[kept]] = target[kept], chances[kept]
    return tokens, found


def _counted(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows that are counted."""
    every = int(-(-pairs.sum() // _MOST_PAIRS))
    return np.arange(0, len(pairs), max(every, 1))
