"""Whom a request is meant for: a page of another name that leads to this machine reads nothing."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from ostinato.serving.access import LOOPBACK
from ostinato.serving.guard import Guard
from ostinato.serving.metrics import Metrics


async def _secret(_: Request) -> Response:
    return PlainTextResponse("secret")


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("secret")
    await socket.close()


def _client(hosts: frozenset[str]) -> TestClient:
    app = Starlette(routes=[Route("/", _secret, methods=["GET", "POST"]), WebSocketRoute("/stream", _socket)])
    return TestClient(Guard(app, Metrics(), 1000, 5.0, hosts), base_url="http://127.0.0.1:8000")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "127.0.0.1"])
def test_a_machines_own_names_are_answered(host: str) -> None:
    client = _client(LOOPBACK)
    assert client.get("/", headers={"host": host}).text == "secret"
    with client.websocket_connect("/stream", headers={"host": host}) as socket:
        assert socket.receive_text() == "secret"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "localhost.evil", "[::1"]
)
def test_other_names_are_not(host: str) -> None:
    client = _client(LOOPBACK)
    found = client.get("/", headers={"host": host})
    assert found.status_code == 421
    assert "a request to 127.0.0.1, ::1, localhost was expected" in found.json()["title"]
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/stream", headers={"host": host}):
        pass


def test_where_tokens_guard_a_server_any_name_will_do() -> None:
    assert _client(frozenset()).get("/", headers={"host": "models.example"}).text == "secret"


def test_a_page_of_another_site_changes_nothing() -> None:
    client = _client(LOOPBACK)
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://[::1"},
        {"sec-fetch-site": "cross-site"},
    ):
        assert client.post("/", headers=headers).status_code == 403, headers
        assert client.get("/", headers=headers).status_code == 200  # which such a page can't read
    own = {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}
    assert client.post("/", headers=own).text == client.post("/").text == "secret"
    assert _client(frozenset()).post("/", headers={"origin": "https://evil.example"}).text == "secret"
