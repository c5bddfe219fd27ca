"""A real server as a process: sessions of several tasks, killed and started again, told to stop, and asked in vain."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import Cli
from tests.serving import RUNS, Server, start_server
from websockets.sync.client import connect

import ostinato
from ostinato.serving.refused import RefusedError

SERVED = {"lm": "language_model_characters", "waves": "classifier_long_table", "loads": "forecaster_direct"}
TEXT = "a seal ran. the owl hears a seal"


def _start(folder: Path) -> Server:
    key, store = folder / "key", folder / "sessions.db"
    key.write_bytes(b"k" * 32)
    words = [*(f"{name}={RUNS / run}" for name, run in SERVED.items()), f"films={RUNS / 'classifier_text'}"]
    kept = ["--store", f"sqlite:{store}", "--key-file", str(key), "--history", "64"]
    return start_server([*words, *kept, "--request-s", "2"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    found = _start(folder)
    yield found
    found.process.kill()
    found.process.wait()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[ostinato.Client]:
    with ostinato.Client(server.url) as found:
        yield found


INPUTS: dict[str, Any] = {
    "lm": TEXT,
    "waves": np.random.default_rng(0).normal(size=(12, 2)).round(3).tolist(),
    "loads": np.random.default_rng(1).normal(size=(12, 2)).round(3).tolist(),
}


@pytest.mark.parametrize("model", SERVED)
def test_sessions_cut_forked_and_rewound_answer_as_a_cold_run(client: ostinato.Client, model: str) -> None:
    inputs, random = INPUTS[model], np.random.default_rng(3)
    cold = client.score(model, inputs)
    session, at = client.session(model), 0
    while at < len(inputs):
        some = int(random.integers(1, 5))
        assert session.step(inputs[at : at + some])["answers"] == cold[at : at + some]
        at += some
    fork = session.fork()
    fork.rewind(5)
    kept = client.restore(model, fork.snapshot())
    for one in (fork, kept):
        assert one.step(inputs[5:9], "last")["answers"] == cold[8:9]
    assert session.peek() == client.restore(model, session.snapshot()).peek()
    session.delete()
    with pytest.raises(RefusedError, match="it was deleted") as refused:
        session.step(inputs[:1])
    assert refused.value.status == 410


def test_a_session_writes_as_the_run_would(client: ostinato.Client) -> None:
    one, other = client.session("lm"), client.session("lm")
    for session in (one, other):
        session.step("a seal")
    assert one.generate(30, seed=5) == other.generate(11, seed=5) + other.generate(19)
    assert list(one.stream(20)) == other.generate(20)
    assert one.step("a")["sequence"] == one.about()["sequence"]
    run = ostinato.load(RUNS / SERVED["lm"])
    assert "".join(client.generate("lm", "a seal", max_new_tokens=30, seed=5)) == "".join(
        run.stream("a seal", max_new_tokens=30, seed=5)
    )


def test_predictions_are_those_of_the_run(client: ostinato.Client, tmp_path: Path) -> None:
    rows = ["a film", "a good film"]
    there = [one.label for one in ostinato.load(RUNS / "classifier_text").predict(rows)]
    assert [one["label"] for one in client.predict("films", rows)] == there
    (tmp_path / "t.csv").write_text("text\n" + "\n".join(rows))
    assert [one["label"] for one in client.predict("films", tmp_path / "t.csv")] == there
    with pytest.raises(RefusedError, match="a bidirectional layer reads from the end"):
        client.session("films")


def test_many_at_once(server: Server) -> None:
    async def go() -> list[Any]:
        async with ostinato.AsyncClient(server.url) as client:

            async def one(n: int) -> Any:
                session = await client.session("lm")
                said = [(await session.step(letter))["answers"][0] for letter in TEXT[n:]]
                return said, await client.score("lm", TEXT[n:])

            return list(await asyncio.gather(*(one(n) for n in range(8))))

    for said, cold in asyncio.run(go()):
        assert said == cold


def test_many_sessions_through_one_socket(server: Server, client: ostinato.Client) -> None:
    cold = [one["nll"] for one in client.score("lm", TEXT)]
    with connect(server.url.replace("http", "ws") + "/v1/stream") as stream:
        stream.send(json.dumps([{"op": "create", "model": "lm"}] * 20))
        ids = [one["result"]["session"] for one in json.loads(stream.recv())]
        for letter in TEXT:
            stream.send(json.dumps([{"op": "step", "model": "lm", "session": id, "inputs": letter} for id in ids]))
        for nll in cold:
            told = json.loads(stream.recv())
            assert [one["result"]["answers"][0]["nll"] for one in told] == [nll] * 20


def test_what_can_not_be_served(cli: Cli, tmp_path: Path) -> None:
    run = RUNS / SERVED["lm"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = cli("serve", run, "--port", port)
    assert found.code == 1
    assert f"can't listen at 127.0.0.1, port {port}: Address already in use" in found.err
    assert "--port 0" in found.err
    (tmp_path / "tokens").write_text("ada short\n")
    for words, says in (
        ([tmp_path / "none"], "no run directory"),
        ([run, f"lm={run}", f"lm={run}"], "both called lm"),
        ([run, "--store", "mysql:x"], "must be memory, sqlite:FILE or redis://HOST:PORT. Received: mysql:x"),
        ([run, "--store", "redis://127.0.0.1:1"], "must name a Redis that answers. Received: redis://127.0.0.1:1"),
        ([run, "--token-file", tmp_path / "tokens"], "tokens:1 must be a name and a token of 16 characters"),
        ([run, "--token-file", tmp_path / "no"], "must name a text file"),
        ([run, "--key-file", tmp_path / "tokens"], "must hold 32 bytes or more"),
        ([run, "--tls-key", tmp_path / "tokens"], "only apply together"),
    ):
        found = cli("serve", *words, "--port", 0)
        assert found.code == 1
        assert says in found.err


def test_who_is_too_slow_is_closed(server: Server) -> None:
    """A head that never ends, and a body that never comes, hold nothing."""
    host, port = server.url.removeprefix("http://").split(":")
    whole = (
        b"POST /v1/models/lm/score HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        b"content-type: application/json\r\ncontent-length: 50\r\n\r\n"
    )
    answers = list[bytes]()
    with (
        socket.create_connection((host, int(port)), 30) as head,
        socket.create_connection((host, int(port)), 30) as body,
    ):
        head.sendall(whole[:40])
        body.sendall(whole + b'{"inputs":')
        for one in (head, body):
            answers.append(b"")
            while part := one.recv(4096):
                answers[-1] += part
                if b"}" in answers[-1]:
                    break
    assert answers[0] == b""
    assert answers[1].startswith(b"HTTP/1.1 408 ")
    assert b"within 2 s. Received: nothing." in answers[1].replace(b'","status":408,"detail":"', b" ")


def test_killed_and_started_again_it_goes_on_and_stops_when_told(server: Server, folder: Path) -> None:
    """The last one: it ends the server of all the others."""
    with ostinato.Client(server.url) as client:
        cold = client.score("lm", TEXT)
        session = client.session("lm")
        session.step(TEXT[:9])
        session.step(TEXT[9:11])
        sent = session._numbered("step", {"inputs": TEXT[11], "answers": "each"})
        said = client.call(sent)
    server.process.kill()
    server.process.wait()
    again = _start(folder)
    with ostinato.Client(again.url) as client:
        assert client.call(sent) == said  # as who had no answer before the server died
        session._client, session.sequence = client, said["sequence"]
        assert session.step(TEXT[12:])["answers"] == cold[12:]
        session.rewind(4)
        assert session.step(TEXT[4:7])["answers"] == cold[4:7]
        stream = client.generate("lm", "a", max_new_tokens=3000, seed=1)
        begin = next(stream)
        again.process.send_signal(signal.SIGTERM)
        assert len(begin + "".join(stream)) == 3000  # what has begun is ended
    assert again.process.wait(30) == 0
