"""Long tables: rows gathered by name and put in order of time, whatever their blocks and stretches."""

from __future__ import annotations

import itertools
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data.forecasting.read import read_table
from ostinato.data.io import spool
from ostinato.data.io.blocks import Block
from ostinato.data.readers.registry import open_source
from ostinato.data.rejects import BadRows
from ostinato.data.tables.long import LongTable, by_time, not_later
from ostinato.data.tables.numbers import MISSING, numbers_of, usable, wide_rows
from ostinato.data.times.clock import Clock
from ostinato.errors import DataError, MissingLibraryError
from ostinato.media.extras import library
from ostinato.recipe.forecast import ForecastRecipe


def _block(**columns: list[str | None]) -> Block:
    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    return Block(frame, ("t.csv",), np.arange(2, 2 + len(frame)))


@given(rows=st.lists(st.lists(st.integers(0, 5), max_size=5), max_size=5), stretch=st.integers(1, 4))
@settings(deadline=None, max_examples=60)
def test_steps_are_sorted_within_their_series(rows: list[list[int]], stretch: int) -> None:
    stamps = np.asarray([stamp for row in rows for stamp in row], dtype=np.int64)
    offsets = np.cumsum([0, *map(len, rows)])
    steps = {"stamps": stamps, "place": np.arange(len(stamps))}
    with mock.patch.object(spool, "_STEP_BYTES", 8 * stretch):
        late = not_later(stamps, offsets)
        found = by_time(steps, offsets)
    expected = [i for a, b in itertools.pairwise(offsets) for i in range(a + 1, b) if stamps[i] <= stamps[i - 1]]
    assert late.tolist() == expected
    order = [i for a, b in itertools.pairwise(offsets) for i in sorted(range(a, b), key=lambda i: stamps[i])]
    assert found["place"].tolist() == order
    assert (found is steps) == (not expected)


def test_a_row_is_rejected_once_and_taken_in_by_no_series() -> None:
    rejected: list[tuple[int, str]] = []
    table = LongTable(
        {"values": ["x", "y"]},
        lambda block, row, why: rejected.append((block.location(row)[1], why)),
        ["id"],
        Clock(["t"]),
    )
    numbers, good = table.add(
        _block(id=["b", None, "a", "b"], t=["3", "1", "1", "soon"], x=["1", "2", "low", "4"], y=["5", "6", "high", "8"])
    )
    assert (numbers.tolist(), good.tolist()) == ([0], [True, False, False, False])
    table.add(_block(id=["a", "b"], t=["7", "2020-01-01"], x=["2", ""], y=[" 3 ", "4"]), {"more": np.asarray([1, 2])})
    assert rejected == [
        (3, "no value in column `id`"),
        (4, "`x` is not a number: 'low'"),
        (5, "`t` is neither a whole number nor a time: 'soon'"),
        (3, "`t` is neither a whole number nor a time: '2020-01-01'"),
    ]


def test_times_are_of_the_first_unit() -> None:
    bad: list[int] = []
    clock = Clock(["t"], plain=True)
    table = LongTable({}, lambda _, row, why: bad.append(row), clock=clock)
    table.add(_block(t=["soon"]))
    assert not clock.found
    for cells in (["2020-01-02", "2020-01-01"], ["1.5", "2"]):
        table.add(_block(t=cells))
    assert clock.form.unit == "us"
    names, offsets, arrays = table.finish("t.csv")
    assert (names, offsets.tolist(), bad) == ([""], [0, 2], [0, 0, 1])
    assert np.diff(arrays["stamps"]).tolist() == [-86_400e6]


def test_numbers_and_what_stands_for_none() -> None:
    values, wrong = numbers_of(pl.Series([" 1.5", "NA", "", None, "x", "inf"]), MISSING)
    np.testing.assert_array_equal(values, [1.5, np.nan, np.nan, np.nan, np.nan, np.inf])
    assert wrong.tolist() == [False, False, False, False, True, False]
    assert numbers_of(pl.Series(["NA"]))[1].tolist() == [True]


def test_a_row_a_series_ends_with_its_last_number() -> None:
    rejected: list[str] = []
    block = _block(a=["1", "", "x"], b=["", "", "2"])
    _, lengths, good = wide_rows(block, ["a", "b"], lambda _, row, why: rejected.append(f"{row}: {why}"))
    assert (lengths[good].tolist(), good.tolist(), rejected) == (
        [1, 0],
        [True, True, False],
        ["2: `a` is not a number: 'x'"],
    )
    assert usable(block, [], lambda *_: None).all()


def test_a_file_without_any_time_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("t,x\nsoon,1\nlate,2\n")
    forecast = ForecastRecipe(time="t", channels=("x",))
    with pytest.raises(DataError, match=r"column `t` of .* holds no time stamps in a known format. Received: 'soon'"):
        read_table(open_source(tmp_path / "t.csv", BadRows()), forecast)


def test_a_library_that_is_missing_is_named_with_its_extra() -> None:
    assert library("math", "counting", "audio").pi > 3
    with pytest.raises(MissingLibraryError, match="counting needs no_such_module, which is not installed") as caught:
        library("no_such_module.part", "counting", "audio")
    assert caught.value.hint == "pip install 'ostinato[audio]'"
