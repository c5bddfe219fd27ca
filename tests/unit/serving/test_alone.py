"""What fails, fails alone: nobody else is refused or held up by it."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.redis_server import running
from tests.unit.serving.conftest import OLD_RUNS, Start
from tests.unit.serving.fake import Elman, bench

from ostinato.run import load
from ostinato.serving import reload
from ostinato.serving.house import House
from ostinato.serving.live import Limits
from ostinato.serving.redis_store import RedisStore
from ostinato.serving.refused import RefusedError
from ostinato.tasks.streaming import Read, Reading, Steps

ADA = "ada"


class Faulty(Elman):
    """Has an error of its own for some tokens."""

    def encode(self, given: Any) -> Steps:
        if given == 5:
            raise KeyError("not thought of")
        return super().encode(given)

    def read(self, batch: Sequence[Reading]) -> list[Read]:
        if any(4 in one.steps.values for one in batch):
            raise ZeroDivisionError("not thought of")
        return super().read(batch)


@pytest.mark.parametrize("bad", [4, 5])
def test_an_error_of_the_server_is_one_requests_own(bad: int) -> None:
    b = bench(make=Faulty)
    one, other = (json.loads(b.sessions.do(b.sessions.create(ADA)))["session"] for _ in range(2))
    asked = [b.sessions.step(ADA, one, 1), b.sessions.step(ADA, other, bad), b.sessions.step(ADA, one, 2)]
    first, failed, second = b.sessions.do_all(asked)
    assert isinstance(failed, KeyError | ZeroDivisionError)
    assert [json.loads(answer)["steps"] for answer in (first, second)] == [1, 2]
    assert json.loads(b.sessions.do(b.sessions.about(ADA, other)))["steps"] == 0
    with pytest.raises(type(failed)):
        b.sessions.do(b.sessions.step(ADA, other, bad))


def test_such_an_error_over_the_network(start: Start) -> None:
    with start(bench(make=Faulty)).websocket_connect("/v1/stream") as socket:
        socket.send_json([{"op": "create", "model": "small"}] * 2)
        ids = [each["result"]["session"] for each in socket.receive_json()]
        steps = [
            {"op": "step", "model": "small", "session": id, "inputs": n} for id, n in zip(ids, (1, 5), strict=True)
        ]
        socket.send_json(steps)
        well, failed = socket.receive_json()
    assert (well["status"], failed["status"]) == (200, 500)
    assert "not thought of" not in json.dumps(failed)


@pytest.mark.parametrize("id", ["\ud800", "x" * 100_000, "ä"])
def test_a_name_that_no_session_has_reaches_no_store(id: str) -> None:
    with running() as server:
        b = bench(RedisStore(server.url, "small", "w0", Limits()))
        b.clock.now = time.time()
        session = json.loads(b.sessions.do(b.sessions.create(ADA)))["session"]
        well, refused = b.sessions.do_all([b.sessions.step(ADA, session, 1), b.sessions.step(ADA, id, 1)])
    assert json.loads(well)["steps"] == 1
    assert isinstance(refused, RefusedError)
    assert refused.status == 404


def test_a_run_that_can_not_be_opened_is_looked_at_again(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "_EVERY_S", 0.02)
    folder = tmp_path / "lm"
    shutil.copytree(OLD_RUNS / "language_model_characters", folder)
    client, url = start(more={"lm": load(folder)}), "/v1/models/lm"
    first, whole = client.get(url).json()["weights"], (folder / "features.json").read_text()
    tried = list[int]()

    def fails(folder: Path) -> str:
        tried.append(1)
        raise KeyError("not thought of")

    with monkeypatch.context() as patched:
        patched.setattr(reload, "weights_of", fails)
        (folder / "features.json").write_text(whole + " ")
        for _ in range(100):
            time.sleep(0.02)
            if tried:
                break
    assert tried
    (folder / "features.json").write_text(whole.replace("{", "{ ", 1))
    for _ in range(100):
        if client.get(url).json()["weights"] != first:
            return
        time.sleep(0.05)
    raise AssertionError("it was looked at no more")


def test_a_run_that_is_opened_holds_nobody_up() -> None:
    by = list[str]()

    def more(name: str) -> None:
        by.append(f"{name}: {threading.current_thread() is threading.main_thread()}")

    with pytest.raises(RefusedError):
        asyncio.run(House({}, more).found("later"))
    assert by == ["later: False"]
