"""From a recipe to encoded training and validation data, whatever its task."""

from __future__ import annotations

from ostinato.data.dataset import Prepared
from ostinato.data.inference.applicability import refuse_inapplicable
from ostinato.data.inference.open_target import possible_recipes
from ostinato.data.inference.resolve import infer_recipe
from ostinato.data.inference.sample import DataSample
from ostinato.data.readers.open import Say, arrange, open_stored, with_usual_session
from ostinato.data.rejects import BadRows
from ostinato.errors import RecipeError
from ostinato.recipe import Recipe
from ostinato.tasks.monitors import check_monitor
from ostinato.tasks.planning import planned
from ostinato.tasks.registry import names, task_named, task_of
from ostinato.wording import A_FILE


def prepare(recipe: Recipe, say: Say = lambda _: None) -> Prepared:
    """Read, infer, split and encode the data of a recipe.

    Args:
        recipe: may leave columns, kinds, units and the task open; the returned recipe leaves nothing open,
            and has a plan where it says no epochs.
        say: called with each note a user should see, as it comes up.

    Raises:
        RecipeError: for a recipe that contradicts itself or the data.
        DataError: for data that can't be used; with `on_bad_row: stop` also for any bad row, all of a file listed.
    """
    sample = _sampled(recipe, say)
    asked, recipe = recipe, _taken_over(recipe, sample, say)
    found = _resolved(recipe, sample)
    task = task_of(found)
    task.check(found)
    possible = possible_recipes(found, sample)
    if len(possible) == 1:
        refuse_inapplicable(possible[0])
    check_monitor(found.training.monitor, ("loss", *(name for one in possible for name in task.figures(one))))
    prepared = task.prepare(recipe, sample, say)
    ready = planned(prepared, asked, _read_again)
    for note in ready.notes[len(prepared.notes) :]:
        say(note)
    return ready


def _read_again(recipe: Recipe) -> Prepared:
    """The data of a resolved recipe; what is to be said of them was said the first time."""
    sample = _sampled(recipe)
    arrange(sample, recipe)
    return task_of(recipe).prepare(recipe, sample)


def _sampled(recipe: Recipe, say: Say = lambda _: None) -> DataSample:
    """The head of the training data."""
    if recipe.data.train is None:
        raise RecipeError("`data.train` is not set.", hint=A_FILE)
    return DataSample(open_stored(recipe.data.train, recipe, BadRows(recipe.data.on_bad_row), say))


def inferred(recipe: Recipe, say: Say = lambda _: None) -> Recipe:
    """The resolved recipe, with columns, kinds and task auto-detected from the head of its data; nothing is trained.

    Args:
        recipe: may leave them open.
        say: called with what was auto-detected, and why.

    Raises:
        RecipeError: for a recipe that contradicts itself or the data.
        DataError: for data that can't be read.
    """
    if recipe.data.train is None:
        return recipe
    sample = DataSample(open_stored(recipe.data.train, recipe, BadRows("skip"), lambda _: None))
    return _resolved(_taken_over(recipe, sample, say), sample, say)


def _taken_over(recipe: Recipe, sample: DataSample, say: Say = lambda _: None) -> Recipe:
    """The recipe of the task that only such data has, where it leaves its task open and there is one; with the sessions
    that its files are."""
    for name in names():
        if recipe.model.undecided:
            recipe = task_named(name).takes_over(recipe, sample, say)
    return with_usual_session(recipe, sample.source, say)


def _resolved(recipe: Recipe, sample: DataSample, say: Say = lambda _: None) -> Recipe:
    """All that the head of the data says."""
    arrange(sample, recipe)
    if not recipe.model.undecided:
        return task_of(recipe).resolve(recipe, sample, say)
    found, notes = infer_recipe(recipe, sample)
    for note in notes:
        say(note)
    return found
