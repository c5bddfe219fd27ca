"""`ostinato report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.console import print_text


def report(run: Annotated[Path, typer.Argument(help="A run directory.")]) -> None:
    """Write the run's report, a single HTML file that needs no network, and print its path."""
    from ostinato.run import load

    print_text(str(load(run).report()))
