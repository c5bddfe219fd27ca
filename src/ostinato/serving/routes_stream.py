"""The WebSocket, and who hears of sessions that end."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, WebSocket

from ostinato.errors import OstinatoError
from ostinato.serving.access import Access
from ostinato.serving.connection import Connection
from ostinato.serving.guard import is_foreign
from ostinato.serving.house import House
from ostinato.serving.live import Ended

_REFUSED = 1008
"""WebSocket: against the server's policy."""


class Connections:
    """The open ones; an engine's thread tells them of sessions that have ended."""

    def __init__(self) -> None:
        self._open = dict[Connection, asyncio.AbstractEventLoop]()

    def add(self, connection: Connection) -> None:
        """It is told from now on."""
        self._open[connection] = asyncio.get_running_loop()

    def remove(self, connection: Connection) -> None:
        """It has gone."""
        del self._open[connection]

    def ended(self, model: str, ended: Ended) -> None:
        """Told by any thread."""
        for connection, loop in list(self._open.items()):
            if not loop.is_closed():
                loop.call_soon_threadsafe(connection.tell, model, ended)


def stream_router(house: House, connections: Connections) -> APIRouter:
    """The route of a WebSocket; see `Connection` for what it understands."""
    router = APIRouter(tags=["sessions"])

    @router.websocket("/v1/stream")
    async def stream(socket: WebSocket) -> None:
        access: Access = socket.app.state.access
        try:
            owner = access.owner(socket.headers.get("authorization") or _bearer(socket))
        except OstinatoError as error:
            await socket.close(_REFUSED, error.message)
            return
        if not access.has_tokens and is_foreign(dict(socket.scope["headers"])):
            await socket.close(_REFUSED, "a page of another site may not use this server.")
            return
        await socket.accept()
        connection = Connection(socket, house, access, owner)
        connections.add(connection)
        try:
            await connection.run()
        finally:
            connections.remove(connection)

    return router


def _bearer(socket: WebSocket) -> str | None:
    """Browsers can send no header with a WebSocket."""
    token = socket.query_params.get("token")
    return None if token is None else f"Bearer {token}"
