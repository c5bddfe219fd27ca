"""The names that runs are served by."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ostinato.errors import RecipeError
from ostinato.training.run_folder import run_at


def named_runs(given: Iterable[str]) -> dict[str, Path]:
    """Runs by the name that they are served by: `FOLDER`, whose last part is its name, or `NAME=FOLDER`; packed runs
    are unpacked.

    Raises:
        RecipeError: for two of one name.
    """
    found = dict[str, Path]()
    for one in given:
        name, is_named, folder = one.partition("=")
        path = run_at(Path(folder if is_named else one))
        name = name if is_named else path.resolve().name
        if name in found:
            raise RecipeError(
                f"each run must have a name of its own. Received: `{found[name]}` and `{path}`, both called {name}.",
                hint=f"give one of them another name: {name}-2={path}",
            )
        found[name] = path
    return found
