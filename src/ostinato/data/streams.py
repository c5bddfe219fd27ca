"""Contiguous windows of one long sequence, so that a language model's state can be carried from window to window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ostinato.data.arrays import Ids


@dataclass(frozen=True)
class Windows:
    """`values` cut into `batch_size` parallel streams, read `bptt` steps at a time.

    Window k of an epoch continues window k - 1 in every stream: the final state of one is the initial state of the
    next. With `epoch` > 0 the cuts between streams move on (seeded), so that windows do not fall on the same places
    each time; the last stream then goes on at the beginning of `values`. Each value but the first of a stream is
    predicted exactly once an epoch. Up to `batch_size` - 1 values at the end are left out; with one stream none is.
    Fewer than two values make no window.
    """

    values: Ids
    batch_size: int
    bptt: int
    seed: int = 0

    def __post_init__(self) -> None:
        # Few values, many streams: each stream needs at least two values.
        object.__setattr__(self, "batch_size", max(1, min(self.batch_size, len(self.values) // 2)))

    @property
    def stream_length(self) -> int:
        """Values of each stream."""
        return len(self.values) // self.batch_size

    def __len__(self) -> int:
        return -(-max(0, self.stream_length - 1) // self.bptt)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets (L, N) of each window from window number `start` on."""
        length, rows = self.stream_length, np.arange(self.batch_size)
        shift = int(np.random.default_rng([self.seed, epoch]).integers(length)) if epoch and length else 0
        total = length * self.batch_size
        for window in range(start, len(self)):
            steps = np.arange(window * self.bptt, min((window + 1) * self.bptt, length - 1) + 1)
            index = (shift + rows[None, :] * length + steps[:, None]) % total  # (L + 1, N)
            block = torch.from_numpy(self.values[index].astype(np.int64))
            yield block[:-1], block[1:]
