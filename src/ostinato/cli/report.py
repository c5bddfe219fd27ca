"""`ostinato report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.console import print_text


def report(run: Annotated[Path, typer.Argument(help="A run directory.")]) -> None:
    """Write the run's report, one HTML file that needs no network, and print its path."""
    from ostinato.data.dataset import prepare
    from ostinato.evaluation.report import write_report
    from ostinato.run import load

    opened = load(run)
    prepared = prepare(opened.recipe)
    path = write_report(opened.folder, opened.recipe, opened.features, opened.model, prepared, opened.device)
    print_text(str(path))
