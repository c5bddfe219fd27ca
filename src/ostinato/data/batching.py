"""Batches of rows of similar length, shuffled by seed: which rows go together depends on (seed, epoch) only.

So a run that stops in the middle of an epoch goes on with exactly the batches that were left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from ostinato.arrays import Offsets
from ostinato.data.dataset import Examples
from ostinato.data.sequences import Sequences
from ostinato.errors import ShapeError
from ostinato.types import Ragged

_POOL_BATCHES = 50


@dataclass(frozen=True)
class Batch:
    """Rows for one step.

    inputs: of the input column, packed time-major, (sum L, ...); targets: one value a row, (N,) or (N, labels), or
    sequences; rows: the numbers of the examples; extra: further columns by name (one that is no sequence has one value
    a row: `select_first()` is (N, ...)); step: of training, how many came before.
    """

    inputs: Ragged
    targets: Tensor | Ragged | None
    rows: Offsets
    extra: Mapping[str, Ragged] = field(default_factory=dict)
    step: int = 0

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        targets = None if self.targets is None else self.targets.to(device)
        extra = {name: one.to(device) for name, one in self.extra.items()}
        return replace(self, inputs=self.inputs.to(device), targets=targets, extra=extra)

    @property
    def row_targets(self) -> Tensor:
        """One value a row. Raises `ShapeError` where targets are sequences, or there are none."""
        if not isinstance(self.targets, Tensor):
            raise ShapeError(f"targets must be one value a row. Received: {type(self.targets).__name__}.")
        return self.targets

    @property
    def sequence_targets(self) -> Ragged:
        """Sequences. Raises `ShapeError` where targets are one value a row, or there are none."""
        if not isinstance(self.targets, Ragged):
            raise ShapeError(f"targets must be sequences. Received: {type(self.targets).__name__}.")
        return self.targets


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
        lengths, others = self.examples.sequences.lengths, self._target_lengths()
        if not self.shuffle:
            rows = np.lexsort((others, lengths))
            return [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]
        random = np.random.default_rng([self.seed, epoch])
        rows = random.permutation(len(lengths))
        pool = self.batch_size * _POOL_BATCHES
        batches: list[Offsets] = []
        for start in range(0, len(rows), pool):
            part = rows[start : start + pool]
            part = part[np.lexsort((others[part], lengths[part]))]
            batches += [part[i : i + self.batch_size] for i in range(0, len(part), self.batch_size)]
        return [batches[i] for i in random.permutation(len(batches))]

    def _target_lengths(self) -> Offsets:
        """What rows of equally long inputs are sorted by."""
        targets = self.examples.targets
        return targets.lengths if isinstance(targets, Sequences) else np.zeros(len(self.examples), dtype=np.int64)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch number `start` on."""
        for rows in self.order(epoch)[start:]:
            yield self.batch(rows)

    def batch(self, rows: Offsets) -> Batch:
        """The batch of some rows: packed once, while they are still integers or raw frames."""
        examples = self.examples
        targets: Tensor | Ragged | None = None
        if isinstance(examples.targets, Sequences):
            targets = _packed(examples.targets, rows)
        elif examples.targets is not None:
            targets = torch.from_numpy(np.ascontiguousarray(examples.targets[rows]))
        extra = {name: _packed(one, rows) for name, one in examples.extra.items()}
        return Batch(_packed(examples.sequences, rows), targets, rows, extra)


def _packed(sequences: Sequences, rows: Offsets) -> Ragged:
    starts = sequences.offsets[rows]
    return Ragged.from_rows(sequences.values, starts, sequences.offsets[rows + 1] - starts)
