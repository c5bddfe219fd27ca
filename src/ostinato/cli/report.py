"""`ostinato report`."""

from __future__ import annotations

from ostinato.cli.console import print_text
from ostinato.cli.runs_given import RunFolder, check_run


def report(run: RunFolder) -> None:
    """Write a run's report, one HTML file."""
    check_run(run)
    from ostinato.run import load

    print_text(str(load(run).report()))
