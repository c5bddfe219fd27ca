"""Bucketed batches: each row once, the same again by (seed, epoch), similar lengths."""

from __future__ import annotations

import numpy as np
import pytest

from ostinato.data.batching import Batch, BucketedBatches
from ostinato.data.dataset import Examples
from ostinato.data.places import Places
from ostinato.data.sequences import Sequences


def _examples(count: int = 1003, targets: bool = True) -> Examples:
    random = np.random.default_rng(0)
    lengths = random.integers(0, 200, count)
    values = random.integers(3, 50, lengths.sum()).astype(np.int32)
    rows = np.arange(count)
    return Examples(Sequences.from_lengths(values, lengths), rows % 2 if targets else None, Places(), rows)


def _equal(one: Batch, other: Batch) -> bool:
    return one.rows.tolist() == other.rows.tolist() and bool((one.inputs.values == other.inputs.values).all())


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 32, 5000])
def test_each_row_exactly_once(shuffle: bool, batch_size: int) -> None:
    batches = BucketedBatches(_examples(), batch_size, shuffle=shuffle)
    order = batches.order(3)
    assert len(order) == len(batches)
    assert sorted(np.concatenate(order).tolist()) == list(range(1003))
    assert all(len(rows) <= batch_size for rows in order)


def test_a_batch_holds_its_rows_and_targets() -> None:
    examples = _examples(50)
    for batch in BucketedBatches(examples, 8, shuffle=True, seed=5).epoch(0):
        assert [row.tolist() for row in batch.inputs.split_rows()] == [
            examples.sequences.row(int(i)).tolist() for i in batch.rows
        ]
        assert batch.targets is not None
        assert batch.targets.tolist() == (batch.rows % 2).tolist()
    assert next(BucketedBatches(_examples(3, targets=False), 2).epoch(0)).targets is None


def test_the_same_by_seed_and_epoch_and_another_otherwise() -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        return [rows.tolist() for rows in BucketedBatches(_examples(), 32, shuffle=True, seed=seed).order(epoch)]

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)
    assert order(1, 2) != order(2, 1)


def test_an_epoch_goes_on_where_it_stopped() -> None:
    batches = BucketedBatches(_examples(), 32, shuffle=True)
    whole = list(batches.epoch(1))
    rest = list(batches.epoch(1, start=20))
    assert len(rest) == len(whole) - 20
    assert all(map(_equal, rest, whole[20:]))
    assert list(batches.epoch(1, start=len(batches))) == []


def test_rows_of_a_batch_are_of_similar_length() -> None:
    examples = _examples(10_000)
    lengths = examples.sequences.lengths
    spreads = [float(np.ptp(lengths[rows])) for rows in BucketedBatches(examples, 32, shuffle=True).order(0)]
    assert np.mean(spreads) < 10  # of 200
    means = [float(lengths[rows].mean()) for rows in BucketedBatches(examples, 32, shuffle=True).order(0)]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.2  # batches themselves are shuffled
