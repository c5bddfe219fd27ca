"""Ragged rows of integers, against plain loops; spilling to a file."""

from __future__ import annotations

import errno

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data.io import spool as module
from ostinato.data.io.spool import Spool
from ostinato.data.sequences import Sequences
from ostinato.errors import DataError

ROWS = st.lists(st.lists(st.integers(0, 99), max_size=9), max_size=9)


def _sequences(rows: list[list[int]]) -> Sequences:
    values = np.asarray([v for row in rows for v in row], dtype=np.int32)
    return Sequences.from_lengths(values, np.asarray([len(row) for row in rows], dtype=np.int64))


def _rows(sequences: Sequences) -> list[list[int]]:
    return [sequences.row(i).tolist() for i in range(len(sequences))]


def _cut(row: list[int], most: int, cut: str) -> list[int]:
    if len(row) <= most:
        return row
    if cut == "tail":
        return row[:most]
    if cut == "head":
        return row[len(row) - most :]
    front = most - most // 2
    return row[:front] + row[len(row) - (most - front) :]


@settings(max_examples=200, deadline=None)
@given(ROWS, st.none() | st.integers(1, 8), st.sampled_from(["tail", "head", "middle"]))
def test_truncate(rows: list[list[int]], most: int | None, cut: str) -> None:
    expected = rows if most is None else [_cut(row, most, cut) for row in rows]
    assert _rows(_sequences(rows).truncate(most, cut)) == expected


@settings(max_examples=200, deadline=None)
@given(ROWS.filter(bool), st.data(), st.sampled_from([1, 3, 1 << 23]))
def test_take(rows: list[list[int]], data: st.DataObject, step: int) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=12))
    before = module._STEP_BYTES
    module._STEP_BYTES = 4 * step
    try:
        taken = _sequences(rows).take(np.asarray(chosen, dtype=np.int64))
    finally:
        module._STEP_BYTES = before
    assert _rows(taken) == [rows[i] for i in chosen]
    assert taken.values.dtype == np.int32
    assert taken.lengths.tolist() == [len(rows[i]) for i in chosen]


@pytest.mark.parametrize("spill_bytes", [0, 40, 1 << 30])
def test_spilled_to_a_file_is_the_same_as_in_memory(monkeypatch: pytest.MonkeyPatch, spill_bytes: int) -> None:
    monkeypatch.setattr(module, "SPILL_BYTES", spill_bytes)
    parts = [np.arange(n, dtype=np.int32) % 7 for n in (3, 0, 11, 5, 1)]
    spool = Spool()
    for part in parts:
        spool.add(part)
    whole = np.concatenate(parts)
    assert spool.finish().tolist() == whole.tolist()
    table = np.asarray([10, 20, 30, 40, 50, 60, 70], dtype=np.int32)
    mapped = spool.finish(table)  # the features first look at the raw integers, then map them
    assert mapped.tolist() == table[whole].tolist()
    assert (mapped.base is not None) == (spill_bytes < 1000)  # in a file that is mapped, or in memory of its own
    assert mapped.dtype == np.int32


def test_where_no_temporary_file_can_be_written_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "SPILL_BYTES", 0)
    monkeypatch.setattr(module.os, "posix_fallocate", full)
    with pytest.raises(DataError, match="No space left on device") as found:
        module.blank((3,), np.int32)
    assert "TMPDIR" in str(found.value.hint)
    monkeypatch.setattr(module.tempfile, "TemporaryFile", full)
    with pytest.raises(DataError, match="No space left on device"):
        Spool().add(np.arange(3))


def test_nothing_spooled() -> None:
    assert Spool().finish().tolist() == []
