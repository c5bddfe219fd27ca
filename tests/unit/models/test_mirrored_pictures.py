"""Pictures seen in a mirror while training."""

from __future__ import annotations

import torch

from ostinato.layers.images import Pictures
from ostinato.recipe.parts import FramesRecipe
from ostinato.types import Ragged


def test_all_frames_of_a_row_are_mirrored_or_none_and_only_in_training() -> None:
    torch.manual_seed(0)
    layer = Pictures((1, 4, 6), FramesRecipe(channels=(3,), output_size=5, mirror=0.5)).double()
    values = torch.rand(60, 1, 4, 6, dtype=torch.float64)
    rows = Ragged.from_rows(values, starts=list(range(0, 60, 3)), lengths=[3] * 20)
    mirrored = rows.with_values(rows.values.flip(-1))
    layer.eval()
    plain, seen = layer(rows).values, layer(mirrored).values
    layer.train()
    found = layer(rows).values
    as_is = (found == plain).all(dim=1)
    in_mirror = (found == seen).all(dim=1)
    assert torch.equal(as_is, ~in_mirror)
    of_rows = [in_mirror[rows.rows_index() == row] for row in range(20)]
    assert all(row.all() or not row.any() for row in of_rows)
    assert 3 < sum(bool(row.all()) for row in of_rows) < 17
