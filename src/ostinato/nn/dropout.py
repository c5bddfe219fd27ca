"""Dropout for sequences: one mask a row, or whole positions."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from ostinato.errors import ShapeError
from ostinato.nn.checks import check_probability
from ostinato.types import Ragged

InputT = TypeVar("InputT", Tensor, Ragged)


class LockedDropout(nn.Module):
    """Variational dropout, one mask a row, the same at every step: ``y_t = x_t * m / (1 - p)``, m ~ Bernoulli(1 - p).

    Source: Y. Gal and Z. Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks",
    NeurIPS 2016, section 4, as used between layers by S. Merity, N. Keskar and R. Socher (2017), arXiv:1708.02182.

    Args:
        p: probability in [0, 1] of zeroing a feature of a row. Only while training.
        batch_first: whether padded tensors are (N, L, F) rather than (L, N, F). No effect on a Ragged.

    Example:
        >>> LockedDropout(0.5)(torch.ones(2, 7, 4)).shape
        torch.Size([2, 7, 4])
    """

    def __init__(self, p: float = 0.5, batch_first: bool = True) -> None:
        super().__init__()
        check_probability(p=p)
        self.p = p
        self.batch_first = batch_first

    def forward(self, input: InputT) -> InputT:
        """Ragged (sum L, F) or padded (N, L, F) -> the same type and shape.

        Raises:
            ShapeError: if the input has no feature axis.
        """
        values: Tensor = input if isinstance(input, Tensor) else input.values
        if values.dim() != (3 if isinstance(input, Tensor) else 2):
            raise ShapeError(
                "the input must be a padded (N, L, F) tensor, or a Ragged with (sum L, F) values. "
                f"Received: {type(input).__name__} of shape {tuple(values.shape)}."
            )
        if not self.training or self.p == 0:
            return input
        if isinstance(input, Ragged):
            mask = draw_mask((input.num_rows, values.shape[-1]), self.p, values)
            return input.with_values(values * mask[input.sorted_indices[input.rows_index()]])
        num_rows = input.shape[0 if self.batch_first else 1]
        shape = (num_rows, 1, input.shape[2]) if self.batch_first else (1, num_rows, input.shape[2])
        return input * draw_mask(shape, self.p, input)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"p={self.p}" + ("" if self.batch_first else ", batch_first=False")


class WordDropout(nn.Module):
    """Drop whole positions: every feature of a step to zero with probability ``p``, the rest scaled by ``1 / (1 - p)``.

    Source: M. Iyyer et al., "Deep Unordered Composition Baselines Syntactic Methods for Text Classification", ACL 2015,
    section 3.1. Deviation: positions are zeroed and the rest rescaled, where the paper leaves words out of an average.

    Args:
        p: probability in [0, 1] of dropping a position. Only while training.

    Example:
        >>> WordDropout(1.0)(torch.ones(2, 3, 4)).sum()
        tensor(0.)
    """

    def __init__(self, p: float = 0.1) -> None:
        super().__init__()
        check_probability(p=p)
        self.p = p

    def forward(self, input: InputT) -> InputT:
        """Ragged (sum L, F) or padded (N, L, F) -> the same type and shape; the last axis is the features."""
        if not self.training or self.p == 0:
            return input
        values: Tensor = input if isinstance(input, Tensor) else input.values
        dropped = values * draw_mask((*values.shape[:-1], 1), self.p, values)
        return dropped if isinstance(input, Tensor) else input.with_values(dropped)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"p={self.p}"


def draw_mask(shape: tuple[int, ...], p: float, like: Tensor) -> Tensor:
    """Zeros with probability ``p``, else ``1 / (1 - p)``."""
    keep = torch.empty(shape, dtype=like.dtype, device=like.device).bernoulli_(1 - p)
    return keep if p == 1 else keep.div_(1 - p)
