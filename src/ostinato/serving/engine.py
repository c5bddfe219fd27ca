"""What computes for all sessions of a model: what waits is done and kept together, then answered."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ostinato.errors import OstinatoError
from ostinato.serving.operations import Operation
from ostinato.serving.refused import RefusedError
from ostinato.serving.sessions import Sessions

_LOG = logging.getLogger("ostinato.serving")
_SWEEP_S = 1.0
"""How often sessions that are over are looked for."""
_HERE_S, _MOST_HERE = 0.004, 64
"""What an event loop does itself, at once: so much, and so many operations; more is left to the thread."""


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
    """What an engine did at once: how many operations, in how many seconds; and steps that were not read, since their
    state was known."""

    operations: int
    seconds: float
    shared_steps: int = 0


class Reply:
    """The results of operations that are answered together, in an event loop.

    Args:
        count: how many.
    """

    __slots__ = ("_left", "_outcomes", "future", "loop")

    def __init__(self, count: int = 1) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[list[Any]] = self.loop.create_future()
        self._outcomes: list[Any] = [None] * count
        self._left = count
        if not count:
            self.future.set_result([])

    def put(self, place: int, outcome: Any) -> None:
        """The result of one of them, or the error that it ended with; called in the loop."""
        self._outcomes[place] = outcome
        self._left -= 1
        if not self._left and not self.future.done():  # else who asked has gone
            self.future.set_result(self._outcomes)


Waiting = tuple[Operation, Reply, int]
"""An operation, and the place of its result in a reply."""


class Engine:
    """Computes in a thread of its own, and small things in the event loop that asks: where nothing waits and nothing
    has to be written to a disk, two threads would only wait for each other.

    Order is kept: what comes first is done first, or together with what comes later.

    Args:
        sessions: touched by whoever has the turn.
        pace: how it takes what waits.
        on_done: called after each micro-batch.
    """

    def __init__(self, sessions: Sessions, pace: Pace | None = None, on_done: Callable[[Done], None] | None = None):
        self.sessions, self.pace = sessions, pace or Pace()
        self._on_done = on_done or (lambda _: None)
        self._queue = deque[Waiting]()
        self._news, self._turn = threading.Condition(), threading.Lock()
        self._stopping = False
        self._called: asyncio.AbstractEventLoop | None = None
        self._each_s = _HERE_S / _MOST_HERE
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
        reply = Reply()
        self.hand_over([(operation, reply, 0)])
        (outcome,) = await reply.future
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def hand_over(self, some: Sequence[Waiting]) -> None:
        """Have operations done that one event loop asks for, and the result of each put in its place: what is handed
        over first is done first. Those that there is no room for are refused in their places."""
        with self._news:
            room = 0 if self._stopping else max(0, self.pace.most_waiting - len(self._queue))
            taken, refused = some[:room], some[room:]
            self._queue.extend(taken)
            is_quick = bool(taken) and self._is_quick(taken[0][1].loop)
            if is_quick and self._called is not taken[0][1].loop and any(one[0].small for one in taken):
                self._called = taken[0][1].loop
                self._called.call_soon(self._here)
            if not is_quick or not all(one[0].small for one in taken):
                self._news.notify()
        for _, reply, place in refused:
            reply.put(place, self._no_room())

    def _no_room(self) -> RefusedError:
        if self._stopping:
            return RefusedError(503, "the server is stopping; it takes no further steps.", hint="ask another server")
        return RefusedError(
            503,
            f"at most {self.pace.most_waiting:,} operations may wait. Received: one more.",
            hint="send it again a little later, with the same sequence number",
        )

    def _is_for_loop(self, waiting: Waiting) -> bool:
        """Whether the event loop that asked does it: something small, while nothing has to be waited for."""
        return waiting[0].small and self._is_quick(waiting[1].loop)

    def _is_quick(self, loop: asyncio.AbstractEventLoop) -> bool:
        quick = self._each_s < _HERE_S and not self.pace.wait_ms and not self.sessions.live.waits
        return quick and self._thread.is_alive() and not loop.is_closed()

    def _here(self) -> None:
        """Do what waits in the event loop, if that takes no longer than a moment; the thread does the rest."""
        self._called = None
        if not self._turn.acquire(blocking=False):
            return  # the thread computes, and calls again
        try:
            most = max(1, min(_MOST_HERE, int(_HERE_S / self._each_s)))
            with self._news:
                small = list(itertools.takewhile(lambda one: one[0].small, itertools.islice(self._queue, most)))
                for _ in small:
                    self._queue.popleft()
            if small:
                self._do(small)
        finally:
            self._turn.release()
        with self._news:
            if self._queue and not self._is_for_loop(self._queue[0]):
                self._news.notify()
            else:
                self._call_loop()

    def _call_loop(self) -> None:
        """Have the event loop go on with what waits, unless it will anyway; `_news` is held."""
        if self._queue and self._called is None:
            self._called = self._queue[0][1].loop
            self._called.call_soon_threadsafe(self._here)

    def _run(self) -> None:
        while (most := self._await_news()) is not None:
            with self._turn:  # from taking to doing: nobody overtakes
                with self._news:
                    batch = [self._queue.popleft() for _ in range(min(len(self._queue), most))]
                self._do(batch)
        self.sessions.live.close()

    def _await_news(self) -> int | None:
        """Wait for something to do, or for a while; how many operations to do then, None: it is time to end.

        What is for an event loop is left to it, unless it does nothing for that while: two threads that both compute
        in Python wait for each other's turn, and steps for both."""
        with self._news:
            first, told = self._queue[0] if self._queue else None, True
            if not self._stopping and (first is None or self._is_for_loop(first)):
                self._call_loop()
                told = self._news.wait(_SWEEP_S)
            if not self._queue:
                return None if self._stopping else 0
            is_left = not told and self._queue[0] is first
            if not self._stopping and not is_left and self._is_for_loop(self._queue[0]):
                self._call_loop()
                return 0
            if self.pace.wait_ms and len(self._queue) < self.pace.max_batch:
                self._news.wait(self.pace.wait_ms / 1000)
        return self.pace.max_batch

    def _do(self, batch: list[Waiting]) -> None:
        """By whoever has the turn."""
        start, shared = time.perf_counter(), self.sessions.prefixes.steps
        outcomes = self._outcomes([operation for operation, _, _ in batch])
        self._answer(batch, outcomes)
        if batch:
            seconds = time.perf_counter() - start
            self._each_s = 0.9 * self._each_s + 0.1 * seconds / len(batch)
            self._on_done(Done(len(batch), seconds, self.sessions.prefixes.steps - shared))

    def _outcomes(self, operations: list[Operation]) -> list[Any]:
        try:
            return self.sessions.do_all(operations)
        except OstinatoError as error:  # the store
            self.sessions.undo()
            _LOG.warning("a micro-batch of %d operations was not kept: %s", len(operations), error.message)
            return [error] * len(operations)
        except Exception as error:  # noqa: BLE001 (whatever it is, who waits is told, and nothing has happened)
            self.sessions.undo()
            _LOG.exception("a micro-batch of %d operations failed", len(operations))
            return [error] * len(operations)

    @staticmethod
    def _answer(batch: list[Waiting], outcomes: list[Any]) -> None:
        """Put outcomes where they belong, all of an event loop in one call."""
        here = _running()
        by_loop = dict[asyncio.AbstractEventLoop, list[tuple[Reply, int, Any]]]()
        for (_, reply, place), outcome in zip(batch, outcomes, strict=True):
            if reply.loop is here:
                reply.put(place, outcome)
            else:
                by_loop.setdefault(reply.loop, []).append((reply, place, outcome))
        for loop, answered in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_put, answered)


def _put(answered: list[tuple[Reply, int, Any]]) -> None:
    for reply, place, outcome in answered:
        reply.put(place, outcome)


def _running() -> asyncio.AbstractEventLoop | None:
    """The event loop of this thread."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
