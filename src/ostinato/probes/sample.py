"""Rows of unequal length that a model is verified on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ostinato.probes.cases import Loss
from ostinato.types import Ragged

MAX_STEPS = 256


@dataclass(frozen=True)
class Sample:
    """What a model reads in every form, and what its outputs cost.

    Args:
        inputs: rows, (sum L, ...).
        loss: from the outputs to one number, a sum over rows or steps.
    """

    inputs: Ragged
    loss: Loss


def row_limits(num_rows: int, random: np.random.Generator, longest: int) -> NDArray[np.int64]:
    """Lengths of the rows at most: one of a single step, one of all, the others spread between."""
    spread = random.integers(2, max(longest, 2), max(num_rows - 2, 0), endpoint=True)
    return np.concatenate([[1, longest], spread])
