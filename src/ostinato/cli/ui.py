"""`ostinato ui`."""

from __future__ import annotations

import html
import secrets
import shlex
import threading
import webbrowser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from ostinato.cli.console import note
from ostinato.errors import RunError

_USUAL = Path("runs")


def ui(
    folder: Annotated[Path, typer.Argument(help="A folder of runs, or a run; files are dropped into it.")] = _USUAL,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: one that is free.")] = 0,
    with_token: Annotated[
        bool, typer.Option("--token/--no-token", help="Whether only who has the address that is printed may use it.")
    ] = True,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
) -> None:
    """Train and show runs in a browser: drop a file, see what is read and why, train, try, and look inside.

    The page is served to this machine alone, and reads nothing from any other. The address that is printed, and opened,
    holds a token, without which the server answers nothing: other users of the machine can neither read nor train.
    """
    from ostinato.media.extras import library

    for name in ("fastapi", "uvicorn", "websockets", "prometheus_client", "orjson"):
        library(name, "the page", "serve")
    if not folder.is_dir() and (folder != _USUAL or folder.exists()):
        raise RunError(
            f"a folder of runs was expected. Received: `{folder}`, which is "
            + ("a file." if folder.exists() else "not there."),
            hint=None if folder.exists() else f"an empty one will do: {shlex.join(['mkdir', str(folder)])}",
        )

    from ostinato.serving.access import only
    from ostinato.serving.served import Config
    from ostinato.serving.server import Address, Page, serve
    from ostinato.serving.workshop.workshop import Workshop

    token = secrets.token_urlsafe(24) if with_token else None
    config = Config(key=secrets.token_bytes(32), tokens=None if token is None else only(token, "page"))
    with TemporaryDirectory(prefix="ostinato-ui-") as private:

        def opened(url: str) -> None:
            if browser:
                at = url if token is None else _leading_to(url, Path(private))
                threading.Thread(target=webbrowser.open, args=(at,), daemon=True).start()

        serve({}, config, Address("127.0.0.1", port), note, Page(Workshop(folder), opened, token))


def _leading_to(url: str, private: Path) -> str:
    """The address of a file that leads to another address: all users of a machine may read what a browser is started
    with, and only this one the file."""
    page, there = private / "page.html", html.escape(url)
    page.touch(mode=0o600)
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>Ostinato</title>'
        f'<meta http-equiv="refresh" content="0;url={there}"><p><a href="{there}">To the page</a></p>\n',
        encoding="utf-8",
    )
    return page.as_uri()
