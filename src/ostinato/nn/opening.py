"""What a layer is handed, packed, and what makes values in that structure the input's own kind again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ostinato.errors import ShapeError
from ostinato.packing import Counts
from ostinato.types import Ragged

TokensT = TypeVar("TokensT", Tensor, Ragged)
SequencesT = TypeVar("SequencesT", Tensor, PackedSequence, Ragged)


def values_of(input: Tensor | PackedSequence | Ragged) -> Tensor:
    """The numbers alone, as they are stored."""
    return input if isinstance(input, Tensor) else input.data if isinstance(input, PackedSequence) else input.values


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
        dense = ragged.values.view(num_steps, num_rows, ragged.values.shape[1])
        return dense.transpose(0, 1) if batch_first else dense

    return packed, restore


def open_input(
    input: SequencesT, lengths: Counts | None, batch_first: bool
) -> tuple[Ragged, Callable[[Ragged], SequencesT]]:
    """As ``open_padded``, of a PackedSequence and of one row (L, I) too.

    Raises:
        ShapeError: if the input has another number of axes, or ``lengths`` don't go with it.
    """
    if lengths is not None and not (isinstance(input, Tensor) and input.dim() == 3):
        raise ShapeError(
            "`lengths` goes with a padded 3-D tensor. "
            f"Received: {f'a {input.dim()}-D tensor' if isinstance(input, Tensor) else type(input).__name__}."
        )
    if isinstance(input, PackedSequence):
        return Ragged.from_packed(input), lambda ragged: input._replace(data=ragged.values)
    if isinstance(input, Ragged) or input.dim() == 3:
        return open_padded(input, lengths, batch_first)
    if input.dim() == 2:
        return Ragged.from_padded(input.unsqueeze(0)), lambda ragged: ragged.values
    raise ShapeError(
        f"the input must have 3 axes, or 2 for one row without a batch axis. Received: {tuple(input.shape)}."
    )
