"""`ostinato report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.console import print_text


def report(run: Annotated[Path, typer.Argument(help="A run directory.")]) -> None:
    """Write a run's report, one HTML file."""
    from ostinato.run import load

    print_text(str(load(run).report()))
