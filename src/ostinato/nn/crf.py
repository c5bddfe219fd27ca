"""A linear-chain conditional random field over ragged batches: the score of a whole sequence of tags."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ostinato.errors import ShapeError
from ostinato.nn.checks import check_positive
from ostinato.types import Ragged

_FORBIDDEN = -1e4


class LinearChainCRF(nn.Module):
    """``p(y | x) = exp(s(x, y)) / Z(x)``, ``s(x, y) = start[y_1] + sum_t e_t[y_t] + sum_t A[y_t-1, y_t] + end[y_L]``.

    Z by the forward algorithm in log space: ``a_1 = start + e_1``,
    ``a_t[k] = e_t[k] + logsumexp_j(a_t-1[j] + A[j, k])``, ``log Z = logsumexp(a_L + end)``, for all rows of a batch at
    once and over the steps each has, no padding. The best sequence (Viterbi) by the same recursion with max in place
    of logsumexp.

    A negative target says that the tag of a step is not known: the loss is then that of all sequences which agree with
    the known ones, ``log Z - log Z(known)``.

    Source: J. Lafferty, A. McCallum and F. Pereira (2001), "Conditional random fields", section 3; as a layer on a
    network: Z. Huang, W. Xu and K. Yu (2015), arXiv:1508.01991, section 2.5.

    Args:
        num_tags: K, >= 1.

    Shapes: emissions a Ragged of (sum L, K); targets a Ragged of (sum L,) integers below K in the same structure.

    Example:
        >>> emissions = Ragged.from_rows(torch.zeros(3, 2), starts=[0, 2], lengths=[2, 1])
        >>> LinearChainCRF(2).log_partition(emissions).exp()  # scores of zero: Z counts the sequences
        tensor([4., 2.], grad_fn=<ExpBackward0>)
    """

    def __init__(self, num_tags: int) -> None:
        super().__init__()
        check_positive(num_tags=num_tags)
        self.transitions = nn.Parameter(torch.zeros(num_tags, num_tags))  # from, to
        self.start = nn.Parameter(torch.zeros(num_tags))
        self.end = nn.Parameter(torch.zeros(num_tags))

    def forward(self, emissions: Ragged, targets: Ragged) -> Tensor:
        """(N,) ``-log p(y | x)`` of each row in the original order; zero for an empty row."""
        self._check(emissions)
        if not torch.equal(emissions.lengths, targets.lengths):
            raise ShapeError("`targets` must have the lengths of `emissions`.")
        tags = targets.values.long()
        unknown = tags < 0
        scored = self._partial(emissions, tags, unknown) if bool(unknown.any()) else self.score(emissions, tags)
        return self.log_partition(emissions) - scored

    def score(self, emissions: Ragged, tags: Tensor) -> Tensor:
        """(N,) ``s(x, y)`` of known tags, (sum L,) packed as the emissions."""
        self._check(emissions)
        num_first = int(emissions.batch_sizes[0]) if emissions.max_length else 0
        steps = emissions.values.gather(1, tags.unsqueeze(1)).squeeze(1)
        from_before = self.transitions[tags[emissions.previous_index()[num_first:]], tags[num_first:]]
        moves = torch.cat([self.start[tags[:num_first]], from_before])
        total = emissions.values.new_zeros(emissions.num_rows)
        total = total.index_add(0, emissions.rows_index(), steps + moves)
        return total[emissions.unsorted_indices] + emissions.with_values(self.end[tags]).select_last()

    def log_partition(self, emissions: Ragged) -> Tensor:
        """(N,) ``log Z`` of each row in the original order; zero for an empty row."""
        self._check(emissions)
        if not emissions.max_length:
            return emissions.values.new_zeros(emissions.num_rows)
        steps = torch.split(emissions.values, emissions.batch_sizes.tolist())
        alpha = self.start + steps[0]  # rows in the packed order, those that have ended behind
        for step in steps[1:]:
            going = alpha[: len(step)].unsqueeze(2) + self.transitions  # (n, from, to)
            alpha = torch.cat([going.logsumexp(1) + step, alpha[len(step) :]])
        return self._in_order((alpha + self.end).logsumexp(1), emissions)

    @torch.no_grad()
    def decode(self, emissions: Ragged) -> Ragged:
        """The likeliest tags of each row, a Ragged of (sum L,) integers in the structure of the emissions."""
        self._check(emissions)
        sizes = emissions.batch_sizes.tolist()
        if not sizes:
            return emissions.with_values(emissions.values.new_zeros(0, dtype=torch.long))
        steps = torch.split(emissions.values, sizes)
        best = self.start + steps[0]
        came_from: list[Tensor] = []
        for step in steps[1:]:
            score, origin = (best[: len(step)].unsqueeze(2) + self.transitions).max(1)
            came_from.append(origin)
            best = torch.cat([score + step, best[len(step) :]])
        tag = (best + self.end).argmax(1)  # (n,): of the last step of each row, then of the steps before
        found = [tag[: sizes[-1]]]
        for origin, size in zip(reversed(came_from), reversed(sizes[:-1]), strict=True):
            tag = torch.cat([origin.gather(1, tag[: len(origin)].unsqueeze(1)).squeeze(1), tag[len(origin) :]])
            found.append(tag[:size])
        return emissions.with_values(torch.cat(found[::-1]))

    def _partial(self, emissions: Ragged, tags: Tensor, unknown: Tensor) -> Tensor:
        """(N,) the log of the summed scores of all sequences that agree with the known tags."""
        agrees = unknown.unsqueeze(1) | (torch.arange(len(self.start), device=tags.device) == tags.unsqueeze(1))
        return self.log_partition(emissions.with_values(emissions.values.masked_fill(~agrees, _FORBIDDEN)))

    def _in_order(self, values: Tensor, like: Ragged) -> Tensor:
        """(rows that are not empty,) in the packed order to (N,) in the original one."""
        return torch.cat([values, values.new_zeros(like.num_rows - len(values))])[like.unsorted_indices]

    def _check(self, emissions: Ragged) -> None:
        if emissions.values.dim() != 2 or emissions.values.shape[1] != len(self.start):
            raise ShapeError(
                f"`emissions` must be (sum L, {len(self.start)}). Received: {tuple(emissions.values.shape)}."
            )
