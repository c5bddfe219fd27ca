"""`ostinato mcp`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.errors import RecipeError


def mcp(
    data: Annotated[
        list[Path] | None,
        typer.Option(help="A folder of files that the assistant may read; repeatable. None: this folder."),
    ] = None,
    runs: Annotated[Path, typer.Option(help="The folder of runs that it may ask, and make.")] = Path("runs"),
    max_minutes: Annotated[float, typer.Option(min=0.01, help="Of one training.")] = 10.0,
    max_data_mb: Annotated[int, typer.Option(min=1, help="Of a file that it reads.")] = 1024,
) -> None:
    """Let an assistant use Ostinato: describe data, train with a budget, report, predict, generate, diagnose.

    Speaks the Model Context Protocol over standard input and output; assistants start it themselves.
    """
    from ostinato.media.extras import library

    library("mcp", "an assistant's tools", "mcp")
    library("fastapi", "an assistant's tools", "mcp")
    folders = data or [Path()]
    for folder in folders:
        if not folder.is_dir():
            raise RecipeError(f"`--data` must be a folder. Received: {folder}.")
    from ostinato.serving.assistant.server import serve
    from ostinato.serving.assistant.tools import Bounds

    serve(folders, runs, Bounds(max_minutes, max_data_mb << 20))
