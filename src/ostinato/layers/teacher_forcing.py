"""Decoder inputs in training: the true steps (teacher forcing), or some of its own (scheduled sampling)."""

from __future__ import annotations

import torch
from torch import Tensor

from ostinato.data.vocabulary import END_ID
from ostinato.types import Ragged


def shifted(targets: Ragged, closing: float = END_ID) -> tuple[Ragged, Ragged]:
    """Decoder inputs, the closing step followed by the target's, and decoder targets, the target's steps followed by
    the closing one.

    Args:
        targets: (sum T,) ids, or (sum T, C) frames.
        closing: of ids `<end>`; of frames the number that the one before the first is filled with.
    """
    flat, lengths = targets.row_major(), targets.lengths
    flat = flat if flat.is_floating_point() else flat.long()
    rows = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    places = (torch.arange(len(rows)) + rows).to(flat.device)
    read, wanted = (flat.new_full((len(flat) + len(lengths), *flat.shape[1:]), closing) for _ in range(2))
    read[places + 1] = flat
    wanted[places] = flat
    starts = lengths.cumsum(0) - lengths + torch.arange(len(lengths))
    order = Ragged.from_rows(torch.arange(len(read), device=flat.device), starts, lengths + 1)
    return order.with_values(read[order.values]), order.with_values(wanted[order.values])


def sampled_share(final: float, steps: int, step: int) -> float:
    """The share of own steps among inputs at a step of training: from 0 to `final` linearly in `steps`, then constant.

    Example:
        >>> sampled_share(0.2, 100, 50)
        0.1
    """
    return final * min(1.0, step / steps)


def mixed(inputs: Ragged, guesses: Tensor, share: float) -> Ragged:
    """Inputs, a share of which are replaced by the prediction at the step before; never the first one."""
    own = torch.rand(len(guesses), device=guesses.device) < share
    own &= inputs.times_index() > 0
    own = own.view(-1, *(1,) * (inputs.values.dim() - 1))
    return inputs.with_values(torch.where(own, guesses[inputs.previous_index()], inputs.values))
