"""Single answers of models that give one at each step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ostinato.arrays import Offsets
from ostinato.probes.recurrences import Recurrence
from ostinato.probes.subject import Subject
from ostinato.types import Ragged


def drawn_steps(lengths: Offsets, count: int, seed: int) -> tuple[Offsets, Tensor, Tensor]:
    """A random sample of answers (seeded), each as likely as any other, in their order.

    Args:
        lengths: answers of each row.
        count: how many to draw.
        seed: of the draw.

    Returns:
        The rows that are read for them; for each answer its number among those; and its step.
    """
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    random = np.random.default_rng(seed)
    picked = np.sort(random.choice(total, size=min(count, total), replace=False)).astype(np.int64)
    rows = np.searchsorted(ends, picked, side="right").astype(np.int64)
    read, places = np.unique(rows, return_inverse=True)
    return read, torch.from_numpy(places), torch.from_numpy(picked - (ends - lengths)[rows])


def at_steps(values: Ragged, rows: Tensor, steps: Tensor) -> Tensor:
    """(M, ...): the value of each row at a step."""
    places = (values.lengths.cumsum(0) - values.lengths)[rows] + steps
    return values.row_major()[places.to(values.device)]


def step_subject(
    part: Recurrence, rows: Tensor, places: Tensor, loss: Callable[[Ragged], Tensor], side_by_side: int = 1
) -> Subject:
    """Single answers, each at the end of a row of what was read before it, or, where the layers read in both
    directions, within its whole row.

    Args:
        part: the recurrence.
        rows: (M,), of each answer the row of the recurrence.
        places: (M,), and the step.
        loss: of each answer.
        side_by_side: rows of the recurrence to each row of the data.
    """
    if part.stacks[0].bidirectional:
        lengths = part.inputs.lengths[rows]
        taken = part.take(rows, torch.zeros_like(lengths), lengths)
        return Subject(taken.stacks, taken.inputs, loss, per_step=True, initial=taken.initial, places=places)
    own = (rows.unsqueeze(1) * side_by_side + torch.arange(side_by_side)).flatten()
    taken = part.take(own, torch.zeros_like(own), (places + 1).repeat_interleave(side_by_side))
    return Subject(taken.stacks, taken.inputs, loss, per_step=True, initial=taken.initial)
