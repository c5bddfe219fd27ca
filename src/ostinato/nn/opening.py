"""What a layer is handed, packed, and what makes values in that structure the input's own kind again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ostinato.errors import ShapeError
from ostinato.nn.checks import check_axes
from ostinato.packing import Counts
from ostinato.types import Ragged, State

TokensT = TypeVar("TokensT", Tensor, Ragged)
SequencesT = TypeVar("SequencesT", Tensor, PackedSequence, Ragged)


def state_of(hx: Tensor | State) -> State:
    """A layer's state as a tuple, however a stack returned it."""
    return hx if isinstance(hx, tuple) else (hx,)


def hx_of(state: State) -> Tensor | State:
    """What a stack takes and gives back: of a single tensor that alone."""
    return state if len(state) > 1 else state[0]


def values_of(input: Tensor | PackedSequence | Ragged) -> Tensor:
    """The numbers alone, as they are stored."""
    if isinstance(input, Tensor):
        return input
    if isinstance(input, PackedSequence):
        return input.data
    if isinstance(input, Ragged):
        return input.values
    raise ShapeError(f"the input must be a tensor, a PackedSequence or a Ragged. Received: {type(input).__name__}.")


def open_padded(
    input: TokensT, lengths: Counts | None, batch_first: bool
) -> tuple[Ragged, Callable[[Ragged], TokensT]]:
    """A padded batch packed, or a Ragged as it is, and the way back."""
    if isinstance(input, Ragged):
        return input, lambda ragged: ragged
    num_rows, num_steps = input.shape[:2] if batch_first else (input.shape[1], input.shape[0])
    packed = Ragged.from_padded(input, lengths, batch_first)
    if lengths is not None:
        return packed, lambda ragged: ragged.to_padded(batch_first, total_length=num_steps)[0]

    def restore(ragged: Ragged) -> Tensor:
        dense = _apart(ragged.values, (num_steps, num_rows, ragged.values.shape[1]))
        return dense.transpose(0, 1) if batch_first else dense

    return packed, restore


def open_input(
    input: SequencesT, lengths: Counts | None, batch_first: bool, dtype: torch.dtype
) -> tuple[Ragged, Callable[[Ragged], SequencesT]]:
    """As ``open_padded``, of a PackedSequence and of one row (L, I) too; packed in ``dtype``, and back in its own.

    Raises:
        ShapeError: if the input has another number of axes, or ``lengths`` don't go with it.
    """
    if lengths is not None and not (isinstance(input, Tensor) and input.dim() == 3):
        raise ShapeError(
            "`lengths` goes with a padded 3-D tensor. "
            f"Received: {f'a {input.dim()}-D tensor' if isinstance(input, Tensor) else type(input).__name__}."
        )
    own = values_of(input).dtype
    if own != dtype:
        same = input.with_values(input.values.to(dtype)) if isinstance(input, Ragged) else input.to(dtype)
        packed, restore = open_input(same, lengths, batch_first, dtype)
        return packed, lambda ragged: restore(ragged.with_values(ragged.values.to(own)))
    if isinstance(input, PackedSequence):
        return Ragged.from_packed(input), lambda ragged: input._replace(data=_apart(ragged.values, ragged.values.shape))
    if isinstance(input, Ragged) or input.dim() == 3:
        return open_padded(input, lengths, batch_first)
    check_axes(input)
    return Ragged.from_padded(input.unsqueeze(0)), lambda ragged: _apart(ragged.values, ragged.values.shape)


def _apart(values: Tensor, shape: Sequence[int]) -> Tensor:
    """As ``view``; in memory of its own where the backward pass still needs the values, so that they may be changed."""
    if values.requires_grad and not torch.compiler.is_compiling():
        return torch.view_copy(values, shape)
    return values.view(shape)
