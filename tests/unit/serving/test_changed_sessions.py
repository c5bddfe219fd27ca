"""Sessions whose steps are changed by `intervene`: what is refused, and what others notice of it: nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient
from tests.unit.serving.conftest import OLD_RUNS, Start
from tests.unit.serving.fake import Elman, bench

from ostinato.errors import OstinatoError
from ostinato.nn.carried import CarriedLayers
from ostinato.run import load
from ostinato.serving.refused import RefusedError
from ostinato.serving.sessions import Sessions
from ostinato.serving.snapshot import Seal
from ostinato.tasks import encoder_streaming
from ostinato.tasks.streaming import Read, Reading

TEXT = "acdehac"


def _sessions(scale: float = 1.0) -> Sessions:
    run = load(OLD_RUNS / "language_model_characters")
    with torch.no_grad():
        for one in run.model.encoder.layers.parameters():
            one.mul_(scale)
    model = run.spec.streaming(run.model, run.features, run.recipe)
    return Sessions(model, Seal(model, "w", "t", b"key"))


def _new(s: Sessions) -> str:
    return str(json.loads(s.do(s.create("a")))["session"])


def _answers(said: bytes) -> Any:
    assert isinstance(said, bytes), said
    return json.loads(said)["answers"]


class Overflowing(Elman):
    """Whose states are infinite after token 6."""

    def read(self, batch: Sequence[Reading]) -> list[Read]:
        found = super().read(batch)
        return [
            one._replace(state=one.state + np.float32(np.inf)) if 6 in given.steps.values else one
            for given, one in zip(batch, found, strict=True)
        ]


def test_steps_that_leave_a_state_infinite_are_refused_and_nothing_has_happened() -> None:
    s = bench(make=Overflowing).sessions
    one, other = _new(s), _new(s)
    s.do(s.step("a", one, [1, 2]))
    before = s.live.find("a", one)
    refused, said = s.do_all([s.step("a", one, [3, 6], "none"), s.step("a", other, [1, 2])])
    assert isinstance(refused, RefusedError)
    assert refused.status == 422
    assert "a session's state and answers are finite" in refused.message
    assert s.live.find("a", one) is before
    assert len(_answers(said)) == 2
    with pytest.raises(RefusedError, match="a session's state and answers are finite"):
        s.do(s.carry("a", b"", [3, 6], "none"))


def test_interventions_that_leave_a_state_infinite_are_refused_beside_others() -> None:
    s, alone = _sessions(), _sessions()
    one, other, plain = _new(s), _new(s), _new(s)
    refused, changed, untouched = s.do_all(
        [
            s.step("a", one, TEXT, intervene="layer 1.c *= 1e30"),
            s.step("a", other, TEXT, intervene="layer 1.c[1] = 2"),
            s.step("a", plain, TEXT),
        ]
    )
    assert "interventions that leave a state finite were expected. Received: layer 1" in str(refused)
    assert s.live.find("a", one).steps == 0
    assert _answers(untouched) == _answers(alone.do(alone.step("a", _new(alone), TEXT)))
    expected = alone.do(alone.step("a", _new(alone), TEXT, intervene="layer 1.c[1] = 2"))
    assert _answers(changed) == _answers(expected)
    with pytest.raises(OstinatoError, match="state finite"):
        s.do(s.write("a", other, 9, intervene="layer 1.c *= 1e30"))
    with pytest.raises(RefusedError, match=r"answers are finite were expected.*Received: Out of range"):
        s.do(s.step("a", other, TEXT, intervene="layer 2.h = 3e38"))  # the state is finite, the scores are not
    assert s.live.find("a", other).steps == len(TEXT)


def test_two_sessions_with_one_gate_changed_answer_as_alone() -> None:
    s, alone = _sessions(12), _sessions(12)
    texts, change = [TEXT, "ehaadc"], "layer 1.f[0:3] = 0.5"
    together = s.do_all([s.step("a", _new(s), text, intervene=change) for text in texts])
    for text, said in zip(texts, together, strict=True):
        assert _answers(said) == _answers(alone.do(alone.step("a", _new(alone), text, intervene=change)))


def test_what_is_changed_is_never_computed_in_the_event_loop() -> None:
    s = _sessions()
    id = _new(s)
    assert s.step("a", id, "a").small
    assert not s.step("a", id, "a", intervene="layer 1.f = 0.5").small


def test_models_that_are_changed_share_their_packed_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = list[Any]()

    class Counted(CarriedLayers):
        def __init__(self, *args: Any) -> None:
            packed.append(args)
            super().__init__(*args)

    monkeypatch.setattr(encoder_streaming, "CarriedLayers", Counted)
    s = _sessions()
    for unit in range(5):
        s.do(s.step("a", _new(s), "a", intervene=f"layer 1.c[{unit}] = 0"))
    assert len(packed) == 1 + 2  # as it is, and each of the two layers by itself


# ---- over HTTP ------------------------------------------------------------------------------------------------------
def _served(start: Start) -> tuple[TestClient, str]:
    client = start(more={"lm": load(OLD_RUNS / "language_model_characters")})
    return client, "/v1/models/lm/sessions/" + client.post("/v1/models/lm/sessions", json={}).json()["session"]


def test_events_of_what_is_changed_begin_after_what_is_refused(start: Start) -> None:
    client, s = _served(start)
    assert client.post(f"{s}/step", json={"inputs": TEXT}).status_code == 200
    as_it_comes = {"accept": "text/event-stream"}
    for change in ("nonsense", "layer 9.c = 0", "layer 1.c[0] = 1e999"):
        answer = client.post(f"{s}/generate", json={"max_new_tokens": 3, "intervene": change}, headers=as_it_comes)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
    assert client.get(s).json()["steps"] == len(TEXT)
    body = {"max_new_tokens": 40, "seed": 2, "intervene": ["layer 1.h[0:3] = 0.9 from 20", "layer 2.c *= -1"]}
    fork = "/v1/models/lm/sessions/" + client.post(f"{s}/fork").json()["session"]
    expected = client.post(f"{fork}/generate", json=body).json()
    said = client.post(f"{s}/generate", json=body, headers=as_it_comes)
    events = [block.split("\n") for block in said.text.strip().split("\n\n")]
    pieces = [json.loads(data.removeprefix("data: "))["text"] for name, data in events if name == "event: piece"]
    assert pieces == expected["pieces"]
    assert len(pieces) > 20
    assert json.loads(events[-1][1].removeprefix("data: "))["steps"] == expected["steps"]


def test_too_many_interventions_are_refused_before_they_are_read(start: Start) -> None:
    client, s = _served(start)
    for change, expected in (
        (["layer 1.c[0] = 0"] * 65, "at most 64 interventions at once were expected."),
        ("a" + " " * 300 + "!", "an intervention has at most 200 characters."),
    ):
        body = {"inputs": "a", "intervene": change}
        answer = client.post(f"{s}/step", json=body)
        assert (answer.status_code, answer.json()["title"]) == (422, expected)
        assert client.post("/v1/models/films/predict", json={"rows": ["a"], "intervene": change}).status_code == 422
        with client.websocket_connect("/v1/stream") as socket:
            socket.send_json({"op": "step", "model": "lm", "session": s.rpartition("/")[2], **body})
            assert socket.receive_json()["problem"]["title"] == expected
