"""The validation data of a run, encoded anew as training had it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ostinato.arrays import Ids
from ostinato.data.dataset import Examples
from ostinato.data.prepare import prepare
from ostinato.errors import RunError
from ostinato.recipe import Recipe
from ostinato.storage.files import read_json
from ostinato.training.resume import agrees
from ostinato.training.run_folder import DATA_FILE
from ostinato.training.train import describe_data


def validation_of(folder: Path, recipe: Recipe, say: Callable[[str], None] = lambda _: None) -> Examples | Ids:
    """Rows, or of a language model a text. Raises `RunError` where the data have changed since training began."""
    prepared = prepare(recipe, say)
    path = folder / DATA_FILE
    if path.is_file() and not agrees(read_json(path), describe_data(prepared)):
        raise RunError(
            f"the data of `{folder}` has changed since training began, so its validation rows are not known.",
            hint="name a file with --data",
        )
    return prepared.validation
