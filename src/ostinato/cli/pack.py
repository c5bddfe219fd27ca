"""`ostinato pack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.console import print_json, print_text
from ostinato.cli.runs_given import RunFolder


def pack(
    run: RunFolder,
    out: Annotated[
        Path | None, typer.Option(help="A .zip file, or a directory, that is made; by default RUN.zip, here.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Pack what a run's answers come from into one file, to share it.

    The file predicts, generates, is evaluated and served as the run is. What resuming, reports and logs need stays.
    """
    from ostinato.baselines.conclusion import size
    from ostinato.shelf.packed import pack as packed
    from ostinato.wording import command

    made = packed(run, out)
    if json:
        print_json({"path": str(made.path), "bytes": made.after, "bytes_before": made.before})
        return
    print_text(f"{made.path}: {size(made.after)} of {size(made.before)}")
    print_text(f"for example: {command('predict', made.path, '--file', 'FILE')}")
