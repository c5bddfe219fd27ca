"""What strangers try: other people's sessions, more sessions than there may be, bodies byte by byte, markup in data."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send
from tests.unit.serving.conftest import OLD_RUNS, Start

from ostinato.run import load
from ostinato.serving.guard import Guard
from ostinato.serving.live import Limits
from ostinato.serving.metrics import Metrics

SESSIONS, LINES = "/v1/models/small/sessions", {"content-type": "application/x-ndjson"}
ADA, BOB = ({"authorization": f"Bearer {letter * 20}"} for letter in "AB")
TOKENS = {hashlib.sha256(letter.encode() * 20).hexdigest(): name for letter, name in (("A", "ada"), ("B", "bob"))}


def test_other_peoples_sessions_are_as_if_they_were_not_there(start: Start) -> None:
    client = start(tokens=TOKENS)
    s = f"{SESSIONS}/{client.post(SESSIONS, headers=ADA).json()['session']}"
    client.post(f"{s}/step", json={"inputs": [1, 2]}, headers=ADA)
    missing = f"{SESSIONS}/{'x' * 22}"
    for method, what, body in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("GET", "/peek", None),
        ("GET", "/finish", None),
        ("GET", "/snapshot", None),
        ("POST", "/fork", None),
        ("POST", "/step", {"inputs": [1]}),
        ("POST", "/generate", {}),
        ("POST", "/rewind", {"to": 0}),
    ):
        theirs, none = (client.request(method, one + what, json=body, headers=BOB) for one in (s, missing))
        assert (theirs.status_code, none.status_code) == (404, 404), what
        assert theirs.text.replace(s.rpartition("/")[2], "") == none.text.replace("x" * 22, "")
    with client.websocket_connect("/v1/stream", headers=BOB) as socket:
        for op in ("step", "peek", "about", "fork", "delete", "rewind", "generate"):
            more = {"step": {"inputs": 1}, "rewind": {"to": 0}}.get(op, {})
            socket.send_json({"op": op, "model": "small", "session": s.rpartition("/")[2], **more})
            assert socket.receive_json()["status"] == 404, op
    assert client.get(s, headers=ADA).json()["steps"] == 2


def test_ten_thousand_sessions_beyond_the_limit(start: Start) -> None:
    client = start(limits=Limits(max_sessions=50))
    with client.websocket_connect("/v1/stream") as socket:
        socket.send_json([{"op": "create", "model": "small"}] * 10_050)
        said = [one["status"] for one in socket.receive_json()]
    assert (said.count(200), said.count(503)) == (50, 10_000)
    assert client.post(SESSIONS).status_code == 503
    first = client.get(SESSIONS).json()["sessions"][0]["session"]
    assert client.post(f"{SESSIONS}/{first}/step", json={"inputs": [1]}).status_code == 200
    assert client.delete(f"{SESSIONS}/{first}").status_code == 204
    assert client.post(SESSIONS).status_code == 201


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
def test_a_body_byte_by_byte(kind: str) -> None:
    """Each part comes in time, and the whole never would; lines may take their time: each of them is answered."""
    told = list[Message]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        await PlainTextResponse(str(len(body)))(scope, receive, send)

    async def slowly() -> Message:
        slowly.count += 1  # type: ignore[attr-defined]
        await asyncio.sleep(0.05)
        return {"type": "http.request", "body": b"x", "more_body": slowly.count < 25}  # type: ignore[attr-defined]

    async def said(message: Message) -> None:
        told.append(message)

    slowly.count = 0  # type: ignore[attr-defined]
    scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", kind.encode())]}
    asyncio.run(Guard(app, Metrics(), 1000, 0.6)(scope, slowly, said))
    body = b"".join(one.get("body", b"") for one in told)
    if kind.endswith("ndjson"):
        assert (told[0]["status"], body) == (200, b"25")
    else:
        assert told[0]["status"] == 408
        assert json.loads(body)["title"] == "a body of 16,384 bytes a second or more was expected."


def test_markup_in_data_stays_data(start: Start) -> None:
    client, markup = start(), "<script>alert(1)</script>"
    found: list[Any] = [
        client.post("/v1/models/films/predict", json={"rows": [markup]}),
        client.post(
            "/v1/models/films/predict", content=json.dumps(markup), headers={"content-type": "application/x-ndjson"}
        ),
        client.get(f"/v1/models/{markup}"),
        client.post(f"{SESSIONS}/{markup}/step", json={"inputs": 1}),
        client.post(f"{SESSIONS}", json={markup: 1}),
    ]
    for one in found:
        assert one.headers["content-type"].split(";")[0] in (
            "application/json",
            "application/x-ndjson",
            "application/problem+json",
        )


def test_what_makes_no_text_and_no_distribution(start: Start) -> None:
    """Found by requests made at random."""
    client = start(more={"lm": load(OLD_RUNS / "language_model_characters")})
    url = "/v1/models/lm"
    session = client.post(f"{url}/sessions").json()["session"]
    for path, body in (
        ("generate", '{"prompt": ["a"]}'),
        ("generate", '{"prompt": "\\ud800"}'),
        ("generate", '{"prompt": "a", "temperature": 1e-300}'),
        ("generate", '{"prompt": "a", "top_k": 1180591620717411303424}'),
        ("generate", '{"prompt": "a", "max_new_tokens": 9223372036854775808}'),
        ("score", '{"inputs": "\\ud800"}'),
        (f"sessions/{session}/step", '{"inputs": "\\udfff"}'),
        (f"sessions/{session}/step", '{"inputs": ["a", "\\udfff"]}'),
        (f"sessions/{session}/generate", '{"temperature": 1e-300}'),
    ):
        found = client.post(f"{url}/{path}", content=body, headers={"content-type": "application/json"})
        assert found.status_code == 422, (path, body, found.text)
    json_ = {"content-type": "application/json"}
    refused = client.post("/v1/models/films/predict", content='{"rows": ["\\ud800"]}', headers=json_)
    assert refused.status_code == 422
