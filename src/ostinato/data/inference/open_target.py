"""What a target whose kind is open may still turn out to be, once all of its cells are read."""

from __future__ import annotations

import polars as pl

from ostinato.data.inference.sample import DataSample
from ostinato.data.inference.target import is_number
from ostinato.data.tables.list_cells import MOST_LABELS
from ostinato.data.targets import TARGETS
from ostinato.recipe import Recipe, TargetRecipe


def possible_recipes(recipe: Recipe, sample: DataSample) -> list[Recipe]:
    """The recipe with each kind that its target may have; only itself, where it leaves none open.

    Cells at the head that are measured numbers stay so, and so do names: what follows can only make the column one
    that can't be used. A few whole numbers may become anything, and so may rows of which some are left out by SQL.
    """
    target, name = recipe.features.target, recipe.data.target
    if name is None or not isinstance(target, TargetRecipe) or not target.undecided:
        return [recipe]
    kinds = list(TARGETS) if recipe.data.where else _possible(sample.cells(name))
    found = []
    for kind in kinds:
        features = recipe.features.model_copy(update={"target": target.model_copy(update={"kind": kind})})
        found.append(recipe.model_copy(update={"features": features}))
    return found


def _possible(cells: pl.Series) -> list[str]:
    numbers = is_number(cells)
    if len(cells) and not numbers.any():
        return [kind for kind, target in TARGETS.items() if target.names]
    values = cells.cast(pl.Float64, strict=False)
    if numbers.all() and (cells.n_unique() > MOST_LABELS or (values != values.round()).any()):
        return [kind for kind, target in TARGETS.items() if not target.names]
    return list(TARGETS)
