"""Rows gathered by name, in memory and in files; ragged rows as columns of lists and back."""

from __future__ import annotations

import itertools
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.series import forecasting

from ostinato.data.forecasting.windows import Windows
from ostinato.data.io import spool as spool_module
from ostinato.data.moments import Moments
from ostinato.data.tables import group_rows
from ostinato.data.tables.group_rows import Groups
from ostinato.data.tables.list_columns import arrays_of, list_column, words_of
from ostinato.errors import DataError
from ostinato.recipe import build_recipe
from ostinato.storage import decompress
from ostinato.tasks.prepare import prepare

BLOCKS = st.lists(st.lists(st.sampled_from("abcdef"), max_size=9), max_size=6)


@pytest.mark.parametrize("spilled", [False, True])
@given(blocks=BLOCKS, rows=st.integers(1, 4))
@settings(deadline=None, max_examples=60)
def test_groups_are_what_a_dictionary_of_lists_would_be(spilled: bool, blocks: list[list[str]], rows: int) -> None:
    expected: dict[str, list[int]] = {}
    groups, count = Groups(), 0
    with (
        mock.patch.object(spool_module, "SPILL_BYTES", 0 if spilled else 1 << 30),
        mock.patch.object(group_rows, "_ROWS", rows),
    ):
        for names in blocks:
            numbers = np.arange(count, count + len(names))
            for name, number in zip(names, numbers.tolist(), strict=True):
                expected.setdefault(name, []).append(number)
            columns = {"number": numbers, "pair": np.stack([numbers, -numbers], axis=1).astype(np.float64)}
            groups.add(pl.Series(names, dtype=pl.String), columns)
            count += len(names)
        offsets, found = groups.finish()
    assert groups.numbering.names == list(expected)
    if count:
        assert [found["number"][a:b].tolist() for a, b in itertools.pairwise(offsets)] == list(expected.values())
        np.testing.assert_array_equal(found["pair"], np.stack([found["number"], -found["number"]], axis=1))


@given(rows=st.lists(st.lists(st.floats(-9, 9), max_size=4), max_size=6), width=st.integers(1, 3))
@settings(deadline=None, max_examples=60)
def test_lists_and_arrays_are_each_others_inverse(rows: list[list[float]], width: int) -> None:
    lengths = np.asarray([len(row) for row in rows], dtype=np.int64)
    values = np.repeat(np.asarray([x for row in rows for x in row], dtype=np.float64)[:, None], width, axis=1)
    cells = list_column("x", values[:, 0] if width == 1 else values, lengths)
    assert cells.to_list() == [row if width == 1 else [[x] * width for x in row] for row in rows]
    found = arrays_of(cells)
    assert found is not None
    assert [one.tolist() for one in found] == [[[x] * width for x in row] for row in rows]


def test_cells_that_are_anything_else_are_looked_at_one_by_one() -> None:
    for cells in ([[1.0], None], [[[1.0], [2.0, 3.0]]], [["a"]], [[[[1.0]]]]):
        assert arrays_of(pl.Series(cells)) is None
    assert words_of(pl.Series([["a", None]])) is None
    assert words_of(pl.Series([[1.0]])) is None
    found = words_of(pl.Series([["b", "a"], [], ["b"]]))
    assert found is not None
    assert (found[0].tolist(), found[1].tolist()) == (["b", "a", "b"], [2, 0, 1])


@given(
    rows=st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.booleans()), min_size=1, max_size=12),
    step=st.integers(1, 5),
)
@settings(deadline=None, max_examples=60)
def test_moments_are_those_of_all_rows_at_once(rows: list[tuple[float, float, bool]], step: int) -> None:
    values = np.asarray([row[:2] for row in rows])
    values[np.asarray([row[2] for row in rows]), 1] = np.nan
    with mock.patch.object(spool_module, "_STEP_BYTES", 16 * step):
        found = Moments.of(values)
    for column in range(2):
        known = values[~np.isnan(values[:, column]), column]
        assert found.count[column] == len(known)
        np.testing.assert_allclose(found.mean[column], known.mean() if len(known) else 0.0, atol=1e-9)
        np.testing.assert_allclose(found.std[column], known.std() if len(known) else 0.0, atol=1e-6)


@pytest.mark.parametrize("missing", ["stop", "mask"])
def test_series_in_files_are_those_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """Three series that stand mixed, with a covariate and time stamps, in blocks of a few rows."""
    rng = np.random.default_rng(0)
    lines = ["unique_id,ds,y,price"]
    for hour in range(60):
        for name in "abc":
            value = "" if missing == "mask" and rng.random() < 0.1 else f"{rng.normal():.4f}"
            lines.append(f"{name},2020-01-{1 + hour // 24:02} {hour % 24:02}:00:00,{value},{rng.random():.3f}")
    path = tmp_path / "t.csv"
    path.write_text("\n".join(lines) + "\n")
    forecast = {"horizon": 3, "lookback": 6, "past": ["price"], "calendar": ["hour"], "missing": missing}
    recipe = build_recipe(forecasting(forecast, train=str(path)))

    def read() -> tuple[Windows, Windows, dict[str, object]]:
        prepared = prepare(recipe)
        assert isinstance(prepared.train, Windows)
        assert isinstance(prepared.validation, Windows)
        return prepared.train, prepared.validation, prepared.features.input.to_dict()

    in_memory = read()
    monkeypatch.setattr(spool_module, "SPILL_BYTES", 0)
    monkeypatch.setattr(spool_module, "_STEP_BYTES", 100)
    monkeypatch.setattr(decompress, "BLOCK_BYTES", 200)
    in_files = read()
    assert in_memory[2].keys() == in_files[2].keys()
    for key in ("scales", "default", "beside"):
        for one, other in zip(_flat(in_memory[2][key]), _flat(in_files[2][key]), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9)
    for whole, parts in zip(in_memory[:2], in_files[:2], strict=True):
        assert len(whole) == len(parts) > 0
        np.testing.assert_allclose(whole.sequences.values, parts.sequences.values, rtol=1e-5, atol=1e-6)
        for name in ("starts", "origins", "rows"):
            np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
        np.testing.assert_array_equal(whole.facts.stamps, parts.facts.stamps)
        np.testing.assert_array_equal(whole.facts.lines, parts.facts.lines)
        assert whole.location(len(whole) - 1) == parts.location(len(parts) - 1)


WINDOWS = {"task": "forecasting", "horizon": 1, "lookback": 2}


@pytest.mark.parametrize("place", range(1, 7))
def test_what_is_wrong_between_two_stretches_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    monkeypatch.setattr(spool_module, "_STEP_BYTES", 16)  # two steps
    path = tmp_path / "t.csv"
    recipe = build_recipe({"data": {"train": str(path), "sort": False, "on_gap": "stop"}, "model": WINDOWS})
    days = [f"2020-01-{day:02}" for day in range(1, 21)]
    for wrong, message in (
        ([*days[:place], days[place - 1], *days[place:]], "the same as the row before"),
        ([*days[: place - 1], days[place], days[place - 1], *days[place + 1 :]], "earlier than the row before"),
        ([*days[:place], *days[place + 1 :]], "1 gap in time"),
    ):
        path.write_text("date,x\n" + "".join(f"{day},{number}\n" for number, day in enumerate(wrong)))
        with pytest.raises(DataError, match=message):
            prepare(recipe)


def _flat(found: object) -> list[object]:
    return list(found.values()) if isinstance(found, dict) else [found]
