"""Two real servers on one Redis: clients go from the one to the other, one of them is killed, and Redis is, too."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from tests.redis_server import RedisServer, running
from tests.serving import RUNS, Server, serving

import ostinato
from ostinato.serving.refused import RefusedError

TEXT = "a seal ran. the owl hears a seal"
RUN = RUNS / "language_model_characters"


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with running() as found:
        yield found


@pytest.fixture(scope="module")
def servers(redis_server: RedisServer) -> Iterator[list[Server]]:
    (redis_server.folder / "key").write_bytes(b"k" * 32)
    options = [f"lm={RUN}", "--store", redis_server.url, "--key-file", str(redis_server.folder / "key")]
    with ExitStack() as stack:
        yield [stack.enter_context(serving(options)) for _ in range(2)]


def test_two_servers_have_the_same_sessions(servers: list[Server], redis_server: RedisServer) -> None:
    with ostinato.Client(servers[0].url) as a, ostinato.Client(servers[1].url) as b:
        cold = a.score("lm", TEXT)
        session = a.session("lm")
        for at, letter in enumerate(TEXT[:12]):
            session._client = (a, b)[at % 2]
            assert session.step(letter)["answers"] == [cold[at]]
        _race(session, a, b)

        redis_server.kill()
        session._client = b
        with pytest.raises(RefusedError, match="the Redis that keeps the sessions was expected to answer") as refused:
            session.step(TEXT[13])
        assert refused.value.status == 503
        redis_server.start()
        assert session.step(TEXT[13])["answers"] == [cold[13]]

        servers[0].process.kill()
        servers[0].process.wait()
        assert session.step(TEXT[14:])["answers"] == cold[14:]
        session.rewind(3)
        assert session.step(TEXT[3:5])["answers"] == cold[3:5]


def _race(session: Any, a: ostinato.Client, b: ostinato.Client) -> None:
    """Both are asked for the next step at the same time: it happens once, and the other one is told."""
    sent = [session._numbered("step", {"inputs": letter}) for letter in (TEXT[12], "a")]

    def ask(number: int) -> Any:
        try:
            return (a, b)[number].call(sent[number])
        except RefusedError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(ask, range(2)))
    told = [one for one in found if isinstance(one, RefusedError)]
    assert len(told) == 1, found
    assert (told[0].status, told[0].more.get("expected")) == (409, session.sequence + 2), told[0].message
    session.sequence += 1
    if isinstance(found[0], RefusedError):  # the other letter was read
        session.rewind(12)
        session.step(TEXT[12])
