"""Sessions in a real Redis, which several servers share: who comes second, what lasts, and Redis gone in the midst."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from tests.redis_server import RedisServer, running
from tests.unit.serving.conftest import Start
from tests.unit.serving.fake import Bench, Elman, bench

from ostinato.errors import MissingLibraryError, RecipeError
from ostinato.serving.live import Limits
from ostinato.serving.redis_store import RedisStore
from ostinato.serving.refused import RefusedError
from ostinato.serving.session import Depth


class Watched(Elman):
    """Calls something once, while it reads."""

    meanwhile: Callable[[], object] | None = None

    def read(self, batch: Any) -> Any:
        call, self.meanwhile = self.meanwhile, None
        if call is not None:
            call()
        return super().read(batch)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running() as found:
        yield found


@pytest.fixture
def worker(server: RedisServer) -> Iterator[Callable[..., Bench]]:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    made = list[Bench]()

    def start(limits: Limits | None = None, weights: str = "w0", depth: Depth | None = None) -> Bench:
        limits = limits or Limits()
        store = RedisStore(server.url, "small", weights, limits)
        made.append(bench(store, limits, depth or Depth(9, 4), weights=weights, make=Watched))
        made[-1].clock.now = time.time()
        return made[-1]

    yield start
    for one in made:
        one.sessions.live.close()


def _do(b: Bench, what: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(b.sessions.do(what))
    return found


def _new(b: Bench, owner: str = "ada") -> str:
    return str(_do(b, b.sessions.create(owner))["session"])


def _cold(b: Bench, tokens: list[int]) -> list[Any]:
    return list(_do(b, b.sessions.score(tokens))["answers"])


def test_two_workers_go_on_with_one_session(worker: Callable[..., Bench]) -> None:
    a, b = worker(), worker()
    tokens = [1, 2, 3, 0, 5, 4, 1, 1, 2, 6, 0, 3]
    cold = _cold(a, tokens)
    id = _new(a)
    for at, token in enumerate(tokens):
        one = (a, b)[at % 2]
        assert _do(one, one.sessions.step("ada", id, token, sequence=at + 1))["answers"] == [cold[at]]
    there = _do(b, b.sessions.about("ada", id))
    assert there == _do(a, a.sessions.about("ada", id))
    _do(a, a.sessions.rewind("ada", id, there["first_step"] + 1))
    assert _do(b, b.sessions.peek("ada", id))["answer"] == cold[there["first_step"]]
    fork = _do(b, b.sessions.fork("ada", id))["session"]
    written = _do(a, a.sessions.write("ada", fork, 5, seed=3))
    assert written["steps"] == _do(b, b.sessions.about("ada", fork))["steps"]
    for one in (a, b, worker()):
        assert {each["session"] for each in _do(one, one.sessions.all_of("ada"))["sessions"]} == {id, fork}
        assert _do(one, one.sessions.all_of("bob")) == {"sessions": []}
        with pytest.raises(RefusedError, match="of which there is none"):
            one.sessions.do(one.sessions.peek("bob", id))
    b.sessions.do(b.sessions.delete("ada", id))
    for one in (a, worker()):
        with pytest.raises(RefusedError, match="it was deleted"):
            one.sessions.do(one.sessions.step("ada", id, 1))


def test_of_two_writers_the_second_is_told(worker: Callable[..., Bench]) -> None:
    a, b = worker(), worker()
    id = _new(a)
    a.model.meanwhile = lambda: b.sessions.do(b.sessions.step("ada", id, 2, sequence=1))
    with pytest.raises(RefusedError, match=r"must be 2, the next one.*another operation") as refused:
        a.sessions.do(a.sessions.step("ada", id, 5, sequence=1))
    assert (refused.value.status, refused.value.more) == (409, {"expected": 2})
    # the same step, sent to both: it happens once, and both say the same
    told = list[Any]()
    a.model.meanwhile = lambda: told.append(_do(b, b.sessions.step("ada", id, 3, sequence=2)))
    assert _do(a, a.sessions.step("ada", id, 3, sequence=2)) == told[0]
    # without numbers one comes after the other, as at one server
    a.model.meanwhile = lambda: told.append(_do(b, b.sessions.step("ada", id, 4)))
    last = _do(a, a.sessions.step("ada", id, 0))
    assert last["steps"] == 4
    assert last["answers"] == _cold(a, [2, 3, 4, 0])[-1:]
    a.model.meanwhile = lambda: b.sessions.do(b.sessions.delete("ada", id))
    with pytest.raises(RefusedError, match="it was deleted"):
        a.sessions.do(a.sessions.step("ada", id, 0))


def test_who_is_always_too_late_is_told_and_the_others_are_not_held_up(worker: Callable[..., Bench]) -> None:
    a, b = worker(), worker()
    id, other = _new(a), _new(a)

    def always() -> None:
        b.sessions.do(b.sessions.step("ada", id, 2))
        a.model.meanwhile = always

    a.model.meanwhile = always
    found = a.sessions.do_all([a.sessions.step("ada", id, 5), a.sessions.peek("ada", other)])
    assert isinstance(found[0], RefusedError)
    assert "that they changed 5 times" in found[0].message
    assert json.loads(found[1])["steps"] == 0


def test_redis_gone_in_the_midst_of_a_step(worker: Callable[..., Bench], server: RedisServer, start: Start) -> None:
    a = worker()
    client = start(a)
    url = "/v1/models/small/sessions"
    s = f"{url}/{client.post(url).json()['session']}"
    first = client.post(f"{s}/step", json={"inputs": [1, 2], "sequence": 1}).json()
    a.model.meanwhile = server.kill
    for _ in range(2):
        gone = client.post(f"{s}/step", json={"inputs": [3], "sequence": 2})
        assert gone.status_code == 503
        assert gone.headers["content-type"] == "application/problem+json"
        assert gone.headers["retry-after"] == "1"
        assert gone.json()["title"] == "the Redis that keeps the sessions was expected to answer."
        assert "it then happens once" in gone.json()["hint"]
    assert client.get("/health").status_code == 200
    assert client.post(url).status_code == 503
    server.start()
    assert client.post(f"{s}/step", json={"inputs": [1, 2], "sequence": 1}).json() == first
    assert (
        client.post(f"{s}/step", json={"inputs": [3], "sequence": 2}).json()["answers"]
        == _cold(worker(), [1, 2, 3])[2:]
    )


def test_redis_ends_sessions_by_their_time(worker: Callable[..., Bench], server: RedisServer) -> None:
    a, b = (worker(Limits(idle_s=0.5, max_age_s=1.5)) for _ in range(2))
    idle, used = _new(a), _new(a)
    begin = time.time()
    while time.time() - begin < 0.9:
        a.clock.now = b.clock.now = time.time()
        b.sessions.do(b.sessions.peek("ada", used))
        time.sleep(0.1)
    a.clock.now = time.time()
    a.sessions.do_all([])  # as the engine does again and again: what is over is told, what others use is not over
    assert [(one.session, one.reason) for one in a.ended] == [(idle, "idle")]
    assert _do(a, a.sessions.peek("ada", used))["steps"] == 0
    with pytest.raises(RefusedError, match="nobody used it"):
        a.sessions.do(a.sessions.peek("ada", idle))
    while time.time() - begin < 1.6:
        time.sleep(0.1)
    for one in (a, b, worker()):
        one.clock.now = time.time()
        with pytest.raises(RefusedError, match="reached its age"):
            one.sessions.do(one.sessions.peek("ada", used))
        assert _do(one, one.sessions.all_of("ada")) == {"sessions": []}
    with redis.Redis.from_url(server.url) as client:
        assert all(client.pttl(key) > 0 for key in client.scan_iter())


def test_limits_hold_for_all_workers_together(worker: Callable[..., Bench]) -> None:
    a, b = (worker(Limits(max_sessions=4, max_sessions_each=3)) for _ in range(2))
    for one in (a, b, a):
        _new(one)
    with pytest.raises(RefusedError, match="at most 3 live sessions"):
        _new(b)
    _new(b, "bob")
    with pytest.raises(RefusedError, match="at most 4 live sessions"):
        _new(a, "cleo")
    made = a.sessions.do_all([a.sessions.create("dora") for _ in range(9)])
    assert all(isinstance(one, RefusedError) for one in made)


def test_where_memory_is_short_copies_go_and_sessions_stay(worker: Callable[..., Bench]) -> None:
    a = worker(Limits(max_bytes=3000))
    ids = [_new(a) for _ in range(20)]
    for id in ids * 2:
        a.sessions.do(a.sessions.step("ada", id, 1))
    assert a.sessions.live.num_bytes < 5000
    assert len(a.sessions.live) < 20
    assert not a.ended
    assert {_do(a, a.sessions.about("ada", id))["steps"] for id in ids} == {2}


def test_other_weights_have_their_own_sessions(worker: Callable[..., Bench]) -> None:
    a, b = worker(), worker(weights="v1")
    id = _new(a)
    assert a.sessions.has_made(id)
    assert not b.sessions.has_made(id)
    with pytest.raises(RefusedError, match="of which there is none"):
        b.sessions.do(b.sessions.peek("ada", id))
    assert (a.sessions.live.in_use, b.sessions.live.in_use) == (1, 0)


def test_what_is_no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match=r"Redis that answers. Received: redis://127.0.0.1:1/0") as refused:
        RedisStore("redis://me:secret@127.0.0.1:1/0", "small", "w0", Limits())
    assert "secret" not in str(refused.value)
    with pytest.raises(RecipeError, match="Redis that answers"):
        RedisStore("redis://127.0.0.1:1/zero?socket_timeout=x", "small", "w0", Limits())
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    with pytest.raises(MissingLibraryError, match="needs redis, which is not installed"):
        RedisStore("redis://127.0.0.1:1", "small", "w0", Limits())
