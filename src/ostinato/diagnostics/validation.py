"""The validation data of a run, encoded anew as training had it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ostinato.data.dataset import Examples
from ostinato.errors import RunError
from ostinato.recipe import Recipe
from ostinato.storage.files import read_json
from ostinato.tasks.prepare import prepare
from ostinato.training.resume import agrees
from ostinato.training.run_folder import DATA_FILE
from ostinato.training.train import describe_data


def validation_of(folder: Path, recipe: Recipe, say: Callable[[str], None] = lambda _: None) -> Examples:
    """Raises `RunError` where the data has changed since training began."""
    prepared = prepare(recipe, say)
    path = folder / DATA_FILE
    if path.is_file() and not agrees(read_json(path), describe_data(prepared)):
        raise RunError(
            f"the data of `{folder}` has changed since training began, so its validation rows are not known.",
            hint="name a file with --data",
        )
    return prepared.validation
