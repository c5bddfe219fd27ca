"""From a recipe to encoded training and validation data, whatever its task."""

from __future__ import annotations

from ostinato.data.dataset import Prepared
from ostinato.data.forecasting.prepare import as_forecaster, settle_series
from ostinato.data.inference.resolve import infer_recipe
from ostinato.data.inference.sample import DataSample
from ostinato.data.readers.open import Say, arrange, open_stored
from ostinato.data.rejects import BadRows
from ostinato.errors import RecipeError
from ostinato.recipe import Recipe
from ostinato.tasks.registry import task_of


def prepare(recipe: Recipe, say: Say = lambda _: None) -> Prepared:
    """Read, infer, split and encode the data of a recipe.

    Args:
        recipe: may leave columns, kinds, units and the task open; the returned recipe leaves nothing open.
        say: called with each note a user should see, as it comes up.

    Raises:
        RecipeError: for a recipe that contradicts itself or the data.
        DataError: for data that can't be used; with `on_bad_row: stop` also for any bad row, all of a file listed.
    """
    if recipe.data.train is None:
        raise RecipeError("`data.train` is not set.", hint="name a file: --set data.train=reviews.csv")
    sample = DataSample(open_stored(recipe.data.train, recipe, BadRows(recipe.data.on_bad_row), say))
    given, recipe = recipe, as_forecaster(recipe, sample, say)
    if recipe is not given:
        say("is it no series in time? --input COLUMN --target COLUMN reads its rows one by one")
    arrange(sample, recipe)
    found = infer_recipe(recipe, sample)[0] if recipe.model.undecided else recipe
    task = task_of(found)
    task.check(found)
    return task.prepare(recipe, sample, say)


def inferred(recipe: Recipe) -> Recipe:
    """The recipe with its columns, kinds and task settled from the head of its data; nothing is trained on.

    Raises:
        RecipeError: for a recipe that contradicts itself or the data.
        DataError: for data that can't be read.
    """
    if recipe.data.train is None:
        return recipe
    sample = DataSample(open_stored(recipe.data.train, recipe, BadRows("skip"), lambda _: None))
    recipe = as_forecaster(recipe, sample)
    if recipe.model.rows == "series":
        return settle_series(recipe, sample, [])
    arrange(sample, recipe)
    return infer_recipe(recipe, sample)[0]
