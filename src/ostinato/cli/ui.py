"""`ostinato ui`."""

from __future__ import annotations

import secrets
import threading
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.console import note
from ostinato.errors import RunError


def ui(
    folder: Annotated[Path, typer.Argument(help="A folder of runs, or a run.")] = Path("runs"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: one that is free.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
) -> None:
    """Show runs in a browser: figures and curves, their models to try, and what their units do.

    The page is served to this machine alone, and reads nothing from any other.
    """
    from ostinato.media.extras import library
    from ostinato.training.run_folder import RECIPE_FILE

    for name in ("fastapi", "uvicorn", "websockets", "prometheus_client"):
        library(name, "the page", "serve")
    found = sorted(path.parent for path in (*folder.glob(RECIPE_FILE), *folder.glob(f"*/{RECIPE_FILE}")))
    if not found:
        raise RunError(
            f"a folder of runs was expected. Received: `{folder}`, which holds none.",
            hint="a sample to train on: ostinato data sample names.csv; then: ostinato train names.csv --input name "
            "--target language",
        )

    from ostinato.serving.served import Config
    from ostinato.serving.server import Address, serve

    def opened(url: str) -> None:
        if browser:
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    runs = {path.resolve().name: path for path in found}
    serve(runs, Config(key=secrets.token_bytes(32)), Address("127.0.0.1", port), note, opened)
