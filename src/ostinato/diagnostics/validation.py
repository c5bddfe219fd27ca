"""The data a run is examined on: its validation data, encoded again as in training, or another file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ostinato.data.dataset import Examples, Features
from ostinato.errors import DataError, RunError
from ostinato.recipe import Recipe
from ostinato.storage.files import read_json
from ostinato.tasks.prepare import prepare
from ostinato.tasks.registry import task_of
from ostinato.training.resume import agrees, describe_data
from ostinato.training.run_folder import DATA_FILE
from ostinato.wording import option


def examples_for(
    folder: Path,
    recipe: Recipe,
    features: Features,
    data: str | Path | None,
    say: Callable[[str], None] = lambda _: None,
) -> Examples:
    """Rows with their targets, of a file or catalogue name; none: the run's validation data.

    Raises:
        RunError: where the run's data has changed since training began.
        DataError: for rows that can't be read, or have no target.
    """
    spec = task_of(recipe)
    found = validation_of(folder, recipe, say) if data is None else spec.load(str(data), features, recipe, say)
    if found.targets is None and spec.needs_targets:
        raise DataError("the rows have no target to compute a loss with.")
    return found


def validation_of(folder: Path, recipe: Recipe, say: Callable[[str], None] = lambda _: None) -> Examples:
    """Raises `RunError` where the data has changed since training began."""
    prepared = prepare(recipe, say)
    path = folder / DATA_FILE
    if path.is_file() and not agrees(read_json(path), describe_data(prepared)):
        raise RunError(
            f"the data of `{folder}` has changed since training began, so its validation rows are not known.",
            hint=option("--data", str(recipe.data.train)),
        )
    return prepared.validation
