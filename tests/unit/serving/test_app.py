"""The application over HTTP: what it answers, and what it refuses, in three parts."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.unit.serving.conftest import OLD_RUNS, Start

from ostinato.run import load
from ostinato.serving.live import Limits

SESSIONS = "/v1/models/small/sessions"


def _session(client: TestClient, **body: Any) -> str:
    made = client.post(SESSIONS, json=body)
    assert made.status_code == 201, made.text
    return f"{SESSIONS}/{made.json()['session']}"


def _problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert found["title"]
    assert found["detail"]
    return found


def test_a_session_from_its_first_step_to_its_end(start: Start) -> None:
    client = start()
    s = _session(client, seed=4)
    told = client.post(f"{s}/step", json={"inputs": [1, 2, 3], "sequence": 1}).json()
    assert (told["steps"], told["sequence"], len(told["answers"])) == (3, 1, 3)
    assert client.post(f"{s}/step", json={"inputs": [1, 2, 3], "sequence": 1}).json() == told
    assert client.get(f"{s}/peek").json()["answer"] == told["answers"][-1]
    fork = client.post(f"{s}/fork").json()
    assert fork["steps"] == 3
    assert client.post(f"{s}/rewind", json={"to": 1}).json()["steps"] == 1
    assert client.get(f"{s}/peek").json()["answer"] == told["answers"][0]
    kept = client.get(f"{SESSIONS}/{fork['session']}/snapshot").content
    restored = client.post(f"{SESSIONS}/restore", content=kept).json()
    assert client.get(f"{SESSIONS}/{restored['session']}/peek").json()["answer"] == told["answers"][-1]
    assert len(client.get(SESSIONS).json()["sessions"]) == 3
    assert client.delete(s).status_code == 204
    assert _problem(client.get(s), 410)["reason"] == "deleted"


def test_text_comes_piece_by_piece_and_is_the_same_at_once(start: Start) -> None:
    client = start()
    one, other = _session(client), _session(client)
    whole = client.post(f"{one}/generate", json={"max_new_tokens": 40, "seed": 2}).json()
    said = client.post(
        f"{other}/generate", json={"max_new_tokens": 40, "seed": 2}, headers={"accept": "text/event-stream"}
    )
    assert said.headers["content-type"].startswith("text/event-stream")
    events = [block.split("\n") for block in said.text.strip().split("\n\n")]
    pieces = [json.loads(data.removeprefix("data: "))["frame"] for name, data in events if name == "event: piece"]
    assert pieces == whole["pieces"]
    assert events[-1][0] == "event: end"


def test_errors_have_three_parts(start: Start) -> None:
    client = start(limits=Limits(max_sessions=2, max_steps=10))
    s = _session(client)
    refused = _problem(client.post(f"{s}/step", json={"inputs": 99}), 422)
    assert refused == {"title": "`inputs` must be tokens below 7.", "status": 422, "detail": "Received: 99."}
    conflict = _problem(client.post(f"{s}/step", json={"inputs": 1, "sequence": 5}), 409)
    assert (conflict["expected"], conflict["title"][:20]) == (1, "`sequence` must be 1")
    assert "did you mean small?" in _problem(client.get("/v1/models/smal"), 404)["hint"]
    assert _problem(client.post(f"{s}/step", json={"inputs": 1, "anwsers": "each"}), 422)["title"].startswith(
        "`anwsers`"
    )
    _problem(client.post(f"{s}/step", content=b"{", headers={"content-type": "application/json"}), 422)
    _problem(client.post(f"{s}/step", json={"inputs": [1] * 11}), 422)
    _problem(client.get("/v1/nothing"), 404)
    _problem(client.put(s), 405)
    _problem(client.get(f"{SESSIONS}/unknown"), 404)
    _problem(client.post(f"{SESSIONS}/restore", content=b"junk"), 422)
    _session(client)
    assert _problem(client.post(SESSIONS), 503)["title"] == "there are at most 2 live sessions."
    assert "read step by step" in _problem(client.post("/v1/models/films/sessions"), 409)["title"]


def test_what_fails_inside_is_not_told_to_strangers(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    from tests.unit.serving.fake import Elman, bench

    class Broken(Elman):
        def read(self, batch: Any) -> Any:
            raise ZeroDivisionError("a secret")

    client = start(bench(make=Broken))
    s = _session(client)
    found = _problem(client.post(f"{s}/step", json={"inputs": 1}), 500)
    assert "secret" not in json.dumps(found)
    assert "a secret" in caplog.text
    assert client.get(s).json()["steps"] == 0


def test_tokens_say_who_owns_a_session(start: Start) -> None:
    names = {hashlib.sha256(token.encode()).hexdigest(): name for name, token in (("ada", "A" * 20), ("bob", "B" * 20))}
    client = start(tokens=names)
    ada, bob = ({"authorization": f"Bearer {letter * 20}"} for letter in "AB")
    assert _problem(client.post(SESSIONS), 401)["detail"] == "Received: none."
    wrong = client.post(SESSIONS, headers={"authorization": "Bearer C"})
    assert _problem(wrong, 401)["detail"] == "Received: one that it does not know."
    assert wrong.headers["www-authenticate"] == "Bearer"
    session = client.post(SESSIONS, headers=ada).json()["session"]
    assert client.get(f"{SESSIONS}/{session}", headers=ada).status_code == 200
    _problem(client.get(f"{SESSIONS}/{session}", headers=bob), 404)
    assert client.get(SESSIONS, headers=bob).json() == {"sessions": []}
    assert client.get("/health").json() == {"status": "alive"}


def test_too_many_and_too_large(start: Start) -> None:
    client = start(per_second=0.4, max_body_bytes=300)
    s = _session(client)
    assert _problem(client.post(f"{s}/step", json={"inputs": [1] * 300}), 413)["title"].startswith(
        "a body of at most 300"
    )

    def parts() -> Any:
        yield b'{"inputs": [1' + b",1" * 100
        yield b",1" * 100 + b"]}"

    sent = client.post(f"{s}/step", content=parts(), headers={"content-type": "application/json"})
    assert _problem(sent, 413)["detail"] == "Received: more."
    limited = next(answer for answer in (client.get(s) for _ in range(5)) if answer.status_code != 200)
    assert "retry-after" in limited.headers
    assert _problem(limited, 429)["retry_after_s"] > 1


def test_predictions_of_rows_lines_and_files(start: Start) -> None:
    client, url = start(), "/v1/models/films/predict"
    rows = ["a fine film", "a bad one"]
    found = client.post(url, json={"rows": rows}).json()["predictions"]
    assert [set(one) >= {"label", "probabilities"} for one in found] == [True, True]
    lines = "\n".join(['"a fine film"', "{broken", "", '{"txt": 1}', '"a bad one"'])
    told = client.post(url, content=lines, headers={"content-type": "application/x-ndjson"}).text.strip().split("\n")
    answers = [json.loads(line) for line in told]
    assert [answers[0]["label"], answers[3]["label"]] == [one["label"] for one in found]
    assert [one.get("line") for one in answers] == [None, 2, 4, None]
    table = client.post(f"{url}?name=t.csv", content="text\n" + "\n".join(rows), headers={"content-type": "text/csv"})
    assert [one["label"] for one in table.json()["predictions"]] == [one["label"] for one in found]
    wrong = client.post(f"{url}?name=t.csv", content="txt\nfilm", headers={"content-type": "text/csv"})
    assert "/tmp" not in _problem(wrong, 422)["title"]
    for name in ("", "../../etc/passwd", "x.c/v"):
        _problem(client.post(url, params={"name": name}, content="x", headers={"content-type": "text/csv"}), 422)
    _problem(client.post(url, json={"row": rows}), 422)


def test_models_health_and_metrics(start: Start) -> None:
    client = start()
    s = _session(client)
    client.post(f"{s}/step", json={"inputs": [1, 2]})
    models = {one["name"]: one for one in client.get("/v1/models").json()["models"]}
    assert (models["small"]["sessions"], models["films"]["sessions"]) == (True, False)
    assert models["films"]["signature"]["inputs"]
    assert models["films"]["certificate"] is None
    assert client.get("/ready").json() == {"status": "ready"}
    measured = client.get("/metrics").text
    assert 'ostinato_sessions{model="small"} 1.0' in measured
    assert 'path="/v1/models/{model}/sessions/{session}/step",status="200"' in measured
    described = client.get("/openapi.json").json()
    assert "Problem" in described["components"]["schemas"]
    assert "requestBody" in described["paths"]["/v1/models/{model}/predict"]["post"]


def test_no_request_reads_a_file_of_the_server(start: Start, tmp_path: Path) -> None:
    """A cell that names a file would be one of the server's: of media, files are sent themselves."""
    wav = OLD_RUNS / "data/0.wav"
    sounds, tune = load(OLD_RUNS / "classifier_audio"), load(OLD_RUNS / "next_step_independent")
    client = start(more={"sounds": sounds, "tune": tune})
    _problem(client.post("/v1/models/sounds/predict", json={"rows": [str(wav)]}), 422)
    sent = client.post(
        "/v1/models/sounds/predict?name=0.wav", content=wav.read_bytes(), headers={"content-type": "audio/wav"}
    )
    assert sent.json()["predictions"] == [one.to_dict() for one in sounds.predict([str(wav)])]
    _problem(client.post("/v1/models/tune/generate", json={"prompt": "/x/a.mid"}), 422)
    _problem(client.post("/v1/models/tune/score", json={"inputs": "/x/a.mid"}), 422)
    s = client.post("/v1/models/tune/sessions").json()["session"]
    _problem(client.post(f"/v1/models/tune/sessions/{s}/step", json={"inputs": "/x/a.mid"}), 422)
    assert client.post(f"/v1/models/tune/sessions/{s}/step", json={"inputs": [[60, 64]]}).json()["steps"] == 1


def test_what_is_no_json_or_too_deep(start: Start) -> None:
    client = start()
    s = _session(client)
    for body in ("[" * 100_000, '{"inputs":' * 10_000, "null", "[]", "\x00", '{"inputs": NaN}'):
        for path in (f"{s}/step", f"{s}/rewind", "/v1/models/films/predict", "/v1/models/small/score"):
            answer = client.post(path, content=body, headers={"content-type": "application/json"})
            assert answer.status_code in (400, 422), (path, body[:20], answer.text)
            assert answer.headers["content-type"] == "application/problem+json"


def test_a_session_that_the_client_keeps(start: Start) -> None:
    client = start()
    first = client.post("/v1/models/small/step", json={"inputs": [1, 2]}).json()
    then = client.post("/v1/models/small/step", json={"inputs": [3, 4], "state": first["state"], "answers": "last"})
    cold = client.post("/v1/models/small/score", json={"inputs": [1, 2, 3, 4]}).json()["answers"]
    assert first["answers"] == cold[:2]
    assert (then.json()["steps"], then.json()["answers"]) == (4, cold[3:])
    restored = client.post("/v1/models/small/sessions/restore", content=base64.b64decode(first["state"])).json()
    assert restored["steps"] == 2
    assert client.get("/v1/models/small/sessions").json()["sessions"] == [restored]  # a step keeps none
    forged = base64.b64encode(base64.b64decode(first["state"])[:-1] + b"\1").decode()
    for state, status in (("no base64!", 422), ("AAAA", 422), (forged, 403)):
        _problem(client.post("/v1/models/small/step", json={"inputs": [1], "state": state}), status)


def test_units_are_changed_over_http_and_in_a_connection(start: Start) -> None:
    run = load(OLD_RUNS / "classifier_long_table")
    client, row = start(more={"table": run}), [[0.1, 0.2], [0.5, -0.4], [1.5, 0.3]]
    change = {"layer 1.h[0:2]": "= 0.9 from 1"}
    plain = client.post("/v1/models/table/predict", json={"rows": [row]}).json()["predictions"]
    changed = client.post("/v1/models/table/predict", json={"rows": [row], "intervene": change}).json()["predictions"]
    assert changed == [one.to_dict() for one in run.predict([row], intervene=change)] != plain
    sessions = "/v1/models/table/sessions"
    made = [client.post(sessions, json={}).json()["session"] for _ in range(2)]
    body = {"inputs": row, "answers": "last", "intervene": change}
    said = client.post(f"{sessions}/{made[0]}/step", json=body).json()["answers"]
    assert said[0]["probabilities"] == pytest.approx(changed[0]["probabilities"], rel=1e-5)
    with client.websocket_connect("/v1/stream") as socket:
        socket.send_json({"op": "step", "model": "table", "session": made[1], **body})
        assert socket.receive_json()["result"]["answers"] == said
    refused = _problem(client.post(f"{sessions}/{made[0]}/step", json={**body, "intervene": "layer 7.h = 0"}), 422)
    assert refused["title"].startswith("the state has the parts layer 1.h")
    assert "layer 7.h" in refused["detail"]
    _problem(client.post("/v1/models/table/predict", json={"rows": [row], "intervene": ["layer 1.h"]}), 422)
