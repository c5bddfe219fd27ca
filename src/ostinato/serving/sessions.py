"""Sessions of one model, without a network and without threads."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from ostinato.errors import OstinatoError
from ostinato.serving.live import Ended, Limits, LiveSessions
from ostinato.serving.operations import Operation, Operations, Work
from ostinato.serving.prefixes import Prefixes
from ostinato.serving.refused import RefusedError
from ostinato.serving.session import Depth
from ostinato.serving.shared import SharedSessions
from ostinato.serving.snapshot import Seal
from ostinato.serving.stores import ChangedError, MemoryStore, SharedStore, Store
from ostinato.tasks.intervening import Edit
from ostinato.tasks.streaming import Read, Reading, StreamingModel, Writing, WritingModel, Written

_LOG = logging.getLogger("ostinato.serving")
Answer = Read | Written | Exception
_TRIES = 5


class Sessions(Operations):
    """The sessions of one model. `run` does operations, all of them together; `commit` has the store keep what they
    did.

    Args:
        model: read and written with, by whoever calls `run`.
        seal: makes and opens snapshots.
        store: where sessions are kept.
        limits: what they may take.
        depth: how far back they go.
        clock: seconds.
        on_ended: called for each session that ended by itself.
        check: raises for inputs that must not reach the model.
        shared_bytes: of memory, for what several sessions begin with; 0: each reads it by itself.

    Example:
        >>> run = ostinato.load("runs/island")
        >>> model = run.spec.streaming(run.model, run.features, run.recipe)
        >>> sessions = Sessions(model, Seal(model, "9f2c", "language_model", b"key"))
        >>> sessions.do(sessions.create("ada"))
        b'{"session":"...","sequence":0,"steps":0,...}'
    """

    def __init__(
        self,
        model: StreamingModel,
        seal: Seal,
        store: Store | None = None,
        limits: Limits | None = None,
        depth: Depth | None = None,
        *,
        clock: Callable[[], float] = time.time,
        on_ended: Callable[[Ended], None] = lambda _: None,
        check: Callable[[Any], object] = lambda _: None,
        shared_bytes: int = 0,
    ) -> None:
        store, limits = store or MemoryStore(), limits or Limits()
        live: LiveSessions
        if isinstance(store, SharedStore):
            live = SharedSessions(store, limits, clock, on_ended)
        else:
            live = LiveSessions(store, limits, clock, on_ended)
        # Of sound the state holds more than what was read: what makes no whole step yet.
        prefixes = Prefixes(0 if model.sample_rate else shared_bytes)
        super().__init__(model, seal, live, depth or Depth(), clock, check, prefixes)

    def commit(self) -> None:
        """Have the store keep what was done; see `LiveSessions.commit`."""
        self.live.commit()

    def undo(self) -> None:
        """Back to what the store keeps."""
        self.live.undo()

    def do(self, operation: Operation) -> Any:
        """Do one operation, and keep it.

        Raises:
            OstinatoError: what the operation ended with.
        """
        found = self.do_all([operation])[0]
        if isinstance(found, Exception):
            raise found
        return found

    def do_all(self, operations: Sequence[Operation]) -> list[Any]:
        """Do operations together, and keep what they did; of each its result, or the error that it ended with. Where
        another server has changed one of their sessions meanwhile, they are done again."""
        for _ in range(_TRIES):
            self.live.refresh({one.session for one in operations if one.session and self.may_be(one.session)})
            outcomes = self.run(operations)
            self.live.expire()
            try:
                self.commit()
            except ChangedError:
                continue
            return outcomes
        if len(operations) > 1:
            return [self._alone(one) for one in operations]
        return [
            RefusedError(
                409,
                f"a session that others leave alone was expected. Received: one that they changed {_TRIES} times.",
                hint="send it again a little later, with the same sequence number",
            )
        ]

    def _alone(self, operation: Operation) -> Any:
        try:
            return self.do_all([operation])[0]
        except OstinatoError as error:
            return error

    def run(self, operations: Sequence[Operation]) -> list[Any]:
        """Do operations together, those on one session in order; of each its result, or the error that it ended
        with."""
        self.prefixes.begin()
        outcomes: list[Any] = [None] * len(operations)
        left = list(enumerate(operations))
        while left:
            seen = set[str]()
            now = list[tuple[int, Work]]()
            later = list[tuple[int, Operation]]()
            for number, operation in left:
                if operation.session is None:
                    now.append((number, operation.begin()))
                elif operation.session in seen:
                    later.append((number, operation))
                else:
                    seen.add(operation.session)
                    now.append((number, operation.begin()))
            self._together(now, outcomes)
            left = later
        return outcomes

    def _together(self, works: list[tuple[int, Work]], outcomes: list[Any]) -> None:
        """Let works go on until all have ended, what they ask for at the same time computed in one call."""
        answers: Sequence[Answer | None] = [None] * len(works)
        while works:
            going = list[tuple[int, Work]]()
            asked = list[Reading | Writing | None]()
            for (number, work), answer in zip(works, answers, strict=True):
                try:
                    asked.append(work.throw(answer) if isinstance(answer, Exception) else work.send(answer))
                    going.append((number, work))
                except StopIteration as ended:
                    outcomes[number] = ended.value
                except OstinatoError as error:
                    outcomes[number] = error
                except Exception as error:  # noqa: BLE001 (an error of the server: who asked is told, and nobody else)
                    _LOG.exception("an operation failed")
                    outcomes[number] = error
            works, answers = going, self._compute(asked)

    def _compute(self, requests: list[Reading | Writing | None]) -> list[Answer | None]:
        try:
            return self._computed(requests)
        except Exception as error:  # noqa: BLE001 (thrown into the work that asked, and into no other)
            if len(requests) == 1:
                return [error]
        return [self._compute([request])[0] for request in requests]

    def _computed(self, requests: list[Reading | Writing | None]) -> list[Answer | None]:
        changed = {one.edits for one in requests if one is not None and one.edits}
        if changed:
            return self._computed_changed(requests, changed)
        return self._computed_by(self.model, requests)

    def _computed_changed(
        self, requests: list[Reading | Writing | None], changed: set[tuple[Edit, ...]]
    ) -> list[Answer | None]:
        """Where units or gates are changed, all that are changed alike together."""
        answers: list[Answer | None] = [None] * len(requests)
        for edits in ((), *changed):
            model = self.changed(edits) if edits else self.model
            places = [place for place, one in enumerate(requests) if one is not None and one.edits == edits]
            for place, answer in zip(
                places, self._computed_by(model, [requests[place] for place in places]), strict=True
            ):
                answers[place] = answer
        return answers

    @staticmethod
    def _computed_by(model: StreamingModel, requests: list[Reading | Writing | None]) -> list[Answer | None]:
        readings = [one for one in requests if isinstance(one, Reading)]
        writings = [one for one in requests if isinstance(one, Writing)]
        read = iter(model.read(readings) if readings else ())
        written = iter(cast("WritingModel", model).write(writings) if writings else ())
        answers: dict[type, Iterator[Answer | None]] = {
            Reading: read,
            Writing: written,
            type(None): itertools.repeat(None),
        }
        return [next(answers[type(one)]) for one in requests]
