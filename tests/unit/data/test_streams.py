"""Sequences on streams: contiguous, every step once, cut exactly where a sequence ends, states kept apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data.streams import Tapes, Window

SIZES = [(2, 1, 1), (2, 8, 5), (3, 1, 5), (3, 2, 1), (7, 2, 3), (50, 4, 3), (100, 3, 100), (101, 7, 4)]


def _windows(tapes: Tapes, steps: int) -> list[Window]:
    return [tapes.window(start, start + steps) for start in range(0, tapes.length, steps)]


@pytest.mark.parametrize(("count", "num_streams", "steps"), SIZES)
@pytest.mark.parametrize("shift", [0, 1, 13])
def test_a_text_is_read_once_in_contiguous_streams(count: int, num_streams: int, steps: int, shift: int) -> None:
    length = count // max(1, min(num_streams, count // 2))
    tapes = Tapes.of_text(count, num_streams, shift=shift % length)
    values, streams = np.arange(count), tapes.num_streams
    last: dict[int, int] = {}
    predicted: list[int] = []
    for window in _windows(tapes, steps):
        inputs, targets = window.take(values).split_rows(), window.take(values, 1).split_rows()
        for piece, (row, after) in enumerate(zip(inputs, targets, strict=True)):
            stream = int(window.pieces.streams[piece])
            assert row.tolist() == list(range(int(row[0]), int(row[0]) + len(row)))
            assert torch.equal(after, row + 1)
            if not window.pieces.begins[piece]:
                assert int(row[0]) == last[stream] + 1  # it goes on where the piece before ended
            last[stream] = int(row[-1])
            predicted += after.tolist()
    assert len(predicted) == len(set(predicted))
    firsts = {(shift % length + stream * length) % (length * streams) for stream in range(streams)}
    assert set(predicted) == set(range(length * streams)) - firsts - {0}
    assert count - streams * length < streams


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_values_make_no_window(count: int) -> None:
    assert Tapes.of_text(count, 4).length == 0


def test_documents_begin_inside_windows() -> None:
    tapes = Tapes.of_text(20, 2, begins=np.array([3, 4, 13]))
    assert tapes.window(0, 5).take(np.arange(20)).lengths.tolist() == [3, 1, 1, 3, 2]
    found = [(w.pieces.streams.tolist(), w.pieces.begins.tolist()) for w in _windows(tapes, 5)]
    assert found[0] == ([0, 0, 0, 1, 1], [True] * 5)
    assert found[1] == ([0, 1], [False, False])


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    num_streams=st.integers(1, 4),
    steps=st.integers(1, 7),
    seed=st.integers(0, 9),
)
def test_rows_whole_and_once_whatever_the_window(lengths: list[int], num_streams: int, steps: int, seed: int) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    order = np.random.default_rng(seed).permutation(len(lengths))
    tapes = Tapes.of_rows(offsets, order, num_streams)
    read: dict[int, list[int]] = {row: [] for row in range(len(lengths))}
    begun: list[int] = []
    ended: list[int] = []
    for window in _windows(tapes, steps):
        pieces = window.pieces
        assert (np.diff(pieces.streams) >= 0).all()
        assert (pieces.at >= window.start).all()
        assert (pieces.at + pieces.lengths <= window.stop).all()
        for piece, row in enumerate(window.take(np.arange(sum(lengths))).split_rows()):
            read[int(pieces.rows[piece])] += row.tolist()
            begun += [int(pieces.rows[piece])] * bool(pieces.begins[piece])
            ended += [int(pieces.rows[piece])] * bool(pieces.ends[piece])
    assert sorted(begun) == sorted(ended) == list(range(len(lengths)))
    assert all(read[row] == list(range(offsets[row], offsets[row + 1])) for row in read)


@settings(deadline=None, max_examples=60)
@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=12), steps=st.integers(1, 5), part=st.integers(1, 4))
def test_a_window_split_up_is_the_smaller_windows(lengths: list[int], steps: int, part: int) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tapes = Tapes.of_rows(offsets, np.arange(len(lengths)), 2)
    for window in _windows(tapes, steps):
        for small in window.split(part):
            direct = tapes.window(small.start, small.stop)
            for name in ("offsets", "at", "lengths", "streams", "rows", "begins", "ends"):
                assert getattr(small.pieces, name).tolist() == getattr(direct.pieces, name).tolist()


def test_states_enter_pieces_that_go_on_and_leave_with_the_last_of_each_stream() -> None:
    offsets = np.array([0, 5, 6, 8, 14])
    tapes = Tapes.of_rows(offsets, np.arange(4), 2)  # 5 1 2 | 6
    window = tapes.window(4, 8)
    assert window.pieces.streams.tolist() == [0, 0, 0, 1]
    before = [(torch.tensor([[[1.0], [2.0]]]),)]
    assert window.enter(before)[0][0].flatten().tolist() == [1.0, 0.0, 0.0, 2.0]
    finals = [(torch.tensor([[[10.0], [20.0], [30.0], [40.0]]]),)]
    assert window.leave(before, finals)[0][0].flatten().tolist() == [30.0, 40.0]
    late = tapes.window(6, 8)
    assert late.pieces.streams.tolist() == [0]  # the second stream has ended
    assert late.leave(before, [(torch.tensor([[[5.0]]]),)])[0][0].flatten().tolist() == [5.0, 2.0]
    assert torch.isfinite(tapes.window(0, 3).enter([(torch.full((1, 2, 1), torch.nan),)])[0][0]).all()
