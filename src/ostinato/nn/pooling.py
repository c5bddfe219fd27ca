"""Pooling: one vector a row out of a Ragged, (sum L, F) -> (N, F) in the original order of the rows.

In every mode, a row of length zero gives zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from ostinato.errors import RecipeError, ShapeError
from ostinato.nn.checks import check_positive
from ostinato.types import Ragged, State

MODES = ("last", "mean", "max", "attention")
_STATE: dict[str, Callable[[int], tuple[int, ...]]] = {
    "last": lambda size: (size,),
    "mean": lambda size: (size, 1),
    "max": lambda size: (size, 1),
    "attention": lambda size: (size, 1, 1),
}
"""Features of each tensor that a mode carries from piece to piece."""


def pool_last(ragged: Ragged, bidirectional: bool = False) -> Tensor:
    """The last value of each row, (N, F).

    With ``bidirectional`` the second half of the features is taken at the row's first step, where the reverse direction
    has read all of it.
    """
    if not bidirectional:
        return ragged.select_last()
    forward, backward = ragged.values.chunk(2, dim=-1)
    return torch.cat([ragged.with_values(forward).select_last(), ragged.with_values(backward).select_first()], dim=-1)


def pool_sum(ragged: Ragged) -> Tensor:
    """The sum of each row's values, (N, F)."""
    zeros = ragged.values.new_zeros((ragged.num_rows, *ragged.values.shape[1:]))
    return zeros.index_add(0, _original_rows(ragged), ragged.values)


def pool_mean(ragged: Ragged) -> Tensor:
    """The mean of each row's values, (N, F)."""
    counts = ragged.lengths.clamp(min=1).to(ragged.values)
    return pool_sum(ragged) / counts.unsqueeze(-1)


def pool_max(ragged: Ragged) -> Tensor:
    """The largest of each row's values, feature by feature, (N, F); of equal ones one gets the gradient."""
    if ragged.max_length == 0:
        return pool_sum(ragged)
    padded, lengths = ragged.to_padded(padding_value=-torch.inf)
    largest = padded.max(dim=1).values
    return largest.masked_fill((lengths == 0).to(largest.device).unsqueeze(-1), 0.0)


class AttentionPooling(nn.Module):
    r"""A weighted mean of each row with a learned query.

    .. math::

        s_t = q \cdot \tanh(h_t W^T + b), \quad a = \mathrm{softmax}(s), \quad y = \sum_t a_t h_t

    Source: Z. Yang et al., "Hierarchical Attention Networks for Document Classification", NAACL 2016, eq. 5-7.

    Args:
        input_size: F, features of the values, >= 1.
    """

    def __init__(self, input_size: int) -> None:
        super().__init__()
        check_positive(input_size=input_size)
        self.key = nn.Linear(input_size, input_size)
        self.query = nn.Linear(input_size, 1, bias=False)

    def scores(self, ragged: Ragged) -> Ragged:
        """The weight of every value, (sum L,); those of a row add up to one."""
        scores = self.query(torch.tanh(self.key(ragged.values)))  # (sum L, 1)
        rows = _original_rows(ragged)
        largest = pool_max(ragged.with_values(scores.detach()))
        weights = torch.exp(scores - largest[rows])
        total = pool_sum(ragged.with_values(weights))
        return ragged.with_values((weights / total[rows]).squeeze(-1))

    def absorb(self, ragged: Ragged, before: list[Tensor]) -> list[Tensor]:
        """Weighted sum (N, F), sum of weights (N, 1), both divided by exp of the largest score (N, 1) so far."""
        scores = ragged.with_values(self.query(torch.tanh(self.key(ragged.values))))  # (sum L, 1)
        weighted, total, largest = before
        some = (ragged.lengths > 0).to(ragged.device).unsqueeze(-1)
        found = pool_max(scores.with_values(scores.values.detach()))
        now = torch.where(some & (total > 0), torch.maximum(found, largest), torch.where(some, found, largest))
        weights = torch.exp(scores.values - now[_original_rows(ragged)])
        fade = torch.exp(largest - now) * (total > 0)
        return [
            weighted * fade + pool_sum(ragged.with_values(weights * ragged.values)),
            total * fade + pool_sum(ragged.with_values(weights)),
            now,
        ]

    def forward(self, ragged: Ragged) -> Tensor:
        """(sum L, F) -> (N, F)."""
        weights = self.scores(ragged).values.unsqueeze(-1)
        return pool_sum(ragged.with_values(weights * ragged.values))


class Pooling(nn.Module):
    """One or several modes of pooling, concatenated.

    Args:
        modes: one or several of ``last``, ``mean``, ``max``, ``attention``.
        input_size: F, features of the values, >= 1.
        bidirectional: whether the values come from two directions, forward half first; matters to ``last``.

    Raises:
        RecipeError: if a mode is unknown or given twice.

    Example:
        >>> pool = Pooling(("last", "max"), input_size=4)
        >>> pool(Ragged.from_padded(torch.ones(2, 5, 4), [5, 0])).shape, pool.output_size
        (torch.Size([2, 8]), 8)
    """

    def __init__(self, modes: str | Sequence[str], input_size: int, bidirectional: bool = False) -> None:
        super().__init__()
        check_positive(input_size=input_size)
        self.modes = (modes,) if isinstance(modes, str) else tuple(modes)
        if not self.modes or len(set(self.modes)) < len(self.modes) or not set(self.modes) <= set(MODES):
            raise RecipeError(f"`pooling` must be one or several of {', '.join(MODES)}. Received: {modes!r}.")
        if bidirectional and input_size % 2:
            raise RecipeError(f"`input_size` must be even with `bidirectional`. Received: {input_size}.")
        self.input_size = input_size
        self.bidirectional = bidirectional
        self.attention = AttentionPooling(input_size) if "attention" in self.modes else None

    @property
    def output_size(self) -> int:
        """Features of the result: ``len(modes) * input_size``."""
        return len(self.modes) * self.input_size

    def forward(self, ragged: Ragged) -> Tensor:
        """(sum L, F) -> (N, output_size), in the original order of the rows; zeros for an empty row.

        Raises:
            ShapeError: if the values don't have ``input_size`` features.
        """
        if ragged.values.dim() != 2 or ragged.values.shape[1] != self.input_size:
            raise ShapeError(
                f"the values must have shape (sum L, {self.input_size}). Received: {tuple(ragged.values.shape)}."
            )
        return torch.cat([self._pool(mode, ragged) for mode in self.modes], dim=-1)

    def zero_state(self, num_rows: int) -> State:
        """What `absorb` begins with: (1, N, …) tensors of zeros, so that it can be carried like a layer's state."""
        like = next(self.parameters(), torch.zeros(()))
        sizes = [size for mode in self.modes for size in _STATE[mode](self.input_size)]
        return tuple(like.new_zeros(1, num_rows, size) for size in sizes)

    def absorb(self, ragged: Ragged, state: State) -> tuple[Tensor, State]:
        """Pool rows of which more is still to come, with what came before: the result so far, and the state.

        Rows read piece by piece, the state passed on, end with what `forward` makes of them whole.

        Args:
            ragged: (sum L, F), the next piece of each row; it may be empty.
            state: of `zero_state`, or as returned.

        Raises:
            RecipeError: with two directions: the reverse one reads from the end.
        """
        if self.bidirectional:
            raise RecipeError("a bidirectional layer's output can't be pooled piece by piece. Received: bidirectional.")
        parts, after, pooled = list(state), list[Tensor](), list[Tensor]()
        for mode in self.modes:
            own = [parts.pop(0)[0] for _ in _STATE[mode](self.input_size)]
            own = self._absorb(mode, ragged, own)
            after += own
            pooled.append(own[0] / own[1].clamp(min=1e-30) if mode in ("mean", "attention") else own[0])
        return torch.cat(pooled, dim=-1), tuple(part.unsqueeze(0) for part in after)

    def _absorb(self, mode: str, ragged: Ragged, before: list[Tensor]) -> list[Tensor]:
        some = (ragged.lengths > 0).to(ragged.device).unsqueeze(-1)
        if mode == "last":
            return [torch.where(some, pool_last(ragged), before[0])]
        if mode == "mean":
            return [before[0] + pool_sum(ragged), before[1] + ragged.lengths.to(before[1]).unsqueeze(-1)]
        if mode == "max":
            begun, found = before[1] > 0, pool_max(ragged)
            largest = torch.where(begun & some, torch.maximum(before[0], found), torch.where(some, found, before[0]))
            return [largest, before[1] + some.to(before[1])]
        return cast("AttentionPooling", self.attention).absorb(ragged, before)

    def extra_repr(self) -> str:
        """The arguments."""
        text = f"{'+'.join(self.modes)}, {self.input_size}"
        return text + (", bidirectional=True" if self.bidirectional else "")

    def _pool(self, mode: str, ragged: Ragged) -> Tensor:
        if self.attention is not None and mode == "attention":
            pooled: Tensor = self.attention(ragged)
            return pooled
        if mode == "last":
            return pool_last(ragged, self.bidirectional)
        return pool_mean(ragged) if mode == "mean" else pool_max(ragged)


def _original_rows(ragged: Ragged) -> Tensor:
    """(sum L,): for every packed value its row in the original order."""
    return ragged.sorted_indices[ragged.rows_index()]
