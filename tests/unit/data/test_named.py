"""Names are numbered as they are read, to the same values as if all had been there at once."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import polars as pl
import pytest

from ostinato.data.features import TrainingPart, load_feature, make_builder
from ostinato.data.features.named import NamedBuilder
from ostinato.data.io import spool as spool_module
from ostinato.data.sequences import Sequences
from ostinato.recipe.kinds import CategoryRecipe, TagsRecipe, TokensRecipe

ROWS = [["b", "a", "a"], ["x"], [], ["a", "c", "B"], ["new", "b"], ["c"]]
KEPT = [True, False, False, True, True, True]
TRAINING = np.asarray([0, 1, 3])  # of the kept ones


def _cells(recipe: Any) -> pl.Series:
    if isinstance(recipe, CategoryRecipe):
        return pl.Series([row[0] if row else "none" for row in ROWS])
    return pl.Series(ROWS, dtype=pl.List(pl.String))


@pytest.mark.parametrize("spilled", [False, True])
@pytest.mark.parametrize(
    "recipe",
    [
        TokensRecipe(),
        TokensRecipe(case="keep", characters=True, max_word_length=2, min_frequency=1),
        TagsRecipe(ignore=("a",), unseen="wrong"),
        CategoryRecipe(),
    ],
)
def test_a_builder_gives_what_the_feature_itself_would(recipe: Any, spilled: bool) -> None:
    builder, cells = make_builder(recipe), _cells(recipe)
    assert isinstance(builder, NamedBuilder)
    with mock.patch.object(spool_module, "SPILL_BYTES", 3 if spilled else 1 << 30):
        for part in (slice(0, 2), slice(2, 6)):
            builder.add(builder.draft(cells[part]), np.asarray(KEPT[part]))
        feature, found = builder.finish(TrainingPart(rows=TRAINING))
    raw = builder._feature.read(recipe, cells.filter(pl.Series(KEPT))).content
    assert isinstance(raw, Sequences)
    alone = builder._feature.fit(recipe, raw.take(TRAINING).values)
    assert feature.to_dict() == alone.to_dict() == load_feature(feature.to_dict()).to_dict()
    np.testing.assert_array_equal(found.values, alone.transform(raw.values))
    assert found.lengths.tolist() == raw.lengths.tolist()


def test_a_row_that_is_not_kept_leaves_no_name() -> None:
    builder = make_builder(TokensRecipe())
    builder.add(builder.draft(_cells(TokensRecipe())), np.asarray(KEPT))
    feature, _ = builder.finish(TrainingPart())
    assert "x" not in feature.to_dict()["vocabulary"]["tokens"]


def test_names_wait_as_integers() -> None:
    builder = make_builder(TokensRecipe())
    assert isinstance(builder, NamedBuilder)
    builder.add(builder.draft(_cells(TokensRecipe())), np.asarray(KEPT))
    assert builder._spool.finish().dtype == np.int32
