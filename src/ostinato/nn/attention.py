"""Attention of one sequence over another: which of the source's steps matter to each step of the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ostinato.errors import RecipeError
from ostinato.nn.checks import check_positive
from ostinato.types import Ragged


@dataclass(frozen=True)
class Source(Ragged):
    """What is attended to, (sum S, M), and the tokens that it was made of, for a decoder that knows translations.

    ids: (sum S,), packed as the values.
    """

    ids: Tensor | None = None


@dataclass(frozen=True)
class Memory:
    """What is attended to, as `Attention.remember` lays it out once for all steps of a target.

    values: (N, S, M) in the original order of the rows; keys: (N, S, K), what a query is matched with; mask: (N, S),
    true where a row has a step; ids: (N, S), the tokens of a `Source`.
    """

    values: Tensor
    keys: Tensor
    mask: Tensor
    ids: Tensor | None = None

    def select(self, rows: Tensor) -> Memory:
        """The memory of some rows, in that order."""
        values, keys, mask = (part.index_select(0, rows) for part in (self.values, self.keys, self.mask))
        return Memory(values, keys, mask, None if self.ids is None else self.ids.index_select(0, rows))


class Attention(nn.Module):
    """A weighted mean of the memory for each query: ``a_ts = softmax_s score(q_t, m_s)``, ``c_t = sum_s a_ts m_s``.

    ======== ==========================  ================================================================
    score    score(q, m)                 source
    ======== ==========================  ================================================================
    dot      q · m                       Luong, Pham, Manning 2015, arXiv:1508.04025, eq. 8; needs Q = M
    general  q · (W m)                   the same
    concat   v · tanh(W [q; m])          the same (eq. 8, the weight split in two)
    additive v · tanh(W q + U m + b)     Bahdanau, Cho, Bengio 2015, arXiv:1409.0473, section A.1.2
    ======== ==========================  ================================================================

    The two last differ in the bias only; where the query comes from is the decoder's matter. Scores are products of
    padded blocks, (N, T, S): rows of one batch are of similar length, and the layers around work on packed rows.

    Args:
        score: dot, general, concat or additive.
        query_size: Q, features of a query.
        memory_size: M, features of a step of the memory.
        attention_size: K, units of concat and additive.

    Raises:
        RecipeError: for an unknown score, or sizes that don't fit.

    Example:
        >>> attention = Attention("general", query_size=4, memory_size=6)
        >>> source = Ragged.from_rows(torch.zeros(5, 6), starts=[0, 2], lengths=[2, 3])
        >>> context, weights = attention(torch.zeros(2, 7, 4), attention.remember(source))
        >>> context.shape, weights.shape
        (torch.Size([2, 7, 6]), torch.Size([2, 7, 3]))
    """

    def __init__(self, score: str, query_size: int, memory_size: int, attention_size: int = 128) -> None:
        super().__init__()
        check_positive(query_size=query_size, memory_size=memory_size, attention_size=attention_size)
        if score not in ("dot", "general", "concat", "additive"):
            raise RecipeError(f"`score` must be dot, general, concat or additive. Received: {score!r}.")
        if score == "dot" and query_size != memory_size:
            raise RecipeError(
                f"`score: dot` multiplies states of one size, but the decoder's have {query_size} units and the "
                f"source's {memory_size}. Received: 'dot'.",
                hint="score: general puts a matrix between them",
            )
        self.score = score
        summed = score in ("concat", "additive")
        size = attention_size if summed else query_size
        self.key = nn.Identity() if score == "dot" else nn.Linear(memory_size, size, bias=False)
        self.query = nn.Linear(query_size, size, bias=score == "additive") if summed else nn.Identity()
        self.weight = nn.Linear(size, 1, bias=False) if summed else nn.Identity()

    def remember(self, memory: Ragged) -> Memory:
        """Lay a memory (sum S, M) out for `forward`; keys are worked out once."""
        keys, lengths = memory.with_values(self.key(memory.values)).to_padded()
        steps = torch.arange(keys.shape[1], device=keys.device)
        mask = steps < lengths.to(keys.device).unsqueeze(1)
        ids = getattr(memory, "ids", None)
        return Memory(
            memory.to_padded()[0], keys, mask, None if ids is None else memory.with_values(ids).to_padded()[0]
        )

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Queries (N, T, Q) -> context (N, T, M) and weights (N, T, S). A row without memory has a context of zeros."""
        scores = self._scores(self.query(queries), memory.keys)
        mask = memory.mask.unsqueeze(1)
        least = torch.finfo(scores.dtype).min
        weights = scores.masked_fill(~mask, least).softmax(dim=2) * mask  # an empty row's softmax is even: to zero
        return torch.bmm(weights, memory.values), weights

    def _scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """(N, T, K) and (N, S, K) -> (N, T, S)."""
        if isinstance(self.weight, nn.Identity):
            return torch.bmm(queries, keys.transpose(1, 2))
        scores: Tensor = self.weight(torch.tanh(queries.unsqueeze(2) + keys.unsqueeze(1)))
        return scores.squeeze(3)


class _Pack(torch.autograd.Function):
    """``flat[index]`` for an index without repetitions: the backward places rows rather than adding them up."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.num_rows = flat.shape[0]
        return flat.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        return grads[0].new_zeros(ctx.num_rows, *grads[0].shape[1:]).index_copy_(0, index, grads[0]), None


def pack_like(padded: Tensor, like: Ragged) -> Ragged:
    """(N, T, F) in the original order of the rows as a Ragged of `like`'s structure; what is behind an end is left.

    Example:
        >>> rows = Ragged.from_rows(torch.arange(3), starts=[0, 1], lengths=[1, 2])
        >>> pack_like(torch.tensor([[[1], [0]], [[2], [3]]]), rows).values.flatten()
        tensor([2, 1, 3])
    """
    rows = like.sorted_indices[like.rows_index()]
    index = rows * padded.shape[1] + like.times_index()
    packed: Tensor = _Pack.apply(padded.flatten(0, 1), index)  # type: ignore[no-untyped-call]
    return like.with_values(packed)
