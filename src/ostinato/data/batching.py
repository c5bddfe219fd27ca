"""Batches of rows of similar length, shuffled by seed: which rows stand together depends on (seed, epoch) only.

So a run that stops in the middle of an epoch goes on with exactly the batches that were left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ostinato.data.arrays import Offsets
from ostinato.data.dataset import Examples
from ostinato.types import Ragged

_POOL_BATCHES = 50


@dataclass(frozen=True)
class Batch:
    """Rows for one step. `inputs`: ids packed time-major; `targets`: (N,) or (N, labels); `rows`: example numbers."""

    inputs: Ragged
    targets: Tensor | None
    rows: Offsets


@dataclass(frozen=True)
class BucketedBatches:
    """Batches of `batch_size` rows.

    Training (`shuffle`): rows are shuffled, cut into pools of 50 batches, sorted by length inside a pool and cut into
    batches, which are shuffled again: rows of one batch are of similar length, yet batches differ from epoch to epoch.
    Otherwise: all rows by length, each once.
    """

    examples: Examples
    batch_size: int
    shuffle: bool = False
    seed: int = 0

    def __len__(self) -> int:
        return -(-len(self.examples) // self.batch_size)

    def order(self, epoch: int) -> list[Offsets]:
        """The rows of each batch of an epoch."""
        lengths = self.examples.sequences.lengths
        if not self.shuffle:
            rows = np.argsort(lengths, kind="stable")
            return [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]
        random = np.random.default_rng([self.seed, epoch])
        rows = random.permutation(len(lengths))
        pool = self.batch_size * _POOL_BATCHES
        batches: list[Offsets] = []
        for start in range(0, len(rows), pool):
            part = rows[start : start + pool]
            part = part[np.argsort(lengths[part], kind="stable")]
            batches += [part[i : i + self.batch_size] for i in range(0, len(part), self.batch_size)]
        return [batches[i] for i in random.permutation(len(batches))]

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch number `start` on."""
        for rows in self.order(epoch)[start:]:
            yield self.batch(rows)

    def batch(self, rows: Offsets) -> Batch:
        """The batch of some rows: packed once, while they are still integers."""
        sequences, targets = self.examples.sequences, self.examples.targets
        starts = sequences.offsets[rows]
        inputs = Ragged.from_rows(sequences.values, starts, sequences.offsets[rows + 1] - starts)
        return Batch(inputs, None if targets is None else torch.from_numpy(np.ascontiguousarray(targets[rows])), rows)
