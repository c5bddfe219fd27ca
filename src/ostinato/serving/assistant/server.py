"""The tools of an assistant over standard input and output, by the official SDK."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ostinato import __version__
from ostinato.errors import OstinatoError
from ostinato.media.extras import library
from ostinato.serving.assistant.tools import Bounds, Tools

_SAYS = (
    "Ostinato trains and asks recurrent models of sequences (texts, series, tags, sounds). Begin with list_data and "
    "describe_data, train with a budget, then report, predict or generate. An error says what was expected, what was "
    "received, and a hint."
)


def serve(data: list[Path], runs: Path, bounds: Bounds) -> None:
    """Answer an assistant until it goes.

    Args:
        data: folders of files that it may read.
        runs: the folder of runs that it may ask, and make.
        bounds: what it may use.
    """
    sdk = library("mcp.server", "an assistant's tools", "mcp")
    server = sdk.MCPServer("ostinato", instructions=_SAYS, version=__version__, log_level="WARNING")
    for tool in Tools(data, runs, bounds).all:
        server.add_tool(_told(tool), name=tool.__name__, description=" ".join((tool.__doc__ or "").split()))
    server.run("stdio")


def _told(tool: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """The tool with our errors told, in their three parts; of others strangers hear nothing."""

    sdk = library("mcp.server.mcpserver.exceptions", "an assistant's tools", "mcp")

    @functools.wraps(tool)
    def told(*args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            return tool(*args, **kwargs)
        except OstinatoError as error:
            raise sdk.ToolError(str(error)) from error

    return told
