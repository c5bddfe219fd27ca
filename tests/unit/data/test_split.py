"""The split of rows into training and validation, also by groups."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data.split import split_rows
from ostinato.errors import DataError


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.sampled_from("abcdefghijklmnop")), min_size=20, max_size=200),
    st.floats(0.1, 0.5),
    st.integers(0, 5),
)
def test_groups_stay_together_and_every_row_is_on_one_side(groups: list[str | None], share: float, seed: int) -> None:
    named = {group for group in groups if group is not None}
    if len(named) + groups.count(None) < 8:
        return
    column = pl.Series("group", groups, dtype=pl.String)
    try:
        training, held_out = split_rows(len(groups), share, seed, column)
    except DataError as error:
        if "too few to hold a share" not in error.message:
            raise
        return
    assert sorted([*training, *held_out]) == list(range(len(groups)))
    assert not {groups[i] for i in training} & {groups[i] for i in held_out} - {None}
    largest = max([groups.count(name) for name in named] or [1])
    assert 0 < len(held_out) <= round(len(groups) * share)
    assert len(held_out) > round(len(groups) * share) - max(largest, 1) - 1
    again = split_rows(len(groups), share, seed, column)
    assert all(np.array_equal(a, b) for a, b in zip(again, (training, held_out), strict=True))


def test_rows_without_a_group_are_split_one_by_one() -> None:
    training, held_out = split_rows(100, 0.2, 0, pl.Series("group", [None] * 100, dtype=pl.String))
    assert (len(training), len(held_out)) == (80, 20)


def test_one_group_can_not_be_split() -> None:
    with pytest.raises(DataError, match=r"the rows form 1 groups by `data\.group`"):
        split_rows(100, 0.2, 0, pl.Series("group", ["film"] * 100))


def test_rows_are_shuffled_and_the_seed_decides() -> None:
    training, held_out = split_rows(50, 0.2, 3)
    assert (len(training), len(held_out)) == (40, 10)
    assert list(held_out) != sorted(held_out)
    assert not np.array_equal(split_rows(50, 0.2, 4)[1], held_out)
