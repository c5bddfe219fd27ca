"""The engine: who computes what, and in which order."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from tests.unit.serving.fake import Bench, Elman, bench

from ostinato.serving import engine as engine_module
from ostinato.serving.engine import Engine, Pace, Reply
from ostinato.serving.refused import RefusedError
from ostinato.tasks.streaming import Read, Reading

ADA = "ada"


class Told(Elman):
    """Says which thread has read how many steps."""

    def __init__(self) -> None:
        super().__init__()
        self.told = list[tuple[str, int]]()

    def read(self, batch: Sequence[Reading]) -> list[Read]:
        self.told.append((threading.current_thread().name, max(len(one.steps) for one in batch)))
        return super().read(batch)


def tried(work: Callable[[Bench, Engine], Awaitable[Any]]) -> list[tuple[str, int]]:
    """What a model was asked to read, by which threads."""
    b = bench(make=Told)
    engine = Engine(b.sessions)
    engine.start()
    try:
        asyncio.run(work(b, engine))  # type: ignore[arg-type]
    finally:
        engine.stop()
    assert isinstance(b.model, Told)
    return b.model.told


def test_small_steps_are_read_where_they_are_asked_for() -> None:
    async def work(b: Bench, engine: Engine) -> None:
        session = json.loads(await engine.do(b.sessions.create(ADA)))["session"]
        for number in range(5):
            reply = Reply()
            engine.hand_over([(b.sessions.step(ADA, session, number), reply, 0)])
            with engine._news:
                engine._news.notify()  # as once a second, when the thread looks for what is over
            time.sleep(0.01)
            await reply.future

    assert tried(work) == [("MainThread", 1)] * 5


def test_what_takes_longer_is_for_the_thread_and_order_is_kept() -> None:
    answers = list[dict[str, Any]]()

    async def work(b: Bench, engine: Engine) -> None:
        session = json.loads(await engine.do(b.sessions.create(ADA)))["session"]
        asked = [[1], [2] * 100, [3], [4] * 100, [5]]
        found = await asyncio.gather(*(engine.do(b.sessions.step(ADA, session, given, "last")) for given in asked))
        answers.extend(json.loads(one) for one in found)

    told = tried(work)
    assert [one["steps"] for one in answers] == [1, 101, 102, 202, 203]
    assert {name for name, steps in told if steps > 1} == {"ostinato-engine"}


def test_a_loop_that_is_held_up_is_helped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_SWEEP_S", 0.02)

    async def work(b: Bench, engine: Engine) -> None:
        session = json.loads(await engine.do(b.sessions.create(ADA)))["session"]
        reply = Reply()
        engine.hand_over([(b.sessions.step(ADA, session, 1), reply, 0)])
        time.sleep(0.3)
        (answer,) = await reply.future
        assert json.loads(answer)["steps"] == 1

    assert tried(work) == [("ostinato-engine", 1)]


def test_what_there_is_no_room_for_is_refused_in_its_place() -> None:
    outcomes = list[Any]()

    async def work(b: Bench, engine: Engine) -> None:
        session = json.loads(await engine.do(b.sessions.create(ADA)))["session"]
        engine.pace = Pace(most_waiting=2)
        reply = Reply(3)
        engine.hand_over([(b.sessions.step(ADA, session, 1), reply, place) for place in range(3)])
        outcomes.extend(await reply.future)

    tried(work)
    assert [json.loads(one)["steps"] for one in outcomes[:2]] == [1, 2]
    assert isinstance(outcomes[2], RefusedError)
    assert outcomes[2].status == 503
