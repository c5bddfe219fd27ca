"""The progress of a run."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Position:
    """The progress of a run; saved with every checkpoint."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    """Batches of this epoch that are done."""
    elapsed_s: float = 0.0
    best: float | None = None
    best_epoch: int = -1
    epochs_without_gain: int = 0
    ended: str = ""
    """Why training is over; empty while it is not."""
    num_rollbacks: int = 0
    """How often training has diverged and gone back to a checkpoint."""
    rate_factor: float = 1.0
    """What the learning rate is multiplied by since."""
