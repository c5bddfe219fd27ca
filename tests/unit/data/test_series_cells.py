"""The feature `series`: scales, gaps, differences, and cells that can't be used."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest

from ostinato.data.features import TrainingPart, load_feature, make_builder
from ostinato.data.features.series import SeriesFeature
from ostinato.data.sequences import Sequences
from ostinato.errors import DataError
from ostinato.recipe.kinds import SeriesRecipe


def _fit(cells: list[Any], rows: list[int] | None = None, **options: Any) -> tuple[SeriesFeature, Sequences]:
    builder = make_builder(SeriesRecipe(**options))
    draft = builder.draft(pl.Series(cells))
    assert draft.problems == {}
    builder.add(draft, np.ones(len(cells), dtype=np.bool_))
    feature, sequences = builder.finish(TrainingPart(rows=None if rows is None else np.asarray(rows)))
    assert isinstance(feature, SeriesFeature)
    return feature, sequences


def _problems(cells: list[Any], **options: Any) -> dict[int, str]:
    return dict(make_builder(SeriesRecipe(**options)).draft(pl.Series(cells)).problems)


def test_global_scale_is_of_the_training_rows() -> None:
    feature, sequences = _fit([[1.0, 3.0], [100.0], [5.0, 7.0, 9.0]], rows=[0, 2])
    values = np.asarray([1.0, 3.0, 5.0, 7.0, 9.0])
    assert sequences.lengths.tolist() == [2, 1, 3]
    assert sequences.values.shape == (6, 1)
    expected = (np.asarray([1, 3, 100, 5, 7, 9]) - values.mean()) / values.std()
    np.testing.assert_allclose(sequences.values[:, 0], expected, rtol=1e-6)
    assert feature.decode(sequences.row(2)) == pytest.approx([5.0, 7.0, 9.0], rel=1e-6)
    again = load_feature(json.loads(json.dumps(feature.to_dict())))
    assert again.to_dict() == feature.to_dict()
    np.testing.assert_array_equal(again.encode(pl.Series([[1.0, 3.0]])).values, sequences.values[:2])


def test_row_scale_is_of_each_row_and_channel() -> None:
    _, sequences = _fit([[[1.0, 5.0], [3.0, 5.0]], [[10.0, 0.0], [30.0, 2.0]]], normalize="row")
    assert sequences.values.tolist() == [[-1.0, 0.0], [1.0, 0.0], [-1.0, -1.0], [1.0, 1.0]]


def test_json_cells_equal_lists() -> None:
    lists, _ = _fit([[[1.0, 2.0]], [[3.0, 5.0]]])
    texts, _ = _fit(["[[1, 2]]", "[[3, 5.0]]"])
    assert lists.to_dict() == texts.to_dict()


def test_differences_follow_the_values() -> None:
    feature, sequences = _fit([[1.0, 4.0, 2.0], [7.0]], normalize="none", deltas=True)
    assert sequences.values.tolist() == [[1, 0], [4, 3], [2, -2], [7, 0]]
    assert feature.value_shape == (2,)
    assert feature.num_channels == 1


def test_steps_are_stacked_into_frames() -> None:
    cells = [[1.0, 2.0, 4.0, 7.0, 11.0], [5.0]]
    feature, sequences = _fit(cells, normalize="none", deltas=True, stack=2)
    assert sequences.lengths.tolist() == [3, 1]
    assert sequences.values.tolist() == [[1, 2, 0, 1], [4, 7, 2, 3], [11, 11, 4, 4], [5, 5, 0, 0]]
    assert (feature.num_channels, feature.value_shape) == (1, (4,))
    assert feature.decode(sequences.row(0)) == [1, 2, 4, 7, 11, 11]
    several, frames = _fit([[[1.0, 10.0], [2.0, 20.0]]], normalize="none", stack=2)
    assert frames.values.tolist() == [[1, 10, 2, 20]]
    assert several.decode(frames.row(0)) == [[1, 10], [2, 20]]


def test_gaps_are_masked() -> None:
    nan = float("nan")
    cells = [[1.0, nan, 3.0], [nan, 5.0]]
    feature, sequences = _fit(cells, missing="mask", deltas=True)
    mean, std = 3.0, np.std([1.0, 3.0, 5.0])
    assert sequences.values[:, 0] == pytest.approx([(1 - mean) / std, 0, 0, 0, (5 - mean) / std])
    assert sequences.values[:, 2].tolist() == [0, 1, 0, 1, 0]
    assert np.isfinite(sequences.values).all()
    assert feature.value_shape == (3,)
    assert sequences.values.shape[1] == 3


def test_gaps_are_interpolated() -> None:
    _, sequences = _fit(["[null, 1, null, null, 4, NaN]"], missing="interpolate", normalize="none")
    assert sequences.values[:, 0].tolist() == [1, 1, 2, 3, 4, 4]


def test_cells_that_can_not_be_used_say_why() -> None:
    nan, inf = float("nan"), float("inf")
    assert _problems(["[1, 2]", "[[1, 2]]", "x", "[1, null]", "[[[1]]]", "[[1, 2], [3]]", "[4]"]) == {
        1: "has 2 channels, other rows have 1",
        2: "not a list of numbers: 'x'",
        3: "step 2 is missing",
        4: "a series is a list of numbers, or of frames of numbers; this is nested 3 deep",
        5: "its steps have different numbers of channels: 1 to 2",
    }
    assert _problems([[[1.0, nan], [2.0, inf]], [[1.0, 2.0]]], missing="mask") == {0: "step 2 of channel 2 is infinite"}
    assert _problems([[nan, nan], [1.0, nan]], missing="mask") == {0: "all of its values are missing"}
    assert _problems([[[1.0, nan]], [[1.0, 2.0]]], missing="interpolate") == {0: "all values of channel 2 are missing"}
    several = "step 1 of channel 2 is missing (and 1 more)"
    assert _problems([[[1.0, nan], [2.0, nan]]]) == {0: several}


def test_another_number_of_channels_is_named_in_later_blocks_and_new_data() -> None:
    builder = make_builder(SeriesRecipe())
    first = builder.draft(pl.Series([[[1.0, 2.0]], [[3.0, 4.0]]]))
    builder.add(first, np.ones(2, dtype=np.bool_))
    assert dict(builder.draft(pl.Series([[1.0], [2.0]])).problems) == {
        0: "has values of shape (1,), rows before it of (2,)",
        1: "has values of shape (1,), rows before it of (2,)",
    }
    feature, _ = builder.finish(TrainingPart())
    with pytest.raises(DataError, match=r"row 1 can't be used: has 3 channels, other rows have 2\."):
        feature.encode(pl.Series([[[1.0, 2.0, 3.0]]]))
