"""Single steps, which come by the thousand, past the routes: the same checks and answers at a fifth of the time."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from ostinato.errors import OstinatoError
from ostinato.serving.access import Access
from ostinato.serving.asked import operation
from ostinato.serving.guard import send_problem
from ostinato.serving.house import House
from ostinato.serving.json_text import json_of
from ostinato.serving.refused import RefusedError


@dataclass(frozen=True)
class _Route:
    """What the guard counts a request by."""

    path: str = "/v1/models/{model}/sessions/{session}/step"


_ROUTE = _Route()


class DirectSteps:
    """Answers `POST /v1/models/NAME/sessions/ID/step`; everything else, and whatever is odd, goes on to the routes,
    whose route of that name describes it.

    Args:
        app: the routes.
        house: what is served.
        access: knows tokens.
    """

    def __init__(self, app: ASGIApp, house: House, access: Access) -> None:
        self._app, self._house, self._access = app, house, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let it pass."""
        parts: list[str] = scope["path"].split("/") if scope["type"] == "http" and scope["method"] == "POST" else []
        if len(parts) != 7 or parts[4] != "sessions" or parts[6] != "step" or parts[1:3] != ["v1", "models"]:
            await self._app(scope, receive, send)
            return
        scope["route"] = _ROUTE
        try:
            owner = self._access.owner(_header(scope, b"authorization"))
            self._access.count(owner, scope)
            served = await self._house.found(parts[3])
            body = _body(await _read(receive))
            engine = served.engine_of(parts[5])
            answer = await engine.do(operation(engine.sessions, owner, "step", parts[5], body))
        except OstinatoError as error:
            await send_problem(send, error)
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def _body(text: bytes) -> dict[str, object]:
    try:
        found = json_of(text)
    except ValueError as error:
        raise RefusedError(422, f"a body of JSON was expected. Received: {text[:60]!r}: {error}.") from error
    if not isinstance(found, dict):
        raise RefusedError(422, f'a body like {{"inputs": …}} was expected. Received: {text[:60]!r}.')
    return found
