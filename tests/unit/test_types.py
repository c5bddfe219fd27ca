"""Ragged: every constructor and view, against a plain Python list of rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence

from ostinato.errors import ShapeError
from ostinato.types import Ragged

LENGTHS = [[3, 5, 1], [0, 4, 0, 2, 4], [1], [2, 2, 2], [0, 0], [7, 0, 1, 7, 3, 2]]


def make_rows(lengths: list[int], *features: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(len(lengths))
    return [torch.randn(length, *features, generator=generator) for length in lengths]


def pack(rows: list[torch.Tensor]) -> Ragged:
    lengths = torch.tensor([len(row) for row in rows])
    return Ragged.from_rows(torch.cat(rows), lengths.cumsum(0) - lengths, lengths)


def assert_rows(ragged: Ragged, rows: list[torch.Tensor]) -> None:
    found = ragged.split_rows()
    assert len(found) == len(rows)
    for row, expected in zip(found, rows, strict=True):
        torch.testing.assert_close(row, expected, rtol=0, atol=0)


def test_packed_order_is_time_major_and_stable():
    ragged = Ragged.from_rows(torch.arange(9), starts=[0, 2, 4, 4], lengths=[2, 2, 0, 5])
    assert ragged.values.tolist() == [4, 0, 2, 5, 1, 3, 6, 7, 8]
    assert ragged.batch_sizes.tolist() == [3, 3, 1, 1, 1]
    assert ragged.sorted_indices.tolist() == [3, 0, 1, 2]
    assert ragged.unsorted_indices.tolist() == [1, 2, 3, 0]
    assert ragged.lengths.tolist() == [2, 2, 0, 5]
    assert ragged.rows_index().tolist() == [0, 1, 2, 0, 1, 2, 0, 0, 0]
    assert ragged.times_index().tolist() == [0, 0, 0, 1, 1, 1, 2, 3, 4]
    assert (ragged.num_rows, ragged.max_length) == (4, 5)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("features", [(), (3,), (2, 3)])
def test_rows_survive_packing(lengths, features):
    rows = make_rows(lengths, *features)
    assert_rows(pack(rows), rows)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("extra", [0, 2])
def test_padded_round_trip_never_reads_padding(lengths, batch_first, extra):
    rows = make_rows(lengths, 3)
    padded = torch.full((len(rows), max(lengths) + extra, 3), torch.nan)
    for row, values in enumerate(rows):
        padded[row, : len(values)] = values
    source = padded if batch_first else padded.transpose(0, 1)
    ragged = Ragged.from_padded(source, lengths, batch_first)
    assert_rows(ragged, rows)
    back, found = ragged.to_padded(batch_first, padding_value=-7.0, total_length=max(lengths) + extra)
    torch.testing.assert_close(back, source.nan_to_num(nan=-7.0), rtol=0, atol=0)
    assert found.tolist() == lengths


@pytest.mark.parametrize("lengths", [lengths for lengths in LENGTHS if min(lengths)])
def test_same_layout_as_packed_sequence(lengths):
    rows = make_rows(lengths, 3)
    theirs = pack_sequence(rows, enforce_sorted=False)
    ours = pack(rows).to_packed()
    assert torch.equal(ours.data, theirs.data)
    assert torch.equal(ours.batch_sizes, theirs.batch_sizes)
    assert_rows(Ragged.from_packed(theirs), rows)
    assert Ragged.from_packed(theirs).values is theirs.data
    assert Ragged.from_packed(theirs).lengths.tolist() == lengths


def test_packed_sequence_that_was_sorted_already():
    packed = pack_padded_sequence(torch.arange(6.0).view(3, 2, 1), torch.tensor([3, 2]))
    ragged = Ragged.from_packed(packed)
    assert ragged.lengths.tolist() == [3, 2]
    assert [row.flatten().tolist() for row in ragged.split_rows()] == [[0, 2, 4], [1, 3]]


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("shape", [(3, 4, 2), (3, 0, 2), (0, 4, 2), (1, 1)])
def test_without_lengths_every_row_is_full(shape, batch_first):
    padded = torch.randn(shape)
    source = padded if batch_first else padded.transpose(0, 1)
    full, counted = (
        Ragged.from_padded(source, None, batch_first),
        Ragged.from_padded(source, [shape[1]] * shape[0], batch_first),
    )
    for ragged in (full, counted):
        assert_rows(ragged, list(padded))
        assert ragged.batch_sizes.tolist() == ([shape[0]] * shape[1] if shape[0] else [])
        assert torch.equal(ragged.to_padded(batch_first, total_length=shape[1])[0], source)


def test_equal_lengths_in_a_foreign_order():
    packed = pack_sequence(make_rows([2, 2, 2], 1), enforce_sorted=False)
    order = torch.tensor([2, 0, 1])
    ragged = Ragged(packed.data, packed.batch_sizes, order, torch.argsort(order), torch.tensor([2, 2, 2]))
    expected = torch.stack(ragged.split_rows())
    assert torch.equal(ragged.to_padded()[0], expected)
    assert torch.equal(ragged.to_padded(batch_first=False)[0], expected.transpose(0, 1))


@pytest.mark.parametrize("lengths", LENGTHS)
def test_reversal_is_an_involution(lengths):
    rows = make_rows(lengths, 2)
    ragged = pack(rows)
    assert_rows(ragged.reversed(), [row.flip(0) for row in rows])
    index = ragged.reverse_index()
    assert torch.equal(index[index], torch.arange(len(index)))


@pytest.mark.parametrize("lengths", LENGTHS)
def test_row_major_and_ends(lengths):
    rows = make_rows(lengths, 2)
    ragged = pack(rows)
    zero = torch.zeros(2)
    assert torch.equal(ragged.row_major(), torch.cat(rows))
    assert torch.equal(ragged.values[ragged.row_major_index()], torch.cat(rows))
    assert torch.equal(ragged.select_last(), torch.stack([row[-1] if len(row) else zero for row in rows]))
    assert torch.equal(ragged.select_first(), torch.stack([row[0] if len(row) else zero for row in rows]))


@pytest.mark.parametrize("view", ["row_major", "reversed", "select_last", "select_first", "to_padded", "from_padded"])
def test_gradients_of_the_views(view):
    ragged = pack(make_rows([2, 0, 3, 1], 2))

    def run(values: torch.Tensor) -> torch.Tensor:
        if view == "from_padded":
            return Ragged.from_padded(values, [2, 0, 3, 1]).values
        out = getattr(ragged.with_values(values), view)()
        return out.values if isinstance(out, Ragged) else out[0] if isinstance(out, tuple) else out

    shape = (4, 3, 2) if view == "from_padded" else (6, 2)
    values = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    assert torch.equal(run(values), run(values.detach()))
    assert torch.autograd.gradcheck(run, (values,))
    assert torch.autograd.gradgradcheck(run, (values,))


def test_numpy_rows_and_memory_maps(tmp_path):
    path = tmp_path / "ids.npy"
    np.save(path, np.arange(10, dtype=np.uint16))
    ragged = Ragged.from_rows(np.load(path, mmap_mode="r"), np.array([4, 0]), np.array([1, 3]))
    assert ragged.values.dtype == torch.int64
    assert [row.tolist() for row in ragged.split_rows()] == [[4], [0, 1, 2]]
    assert Ragged.from_rows(np.zeros((4, 2), np.float32), [0], [4]).values.dtype == torch.float32


def test_overlapping_rows_and_offsets():
    assert [row.tolist() for row in Ragged.from_rows(torch.arange(4), [1, 0], [3, 3]).split_rows()] == [
        [1, 2, 3],
        [0, 1, 2],
    ]
    assert [row.tolist() for row in Ragged.from_offsets(torch.arange(4), [0, 0, 3, 4]).split_rows()] == [
        [],
        [0, 1, 2],
        [3],
    ]


def test_structure_is_computed_once_and_shared():
    ragged = pack(make_rows([2, 3], 2))
    index = ragged.reverse_index()
    assert ragged.with_values(torch.zeros(5, 7)).reverse_index() is index
    assert ragged.with_values(torch.zeros(5)).batch_sizes is ragged.batch_sizes
    assert ragged.to("cpu") is ragged
    moved = ragged.to("meta")
    assert moved.values.device.type == "meta"
    assert moved.reverse_index().device.type == "meta"
    assert ragged.reverse_index() is index


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: pack(make_rows([2, 0])).to_packed(),
            "Received: 1 of 2 rows are empty.\nhint: leave the empty rows out",
        ),
        (lambda: pack(make_rows([2, 1])).with_values(torch.zeros(4)), r"sum(lengths) = 3 values along its first axis"),
        (lambda: Ragged.from_rows(torch.zeros(3), [0, 2], [2, 2]), "Received: row 1 from 2 to 4."),
        (
            lambda: Ragged.from_rows(torch.zeros(3), [0], [2, 1]),
            "`starts` and `lengths` must have one entry a row each",
        ),
        (lambda: Ragged.from_rows(torch.zeros(3), [0], [-1]), "`lengths` must not be negative. Received: -1."),
        (lambda: Ragged.from_rows(torch.zeros(3), [0], [1.5]), "`lengths` must be a list of integers."),
        (lambda: Ragged.from_rows(torch.zeros(3), [[0]], [1]), "`starts` must be a list of integers."),
        (
            lambda: Ragged.from_offsets(torch.zeros(3), [0, 2, 1]),
            "`offsets` must be N + 1 integers that never decrease.",
        ),
        (lambda: Ragged.from_offsets(torch.zeros(3), []), "`offsets` must be N + 1 integers that never decrease."),
        (
            lambda: Ragged.from_padded(torch.zeros(2, 3), [4, 1]),
            "3 steps of the time axis. Received: 4 (row 0).\nhint:",
        ),
        (lambda: Ragged.from_padded(torch.zeros(2, 3), [1]), "`lengths` must have one entry for each of 2 rows."),
        (lambda: Ragged.from_padded(torch.zeros(2), [1]), "`padded` must have a batch and a time axis."),
        (lambda: pack(make_rows([2, 1])).to_padded(total_length=1), "at least the longest row, 2. Received: 1."),
    ],
)
def test_error_texts(make, message):
    with pytest.raises(ShapeError) as error:
        make()
    assert message in str(error.value)
