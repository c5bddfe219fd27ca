"""Whatever is done to sessions, each answers as a cold run of its own history does, to the last bit."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.redis_server import RedisServer, running
from tests.unit.serving.fake import TOKENS, Bench, Clock, Elman, bench

from ostinato.serving.live import Limits
from ostinato.serving.redis_store import RedisStore
from ostinato.serving.refused import RefusedError
from ostinato.serving.session import Depth, Sampler
from ostinato.serving.sqlite_store import SqliteStore
from ostinato.serving.stores import MemoryStore, Store
from ostinato.tasks.streaming import Reading, Steps, Writing

IDLE_S = 100.0


@dataclass
class Mirror:
    """What a session has read and written, and where its random numbers stood after each step."""

    tokens: list[int] = field(default_factory=list)
    samplers: list[Sampler] = field(default_factory=lambda: [Sampler()])
    first_step: int = 0
    ended: bool = False


def _cold(model: Elman, tokens: list[int]) -> tuple[bytes, list[object]]:
    read = model.read([Reading(Steps(np.array(tokens, "int32")), model.zero(), "each")])[0] if tokens else None
    return (model.zero() if read is None else read.state).tobytes(), [] if read is None else list(read.answers)


def _step(b: Bench, id: str, of: Mirror, data: st.DataObject) -> None:
    tokens = data.draw(st.lists(st.integers(0, TOKENS - 1), min_size=1, max_size=11))
    said = json.loads(b.sessions.do(b.sessions.step("ada", id, tokens)))
    of.tokens += tokens
    of.samplers += [of.samplers[-1]] * len(tokens)
    assert said["answers"] == _cold(b.model, of.tokens)[1][-len(tokens) :]


def _write(b: Bench, id: str, of: Mirror, data: st.DataObject) -> None:
    num, seed = data.draw(st.integers(1, 9)), data.draw(st.none() | st.integers(0, 3))
    at = of.samplers[-1] if seed is None else Sampler(seed)
    state = np.frombuffer(_cold(b.model, of.tokens)[0], "float32")
    alone = b.model.write([Writing(state, num, 0.8, None, 1.0, at.seed, at.drawn)])[0]
    said = json.loads(b.sessions.do(b.sessions.write("ada", id, num, 0.8, seed=seed)))
    assert (said["pieces"], said["ended"]) == (alone.pieces, alone.ended)
    of.samplers += [Sampler(at.seed, at.drawn + n + 1) for n in range(len(alone.pieces))]
    of.samplers[-1] = Sampler(at.seed, alone.drawn)
    of.tokens += alone.pieces
    of.ended = alone.ended


def _rewind(b: Bench, id: str, of: Mirror, data: st.DataObject) -> None:
    first = json.loads(b.sessions.do(b.sessions.about("ada", id)))["first_step"]
    to = data.draw(st.integers(first, len(of.tokens)))
    b.sessions.do(b.sessions.rewind("ada", id, to))
    if to < len(of.tokens):
        of.ended = False
        of.tokens, of.samplers = of.tokens[:to], of.samplers[: to + 1]


def _check(b: Bench, id: str, of: Mirror) -> None:
    b.sessions.live.refresh({id})
    session = b.sessions.live.find("ada", id)
    assert session.state.tobytes() == _cold(b.model, of.tokens)[0]
    assert (session.steps, session.ended) == (len(of.tokens), of.ended)
    assert session.num_bytes > 0


DEPTHS = st.sampled_from([Depth(8, 4), Depth(20, 3), Depth(5, 1), Depth(0, 4), Depth(100, 64)])


@settings(max_examples=60, deadline=None)
@given(data=st.data(), depth=DEPTHS)
def test_sessions_answer_as_their_own_history_does(data: st.DataObject, depth: Depth) -> None:
    _go(data, MemoryStore, depth, "nsssswwrrfftp")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), depth=DEPTHS)
def test_a_server_that_starts_again_goes_on(data: st.DataObject, depth: Depth, tmp_path: Path) -> None:
    file = tmp_path / f"{secrets.token_hex(8)}.db"
    _go(data, lambda: SqliteStore(file, "small", "w0"), depth, "nsssswwrrftpkkk")


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with running() as found:
        yield found


@settings(max_examples=12, deadline=None)
@given(data=st.data(), depth=DEPTHS)
def test_servers_that_share_a_redis_go_on(data: st.DataObject, depth: Depth, redis_server: RedisServer) -> None:
    name = secrets.token_hex(8)
    _go(data, lambda: RedisStore(redis_server.url, name, "w0", Limits()), depth, "nsssswwrrftkkk")


def _go(data: st.DataObject, open_store: Callable[[], Store], depth: Depth, kinds: str) -> None:
    b = bench(open_store(), Limits(idle_s=IDLE_S), depth, clock=Clock(time.time()))
    mirrors: dict[str, Mirror] = {}
    actions = data.draw(st.lists(st.sampled_from(kinds), min_size=5, max_size=25))
    for action in ["n", *actions]:
        if action == "k":  # as after kill -9, or at another server: what was committed is all that there is
            b.sessions.live.close()
            b = bench(open_store(), Limits(idle_s=IDLE_S), depth, clock=b.clock)
        elif action == "n" or not mirrors:
            mirrors[json.loads(b.sessions.do(b.sessions.create("ada")))["session"]] = Mirror()
        else:
            _act(action, b, mirrors, data)
    for id, of in mirrors.items():
        _check(b, id, of)


def _act(action: str, b: Bench, mirrors: dict[str, Mirror], data: st.DataObject) -> None:
    id = data.draw(st.sampled_from(list(mirrors)))
    of = mirrors[id]
    if action in "sw" and not of.ended:
        {"s": _step, "w": _write}[action](b, id, of, data)
    elif action == "r":
        _rewind(b, id, of, data)
    elif action in "ft":
        made = b.sessions.fork("ada", id)
        if action == "t":
            made = b.sessions.restore("ada", b.sessions.do(b.sessions.snapshot("ada", id)))
        copy = replace(of, tokens=list(of.tokens), samplers=list(of.samplers))
        mirrors[json.loads(b.sessions.do(made))["session"]] = copy
    elif action == "p":
        _let_time_pass(b, mirrors, data)


def _let_time_pass(b: Bench, mirrors: dict[str, Mirror], data: st.DataObject) -> None:
    """Who was not used is over, the others are as they were."""
    used = data.draw(st.sets(st.sampled_from(list(mirrors))))
    for id in mirrors:
        b.sessions.do(b.sessions.peek("ada", id))
    b.clock.now += 0.6 * IDLE_S
    for id in used:
        b.sessions.do(b.sessions.peek("ada", id))
    b.clock.now += 0.6 * IDLE_S
    for id in set(mirrors) - used:
        with pytest.raises(RefusedError, match="nobody used it"):
            b.sessions.do(b.sessions.peek("ada", id))
        del mirrors[id]
