"""Windows of one long sequence: contiguous, and every value predicted once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ostinato.data.streams import Windows

SIZES = [(2, 1, 1), (2, 8, 5), (3, 1, 5), (3, 2, 1), (7, 2, 3), (50, 4, 3), (100, 3, 100), (101, 7, 4)]


@pytest.mark.parametrize(("count", "batch_size", "bptt"), SIZES)
@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_windows(count: int, batch_size: int, bptt: int, epoch: int) -> None:
    windows = Windows(np.arange(count, dtype=np.int32), batch_size, bptt)
    found = list(windows.epoch(epoch))
    assert len(found) == len(windows)
    streams, length = windows.batch_size, windows.stream_length
    last = None
    for inputs, targets in found:
        assert inputs.shape == targets.shape
        assert 1 <= inputs.shape[0] <= bptt
        assert inputs.shape[1] == streams
        assert inputs.dtype == torch.int64
        assert ((inputs + 1) % (streams * length) == targets).all()
        if last is not None:
            assert torch.equal(inputs[0], last)  # this window goes on where the one before ended
        last = targets[-1]
    predicted = torch.cat([targets.flatten() for _, targets in found]).tolist()
    assert len(predicted) == len(set(predicted)) == streams * (length - 1)
    if epoch == 0:
        starts = {stream * length for stream in range(streams)}
        assert set(predicted) == set(range(streams * length)) - starts
    assert count - streams * length < streams


def test_one_stream_leaves_nothing_out() -> None:
    windows = Windows(np.arange(11, dtype=np.int32), 1, 4)
    assert [t.flatten().tolist() for _, t in windows.epoch(0)] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


def test_the_same_by_seed_and_epoch_and_from_any_window_on() -> None:
    windows = Windows(np.arange(1000, dtype=np.int32), 8, 10, seed=3)
    whole = list(windows.epoch(2))
    for (inputs, targets), (again, targets_again) in zip(whole[5:], windows.epoch(2, start=5), strict=True):
        assert torch.equal(inputs, again)
        assert torch.equal(targets, targets_again)
    firsts = {tuple(next(windows.epoch(epoch))[0][0].tolist()) for epoch in range(10)}
    assert len(firsts) > 5


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_values_make_no_window(count: int) -> None:
    windows = Windows(np.arange(count, dtype=np.int32), 4, 10)
    assert len(windows) == 0
    assert list(windows.epoch(1)) == []
