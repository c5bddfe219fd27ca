"""A run as it is named on the command line: checked before torch is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunFolder = Annotated[Path, typer.Argument(help="A run directory.")]
AnyRun = Annotated[Path, typer.Argument(help="A run directory, or a packed run (see `ostinato pack`).")]


def check_run(run: Path, settings: list[str] | None = None) -> None:
    """Raise for what is no run directory, or for a mistake in `--set`, before torch is imported."""
    from ostinato.data.loading import reading_as
    from ostinato.training.run_folder import read_recipe_of

    reading_as(read_recipe_of(run), settings or [])


def any_run(run: Path, settings: list[str] | None = None) -> Path:
    """The directory of a run, which may be packed; it is checked as by `check_run`."""
    from ostinato.training.run_folder import run_at

    found = run_at(run)
    check_run(found, settings)
    return found
