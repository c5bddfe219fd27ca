"""Connections that send nothing, or a request's head byte by byte, are closed."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


def patient(seconds: float) -> type[HttpToolsProtocol]:
    """uvicorn's protocol, with so many seconds for the head of a request, which uvicorn itself would wait for without
    end."""

    class Patient(HttpToolsProtocol):
        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._wait()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            if self._late is None:
                self._wait()

        def on_headers_complete(self) -> None:
            super().on_headers_complete()
            self._enough()

        def connection_lost(self, exc: Exception | None) -> None:
            self._enough()
            super().connection_lost(exc)

        def _wait(self) -> None:
            self._late = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

        def _enough(self) -> None:
            if self._late is not None:
                self._late.cancel()
            self._late = None

    return Patient
