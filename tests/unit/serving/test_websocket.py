"""The WebSocket: many sessions in a connection, frames of JSON and of numbers, and who is told what."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect
from tests.unit.serving.conftest import Start
from tests.unit.serving.fake import Elman, bench

from ostinato.serving.connection import MOST_IN_FRAME
from ostinato.serving.live import Limits
from ostinato.tasks.streaming import Steps


def _ask(socket: WebSocketTestSession, *asked: dict[str, Any]) -> Any:
    whole = [{"model": "small", **one} for one in asked]
    socket.send_json(whole if len(whole) > 1 else whole[0])
    return socket.receive_json()


def test_several_steps_of_several_sessions_in_a_frame(start: Start) -> None:
    with start().websocket_connect("/v1/stream") as socket:
        a, b = (one["result"]["session"] for one in _ask(socket, {"op": "create"}, {"op": "create"}))
        said = _ask(
            socket,
            {"op": "step", "session": a, "inputs": 1, "id": "first"},
            {"op": "step", "session": b, "inputs": [2, 3]},
            {"op": "step", "session": a, "inputs": 2, "answers": "last"},
        )
        assert [one.get("id") for one in said] == ["first", None, None]
        assert [one["result"]["steps"] for one in said] == [1, 2, 2]
        whole = _ask(socket, {"op": "create"})["result"]["session"]
        told = _ask(socket, {"op": "step", "session": whole, "inputs": [1, 2]})["result"]["answers"]
        assert [said[0]["result"]["answers"][0], said[2]["result"]["answers"][0]] == told
        assert _ask(socket, {"op": "peek", "session": a})["result"]["answer"] == told[1]
        assert _ask(socket, {"op": "rewind", "session": a, "to": 1})["result"]["steps"] == 1
        assert _ask(socket, {"op": "fork", "session": a})["result"]["steps"] == 1
        assert _ask(socket, {"op": "generate", "session": a, "max_new_tokens": 2})["status"] == 200
        assert _ask(socket, {"op": "delete", "session": a}) == {"status": 200, "result": None}
        assert _ask(socket, {"op": "about", "session": a})["status"] == 410


def test_mistakes_are_answered_in_their_place(start: Start) -> None:
    with start(limits=Limits(max_steps=5)).websocket_connect("/v1/stream") as socket:
        s = _ask(socket, {"op": "create"})["result"]["session"]
        said = _ask(
            socket,
            {"op": "step", "session": s, "inputs": 1},
            {"op": "step", "session": s, "inputs": 99},
            {"op": "stpe", "session": s},
            {"op": "step", "session": s, "input": 1},
            {"op": "step", "session": "nobody's", "inputs": 1},
            {"op": "step", "session": s, "inputs": 1, "model": "smal"},
            {"op": "attach", "session": s, "channels": 0},
            {"op": "step", "session": s, "inputs": 2},
        )
        assert [one["status"] for one in said] == [200, 422, 422, 422, 404, 404, 422, 200]
        assert said[2]["problem"]["detail"] == "Received: 'stpe'."
        assert said[-1]["result"]["steps"] == 2
        for rubbish in ("{", "[1]", "3", "[" * 100_000):
            socket.send_text(rubbish)
            found = socket.receive_json()
            assert (found[0] if isinstance(found, list) else found)["status"] == 422


class Numbers(Elman):
    """Reads numbers: each rounded is a token."""

    def encode(self, given: Any) -> Steps:
        return super().encode([round(one) for one in given] if isinstance(given, list) else given)


def test_names_that_can_not_be_sent_back(start: Start) -> None:
    """What can be read as JSON and not be written: its connection still answers."""
    with start().websocket_connect("/v1/stream") as socket:
        for id in ('"\\ud800"', "NaN"):
            socket.send_text(f'{{"op":"peek","model":"small","session":"?","id":{id}}}')
            told = json.loads(socket.receive_text())
            assert told["status"] == 422, told
            assert told["problem"]["title"] == "`id` must be a text or a number."
        socket.send_text('{"op":"peek","model":"small","session":"?","id":[1]}')
        assert json.loads(socket.receive_text())["id"] == [1]


def test_one_request_that_is_odd_is_refused_alone(start: Start) -> None:
    deep = "[" * 900 + "]" * 900
    good = '{"op":"create","model":"small","id":123456789012345678901234567890}'
    odd = [
        f'{{"op":"about","model":"small","session":"x","id":{deep}}}',
        f'{{"op":"about","model":"small","session":{deep}}}',
        f'{{"op":"about","model":{deep}}}',
        f'{{"op":"step","model":"small","session":"x","inputs":1,"answers":{deep}}}',
        f'{{"op":"step","model":"small","session":"x","inputs":{deep}}}',
        '{"op":[1],"model":"small","session":"x"}',
        '{"op":{},"model":"small","session":"x"}',
        deep,
    ]
    with start().websocket_connect("/v1/stream") as socket:
        socket.send_text(f"[{good},{','.join(odd)},{good}]")
        said = socket.receive_json()
        assert [one["status"] for one in said] == [200, *[422] * len(odd), 200]
        assert said[-1]["id"] == 123456789012345678901234567890
        for one in (*odd, "[" * 100_000):
            socket.send_text(one)
        told = [socket.receive_json() for _ in range(len(odd) + 1)]
        assert [(one[0] if isinstance(one, list) else one)["status"] for one in told] == [422] * (len(odd) + 1)
    session = start().post("/v1/models/small/sessions").json()["session"]
    for depth in (200, 900, 100_000):
        body = '{"inputs":' + "[" * depth + "]" * depth + "}"
        for path in (f"{session}/step", f"{session}/generate", ""):
            found = start().post(f"/v1/models/small/sessions/{path}".rstrip("/"), content=body)
            assert (found.status_code, found.json()["status"]) == (422, 422), (path, depth)


def test_a_frame_of_too_many_requests(start: Start) -> None:
    with start().websocket_connect("/v1/stream") as socket:
        socket.send_text("[" + ",".join(["0"] * (MOST_IN_FRAME + 1)) + "]")
        assert json.loads(socket.receive_text())["status"] == 413
        socket.send_bytes(b"\1\0\0\0" + (b"\0" * 8) * (MOST_IN_FRAME + 1))
        assert json.loads(socket.receive_text())["status"] in (413, 422)  # there is no handle 0 yet
        _ask(socket, {"op": "attach", "session": _ask(socket, {"op": "create"})["result"]["session"]})
        socket.send_bytes(b"\1\0\0\0" + (b"\0" * 8) * (MOST_IN_FRAME + 1))
        assert json.loads(socket.receive_text())["status"] == 413


def test_numbers_in_binary_frames(start: Start) -> None:
    with start(bench(make=Numbers)).websocket_connect("/v1/stream") as socket:
        ids = [_ask(socket, {"op": "create"})["result"]["session"] for _ in range(2)]
        handles = [_ask(socket, {"op": "attach", "session": id})["result"]["handle"] for id in ids]
        assert handles == [0, 1]
        data = b"\1\0\0\0"
        for handle, values in zip(handles, ([1.0, 2.0], [3.0]), strict=True):
            data += struct.pack("<II", handle, len(values)) + np.array(values, "<f4").tobytes()
        socket.send_bytes(data)
        assert [one["result"]["steps"] for one in socket.receive_json()] == [2, 1]
        socket.send_bytes(b"\2\0\0\0" + struct.pack("<II", 0, 1) + np.array([16384], "<i2").tobytes())
        assert socket.receive_json()[0]["result"]["steps"] == 3
        for wrong in (b"", b"\3\0\0\0", data[:-1], b"\1\0\0\0" + struct.pack("<II", 7, 0), b"\1\0\0\0\0"):
            socket.send_bytes(wrong)
            assert socket.receive_json()["status"] == 422


def test_who_may_connect(start: Start) -> None:
    import hashlib

    tokens = {hashlib.sha256(b"A" * 20).hexdigest(): "ada"}
    guarded, free = start(tokens=tokens), start()
    for client, url, headers in (
        (guarded, "/v1/stream", {}),
        (guarded, "/v1/stream?token=wrong", {}),
        (free, "/v1/stream", {"origin": "https://elsewhere.example"}),
        (free, "/v1/stream", {"origin": "http://[::1"}),
    ):
        with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect(url, headers=headers):
            pass
        assert refused.value.code in (1008, 1006)
    for url, headers in (("/v1/stream?token=" + "A" * 20, {}), ("/v1/stream", {"authorization": "Bearer " + "A" * 20})):
        with guarded.websocket_connect(url, headers=headers) as socket:
            assert _ask(socket, {"op": "create"})["status"] == 200
    with free.websocket_connect("/v1/stream", headers={"origin": "http://testserver"}) as socket:
        assert _ask(socket, {"op": "create"})["status"] == 200


def test_who_has_a_session_is_told_that_it_ended(start: Start) -> None:
    b = bench(limits=Limits(idle_s=10))
    with start(b).websocket_connect("/v1/stream") as socket:
        s = _ask(socket, {"op": "create"})["result"]["session"]
        b.clock.now += 11
        told: Sequence[Any] = [_ask(socket, {"op": "create"}), socket.receive_json()]
        ended = next(one for one in told if "event" in one)
        assert ended == {"event": "ended", "model": "small", "session": s, "reason": "idle"}
        assert json.dumps(told).count("status") == 1
