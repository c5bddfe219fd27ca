"""Sound as it comes, over HTTP and the WebSocket: a running answer, byte for byte that of the whole sound."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient, WebSocketTestSession
from tests.unit.serving.conftest import Start

import ostinato
from ostinato.arrays import Array
from ostinato.errors import RowError
from ostinato.recipe import build_recipe
from ostinato.serving.served import Config
from ostinato.serving.session import Depth
from ostinato.serving.sessions import Sessions
from ostinato.serving.snapshot import Seal
from ostinato.serving.sqlite_store import SqliteStore
from ostinato.tasks.sound_streaming import as_it_comes
from ostinato.tasks.streaming import StreamingModel
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe

soundfile = pytest.importorskip("soundfile")
RATE = 8000
DIGITS = {"one": (300, 900), "two": (1200, 500), "three": (700, 700)}
"""The pitches that a digit begins and ends with."""
SPOKEN = "/v1/models/spoken/sessions"


def _digit(word: str, seed: int) -> Array:
    """16-bit samples of a glide between two pitches in noise, of about a fifth of a second."""
    draw = np.random.default_rng(seed)
    count, (begin, end) = int(draw.integers(1300, 1800)), DIGITS[word]
    hz = np.linspace(begin, end, count) * draw.uniform(0.95, 1.05)
    wave = 0.3 * np.sin(2 * np.pi * np.cumsum(hz) / RATE) + 0.01 * draw.normal(size=count)
    return np.asarray(np.round(wave * 32767), dtype=np.int16)


def _train(folder: Path, **options: Any) -> ostinato.Run:
    """Trained on digits that are "spoken" here."""
    rows = []
    for number in range(60):
        word = list(DIGITS)[number % 3]
        soundfile.write(folder / f"{number}.wav", _digit(word, number), RATE)
        rows.append(json.dumps({"sound": f"{number}.wav", "digit": word}))
    (folder / "digits.jsonl").write_text("\n".join(rows))
    recipe = {
        "data": {"train": str(folder / "digits.jsonl"), "input": "sound", "target": "digit"},
        "features": {"input": {"kind": "audio", "sample_rate": RATE, "num_mels": 12, **options}},
        "model": {"cell": "gru", "hidden_size": 12, "bidirectional": False, "pooling": ["last", "mean"]},
        "training": {
            "epochs": 1,
            "batch_size": 2,
            "learning_rate": 0.01,
            "num_threads": 1,
            "baselines_seconds": 0,
        },
    }
    return ostinato.load(train_recipe(build_recipe(recipe), folder / "run", Observer()))


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> ostinato.Run:
    return _train(tmp_path_factory.mktemp("spoken"))


@pytest.fixture
def client(start: Start, spoken: ostinato.Run) -> TestClient:
    return start(more={"spoken": spoken})


def _post(client: TestClient, path: str, body: Any = None) -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code < 300, answer.text
    return answer.json()


def _b64(samples: Array) -> dict[str, str]:
    name = samples.dtype.name
    return {name: base64.b64encode(samples.tobytes()).decode()}


def _cut(samples: Array, seed: int) -> Iterator[Array]:
    draw, at = np.random.default_rng(seed), 0
    while at < len(samples):
        size = int(draw.choice([1, 7, 79, 80, 81, 400]))
        yield samples[at : at + size]
        at += size


def test_a_running_answer_on_spoken_digits(client: TestClient, spoken: ostinato.Run, tmp_path: Path) -> None:
    right = 0
    for seed in range(100, 109):
        word = list(DIGITS)[seed % 3]
        samples = _digit(word, seed)
        soundfile.write(tmp_path / "new.wav", samples, RATE)
        (whole,) = spoken.predict([str(tmp_path / "new.wav")])
        session = _post(client, SPOKEN, {"sample_rate": RATE})["session"]
        running = list[Any]()
        for piece in _cut(samples, seed):
            running += _post(client, f"{SPOKEN}/{session}/step", {"inputs": _b64(piece)})["answers"]
        assert _peek(client, session) == running[-1]
        owed = client.get(f"{SPOKEN}/{session}/finish").json()["answers"]
        assert owed[-1]["label"] == whole.label
        told = whole.to_dict()
        assert owed[-1]["probabilities"] == pytest.approx(told["probabilities"], abs=1e-5)
        right += owed[-1]["label"] == word
        in_one = _post(client, "/v1/models/spoken/score", {"inputs": (samples / 32768).tolist()})
        assert [*running, *owed] == in_one["answers"]
    assert right >= 8


def _peek(client: TestClient, session: str) -> Any:
    return client.get(f"{SPOKEN}/{session}/peek").json()["answer"]


def test_samples_left_over_are_part_of_a_session(client: TestClient) -> None:
    samples = _digit("two", 5)
    cold = _post(client, "/v1/models/spoken/score", {"inputs": _b64(samples)})["answers"]
    one = _post(client, SPOKEN)["session"]
    said = _post(client, f"{SPOKEN}/{one}/step", {"inputs": _b64(samples[:790])})
    assert said["steps"] == 9  # of 80 samples, and 70 wait
    assert said["answers"] == cold[:7]  # a frame has 200 samples
    other = _post(client, f"{SPOKEN}/{one}/fork")["session"]
    kept = client.get(f"{SPOKEN}/{one}/snapshot").content
    third = client.post(f"{SPOKEN}/restore", content=kept).json()["session"]
    for id in (one, other, third):
        rest = _post(client, f"{SPOKEN}/{id}/step", {"inputs": _b64(samples[790:])})["answers"]
        assert [*said["answers"], *rest, *client.get(f"{SPOKEN}/{id}/finish").json()["answers"]] == cold
    for to in (8, 1, 0):  # what had come of the next step is dropped
        assert _post(client, f"{SPOKEN}/{one}/rewind", {"to": to})["steps"] == to
        again = _post(client, f"{SPOKEN}/{one}/step", {"inputs": _b64(samples[to * 80 : to * 80 + 250])})
        assert again["answers"] == cold[max(to - 2, 0) : to + 1]
        assert _post(client, f"{SPOKEN}/{one}/rewind", {"to": to + 3})["steps"] == to + 3
        once_more = _post(client, f"{SPOKEN}/{one}/step", {"inputs": _b64(samples[(to + 3) * 80 : (to + 4) * 80])})
        assert once_more["answers"] == cold[to + 1 : to + 2]


def _ask(socket: WebSocketTestSession, *asked: dict[str, Any]) -> Any:
    socket.send_json([{"model": "spoken", **one} for one in asked])
    return [one["result"] for one in socket.receive_json()]


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_binary_frames_of_many_sounds(client: TestClient, dtype: str) -> None:
    sounds = [_digit(word, 7) for word in DIGITS]
    cold = [_post(client, "/v1/models/spoken/score", {"inputs": _b64(one)})["answers"] for one in sounds]
    with client.websocket_connect("/v1/stream") as socket:
        ids = [one["session"] for one in _ask(socket, *[{"op": "create", "sample_rate": RATE}] * 3)]
        attached = _ask(socket, *[{"op": "attach", "session": id, "answers": "last"} for id in ids])
        for at in range(0, 1000, 333):
            data = {"int16": b"\2\0\0\0", "float32": b"\1\0\0\0"}[dtype]
            for one, sound in zip(attached, sounds, strict=True):
                part = sound[at : at + 333]
                as_sent = part.tobytes() if dtype == "int16" else (part / np.float32(32768)).astype("<f4").tobytes()
                data += struct.pack("<II", one["handle"], len(part)) + as_sent
            socket.send_bytes(data)
            come = min(at + 333, len(sounds[0])) // 80
            for told, should in zip(socket.receive_json(), cold, strict=True):
                assert told["result"]["answers"] == [should[come - 3]]
        for id, sound, should in zip(ids, sounds, cold, strict=True):
            _ask(socket, {"op": "step", "session": id, "inputs": _b64(sound[1332:])})
            assert _ask(socket, {"op": "finish", "session": id})[0]["answers"][-1] == should[-1]


def test_what_is_no_sound_of_this_model(client: TestClient, start: Start, spoken: ostinato.Run) -> None:
    facts = next(one for one in client.get("/v1/models").json()["models"] if one["name"] == "spoken")
    assert (facts["sample_rate"], facts["samples_a_step"]) == (RATE, 80)
    problem = client.post(SPOKEN, json={"sample_rate": 16000}).json()
    assert problem["title"] == "sound of 8,000 samples a second was expected: resampling looks ahead."
    assert problem["detail"] == "Received: 16,000."
    assert problem["hint"] == "ffmpeg -i IN.wav -ac 1 -ar 8000 OUT.wav"
    assert "does not apply" in str(client.post("/v1/models/small/sessions", json={"sample_rate": 8000}).json())
    session = _post(client, SPOKEN)["session"]
    for inputs, says in (
        ([], "samples of sound, one channel"),
        ("0.wav", "must be numbers"),
        ([[0.5, 0.5]], "samples of sound, one channel"),
        (["0.5"], "samples of sound, one channel"),
        ([0, 16384], "those of 16 bits are sent as"),
        ({"int16": "AAA"}, "samples of sound, one channel"),
        ({"int16": "AA=="}, "samples of sound, one channel"),
        ({"int8": "AAAA"}, "samples of sound, one channel"),
        ({"float32": _b64(np.float32([np.nan]))["float32"]}, "NaN or infinite"),
    ):
        answer = client.post(f"{SPOKEN}/{session}/step", json={"inputs": inputs})
        assert answer.status_code == 422
        assert says in answer.text, inputs
    assert client.get(f"{SPOKEN}/{session}/finish").json()["answers"] == []
    few = start(more={"spoken": spoken}, limits=replace(Config().limits, max_steps=3))
    session = _post(few, SPOKEN)["session"]
    assert few.post(f"{SPOKEN}/{session}/step", json={"inputs": [0.0] * 300}).status_code == 422


def test_a_run_that_reads_a_beginning_or_needs_a_whole_sound(tmp_path: Path, spoken: ostinato.Run) -> None:
    feature = spoken.features.input
    short = replace(spoken.features, input=_with(feature, max_seconds=0.05))
    model = as_it_comes(spoken.spec.streaming(spoken.model, spoken.features, spoken.recipe), short)
    sessions = _sessions(model)
    id = json.loads(sessions.do(sessions.create("ada")))["session"]
    said = json.loads(sessions.do(sessions.step("ada", id, _digit("one", 0) / 32768)))
    assert said["steps"] == 5  # 400 samples
    with pytest.raises(RowError, match=r"reads 0.05 s of a sound"):
        sessions.do(sessions.step("ada", id, [0.0]))
    rowwise = replace(spoken.features, input=_with(feature, normalize="row"))
    with pytest.raises(ostinato.errors.RunError, match=r"can't be read step by step: `features.input.normalize: row`"):
        spoken.spec.streaming(spoken.model, rowwise, spoken.recipe)


def _with(feature: Any, **options: Any) -> Any:
    return type(feature)(feature.recipe.model_copy(update=options), feature.mean, feature.std)


def _sessions(model: StreamingModel, file: Path | None = None) -> Sessions:
    store = None if file is None else SqliteStore(file, "spoken", "w0")
    return Sessions(model, Seal(model, "w0", "classification", b"key"), store, depth=Depth(12, 4))


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_whatever_is_done_to_a_sound(
    data: st.DataObject, spoken: ostinato.Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Pieces, rewinds, forks, snapshots and restarts: each session answers as its own samples do."""
    model = as_it_comes(spoken.spec.streaming(spoken.model, spoken.features, spoken.recipe), spoken.features)
    file = tmp_path_factory.mktemp("store") / "s.db"
    sessions = _sessions(model, file)
    noise = np.random.default_rng(0).normal(size=20_000).astype(np.float32) * np.float32(0.1)
    heard: dict[str, Array] = {json.loads(sessions.do(sessions.create("ada")))["session"]: noise[:0]}
    for action in data.draw(st.lists(st.sampled_from("sssssrftk"), min_size=3, max_size=14)):
        id = data.draw(st.sampled_from(list(heard)))
        if action == "s":
            at, size = data.draw(st.integers(0, 9000)), data.draw(st.integers(1, 700))
            heard[id] = np.concatenate([heard[id], noise[at : at + size]])
            sessions.do(sessions.step("ada", id, noise[at : at + size], "last"))
        elif action == "r":
            first = json.loads(sessions.do(sessions.about("ada", id)))["first_step"]
            to = data.draw(st.integers(first, len(heard[id]) // 80))
            sessions.do(sessions.rewind("ada", id, to))
            heard[id] = heard[id][: to * 80]
        elif action == "k":
            sessions.live.close()
            sessions = _sessions(model, file)
        else:
            made = sessions.fork("ada", id)
            if action == "t":
                made = sessions.restore("ada", sessions.do(sessions.snapshot("ada", id)))
            heard[json.loads(sessions.do(made))["session"]] = heard[id]
    for id, samples in heard.items():
        cold = _sessions(model)
        same = json.loads(cold.do(cold.create("ada")))["session"]
        if len(samples):
            cold.do(cold.step("ada", same, samples, "none"))
        assert sessions.live.find("ada", id).state.tobytes() == cold.live.find("ada", same).state.tobytes()
    sessions.live.close()
