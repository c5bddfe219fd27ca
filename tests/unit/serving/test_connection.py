"""What a connection holds, and what it does not do in the event loop."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from typing import Any

import pytest

from ostinato.serving import connection
from ostinato.serving.access import Access
from ostinato.serving.connection import Connection
from ostinato.serving.house import House
from ostinato.serving.refused import RefusedError


class Socket:
    """Sends frames as fast as they are read; what is said to it waits until it reads."""

    def __init__(self, frames: list[str]) -> None:
        self.scope = {"client": ("127.0.0.1", 1)}
        self._frames, self.reads, self.taken, self.said = frames, asyncio.Event(), 0, list[str]()

    async def receive(self) -> dict[str, Any]:
        """A frame more, then nothing."""
        await asyncio.sleep(0)
        if self.taken == len(self._frames):
            await asyncio.Event().wait()
        self.taken += 1
        return {"type": "websocket.receive", "text": self._frames[self.taken - 1]}

    async def send_text(self, text: str) -> None:
        """Taken when it reads."""
        await self.reads.wait()
        self.said.append(text)


def _refusals() -> int:
    gc.collect()
    return sum(type(one) is RefusedError for one in gc.get_objects())


def _run(frames: list[str], *, house: House | None = None) -> tuple[int, list[Any]]:
    """How many frames are taken by a connection that is not read from, and what is said once it is."""

    async def run() -> tuple[int, list[Any]]:
        socket, before = Socket(frames), _refusals()
        ours = Connection(socket, house or House({}), Access(None), "ada")  # type: ignore[arg-type]
        going = asyncio.create_task(ours.run())
        taken = -1
        while taken != socket.taken:
            taken = socket.taken
            await asyncio.sleep(0.05)
        assert _refusals() == before  # an error holds its traceback, and all that this holds
        socket.reads.set()
        async with asyncio.timeout(20):
            while sum(not one.startswith('{"event"') for one in socket.said) < len(frames):
                await asyncio.sleep(0.001)
        going.cancel()
        return taken, [json.loads(one) for one in socket.said]

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("limit", "most", "expected"),
    [("MOST_WAITING", 3, 3), ("MOST_WAITING_REQUESTS", 25, 3), ("MOST_WAITING_BYTES", 4000, 3)],
)
def test_who_does_not_read_is_read_no_further(
    limit: str, most: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, limit, most)
    frames = ["[" + ",".join(['{"id":1}'] * 10) + "]"] * 12
    taken, said = _run(frames)
    assert taken == expected
    answers = [one for one in said if isinstance(one, list)]
    assert len(answers) == len(frames)
    assert {one["status"] for frame in answers for one in frame} == {404}
    assert {"event": "busy", "waiting": expected} in said


def test_names_are_looked_up_once_and_outside_of_the_loop() -> None:
    asked = list[tuple[str, bool]]()

    def more(name: str) -> None:
        asked.append((name, threading.current_thread() is threading.main_thread()))

    _, said = _run([json.dumps([{"model": name} for name in "abab"])], house=House({}, more))
    assert sorted(asked) == [("a", False), ("b", False)]
    assert ["'a'" in said[0][0]["problem"]["detail"], "'b'" in said[0][3]["problem"]["detail"]] == [True, True]
