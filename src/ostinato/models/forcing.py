"""What a decoder reads in training: true tokens (teacher forcing), or some of its own (scheduled sampling)."""

from __future__ import annotations

import torch
from torch import Tensor

from ostinato.data.vocabulary import END_ID
from ostinato.types import Ragged


def shifted(targets: Ragged) -> tuple[Ragged, Ragged]:
    """What a decoder reads, `<end>` and then the tokens, and what it must say, the tokens and then `<end>`."""
    flat, lengths = targets.row_major().long(), targets.lengths
    rows = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    places = (torch.arange(len(rows)) + rows).to(flat.device)
    both = flat.new_full((len(flat) + len(lengths), 2), END_ID)
    both[places + 1, 0] = flat
    both[places, 1] = flat
    starts = lengths.cumsum(0) - lengths + torch.arange(len(lengths))
    packed = Ragged.from_rows(both, starts, lengths + 1)
    return packed.with_values(packed.values[:, 0].contiguous()), packed.with_values(packed.values[:, 1].contiguous())


def sampled_share(final: float, steps: int, step: int) -> float:
    """The share of own tokens among inputs at a step of training: from 0 to `final` linearly in `steps`, then constant.

    Example:
        >>> sampled_share(0.2, 100, 50)
        0.1
    """
    return final * min(1.0, step / steps)


def mixed(inputs: Ragged, guesses: Tensor, share: float) -> Ragged:
    """Inputs, of which a share are replaced by what was guessed at the step before; never the opening `<end>`."""
    own = torch.rand(len(guesses), device=guesses.device) < share
    own &= inputs.times_index() > 0
    return inputs.with_values(torch.where(own, guesses[inputs.previous_index()], inputs.values))
