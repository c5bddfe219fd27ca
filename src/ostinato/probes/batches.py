"""Batches of some rows, one row at a time, or in another precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ostinato.arrays import Offsets
from ostinato.data.batching import Batch, BucketedBatches
from ostinato.data.dataset import Examples
from ostinato.errors import DataError
from ostinato.types import Ragged


def batch_of(examples: Examples, rows: Offsets) -> Batch:
    """Some examples as one batch.

    Raises:
        DataError: for no rows at all.
    """
    return BucketedBatches(examples, len(rows)).batch(check_some(rows))


def check_some(rows: Offsets) -> Offsets:
    """The same rows. Raises `DataError` for none."""
    if not len(rows):
        raise DataError("a diagnosis needs at least one row with a step. Received: none.")
    return rows


def some_rows(num_rows: int, count: int, seed: int) -> Offsets:
    """A random sample of so many rows (seeded), in their order."""
    random = np.random.default_rng(seed)
    return np.sort(random.choice(num_rows, size=min(count, num_rows), replace=False)).astype(np.int64)


def split_batch(batch: Batch) -> Iterator[Batch]:
    """A batch of each row."""

    def rows(ragged: Ragged) -> list[Ragged]:
        return [Ragged.from_padded(row.unsqueeze(0)) for row in ragged.split_rows()]

    inputs, extra, targets = rows(batch.inputs), {name: rows(one) for name, one in batch.extra.items()}, batch.targets
    wanted = rows(targets) if isinstance(targets, Ragged) else None
    for n, row in enumerate(inputs):
        own = targets[n : n + 1] if isinstance(targets, Tensor) else None if wanted is None else wanted[n]
        yield Batch(row, own, batch.rows[n : n + 1], {name: one[n] for name, one in extra.items()})


def in_dtype(batch: Batch, dtype: torch.dtype) -> Batch:
    """The same batch with its floating-point numbers in `dtype`."""

    def cast_values(ragged: Ragged) -> Ragged:
        values = ragged.values
        return ragged.with_values(values.to(dtype)) if values.is_floating_point() else ragged

    targets = batch.targets
    if isinstance(targets, Ragged):
        targets = cast_values(targets)
    elif targets is not None and targets.is_floating_point():
        targets = targets.to(dtype)
    extra = {name: cast_values(one) for name, one in batch.extra.items()}
    return replace(batch, inputs=cast_values(batch.inputs), targets=targets, extra=extra)


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Set torch's default dtype while the context lasts."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
