"""One thread that computes for all sessions of a model: what waits is done and kept together, then answered."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ostinato.errors import OstinatoError
from ostinato.serving.operations import Operation
from ostinato.serving.refused import RefusedError
from ostinato.serving.sessions import Sessions

_LOG = logging.getLogger("ostinato.serving")
_SWEEP_S = 1.0
"""How often sessions that are over are looked for."""


@dataclass(frozen=True)
class Pace:
    """How an engine takes what waits.

    Args:
        max_batch: operations done together.
        wait_ms: how long the first of them waits for others; those that come while the engine computes are taken
            together anyway.
        most_waiting: operations in the queue; a further one is refused.
    """

    max_batch: int = 512
    wait_ms: float = 0.0
    most_waiting: int = 20_000


@dataclass(frozen=True, slots=True)
class Done:
    """What an engine did at once: how many operations, in how many seconds."""

    operations: int
    seconds: float


_Waiting = tuple[Operation, "asyncio.Future[Any]"]


class Engine:
    """Computes in a thread of its own; is asked in an event loop.

    Order is kept: what comes first is done first, or together with what comes later.

    Args:
        sessions: touched by this thread alone.
        pace: how it takes what waits.
        on_done: called in the thread after each micro-batch.
    """

    def __init__(self, sessions: Sessions, pace: Pace | None = None, on_done: Callable[[Done], None] | None = None):
        self.sessions, self.pace = sessions, pace or Pace()
        self._on_done = on_done or (lambda _: None)
        self._queue = deque[_Waiting]()
        self._news = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="ostinato-engine", daemon=True)

    @property
    def waiting(self) -> int:
        """Operations in the queue."""
        return len(self._queue)

    def start(self) -> None:
        """Begin to compute; operations may have been handed over before."""
        self._thread.start()

    def stop(self) -> None:
        """Do what waits, then end; called by a thread that may wait."""
        with self._news:
            self._stopping = True
            self._news.notify()
        self._thread.join()

    async def do(self, operation: Operation) -> Any:
        """Have an operation done, and wait for its result.

        Raises:
            RefusedError: if too many wait, or the engine has stopped.
            OstinatoError: what the operation ended with.
        """
        return await self.hand_over(operation)

    def hand_over(self, operation: Operation) -> asyncio.Future[Any]:
        """As `do`; what is handed over first is done first."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        with self._news:
            if self._stopping:
                raise RefusedError(503, "the server is stopping; it takes no further steps.", hint="ask another server")
            if len(self._queue) >= self.pace.most_waiting:
                raise RefusedError(
                    503,
                    f"at most {self.pace.most_waiting:,} operations may wait. Received: one more.",
                    hint="send it again a little later, with the same sequence number",
                )
            self._queue.append((operation, future))
            if len(self._queue) == 1:
                self._news.notify()
        return future

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            start = time.perf_counter()
            outcomes = self._outcomes([operation for operation, _ in batch])
            self._answer(batch, outcomes)
            if batch:
                self._on_done(Done(len(batch), time.perf_counter() - start))
        self.sessions.live.close()

    def _next(self) -> list[_Waiting] | None:
        """What waits, after a while also nothing; None: it is time to end."""
        with self._news:
            if not self._queue and not self._stopping:
                self._news.wait(_SWEEP_S)
            if self._stopping and not self._queue:
                return None
            if self._queue and self.pace.wait_ms and len(self._queue) < self.pace.max_batch:
                self._news.wait(self.pace.wait_ms / 1000)
            return [self._queue.popleft() for _ in range(min(len(self._queue), self.pace.max_batch))]

    def _outcomes(self, operations: list[Operation]) -> list[Any]:
        try:
            return self.sessions.settle(operations)
        except OstinatoError as error:  # the store
            self.sessions.undo()
            _LOG.warning("a micro-batch of %d operations was not kept: %s", len(operations), error.message)
            return [error] * len(operations)
        except Exception as error:  # noqa: BLE001 (whatever it is, who waits is told, and nothing has happened)
            self.sessions.undo()
            _LOG.exception("a micro-batch of %d operations failed", len(operations))
            return [error] * len(operations)

    def _answer(self, batch: list[_Waiting], outcomes: list[Any]) -> None:
        """Hand outcomes to their event loop, all of them in one call."""
        by_loop = dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]]()
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            by_loop.setdefault(future.get_loop(), []).append((future, outcome))
        for loop, answered in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, answered)


def _settle(answered: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, outcome in answered:
        if future.done():  # who asked has gone
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
