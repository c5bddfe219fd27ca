"""Sessions of one model, without a network and without threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from ostinato.errors import OstinatoError
from ostinato.serving.live import Ended, Limits, LiveSessions
from ostinato.serving.operations import Operation, Operations, Work
from ostinato.serving.session import Depth
from ostinato.serving.snapshot import Seal
from ostinato.serving.stores import MemoryStore, Store
from ostinato.tasks.streaming import Read, Reading, StreamingModel, Writing, WritingModel, Written

Answer = Read | Written | OstinatoError


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
    ) -> None:
        live = LiveSessions(store or MemoryStore(), limits or Limits(), clock, on_ended)
        super().__init__(model, seal, live, depth or Depth(), clock, check)

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
        found = self.run([operation])[0]
        self.commit()
        if isinstance(found, Exception):
            raise found
        return found

    def run(self, operations: Sequence[Operation]) -> list[Any]:
        """Do operations together, those on one session in order; of each its result, or the `OstinatoError` that it
        ended with."""
        outcomes: list[Any] = [None] * len(operations)
        left = list(enumerate(operations))
        while left:
            seen = set[str]()
            now = list[tuple[int, Work]]()
            later = list[tuple[int, Operation]]()
            for number, operation in left:
                if operation.session is None:
                    now.append((number, operation.work))
                elif operation.session in seen:
                    later.append((number, operation))
                else:
                    seen.add(operation.session)
                    now.append((number, operation.work))
            self._together(now, outcomes)
            left = later
        return outcomes

    def _together(self, works: list[tuple[int, Work]], outcomes: list[Any]) -> None:
        """Let works go on until all have ended, what they ask for at the same time computed in one call."""
        answers: Sequence[Answer | None] = [None] * len(works)
        while works:
            going = list[tuple[int, Work]]()
            asked = list[Reading | Writing]()
            for (number, work), answer in zip(works, answers, strict=True):
                try:
                    asked.append(work.throw(answer) if isinstance(answer, OstinatoError) else work.send(answer))
                    going.append((number, work))
                except StopIteration as ended:
                    outcomes[number] = ended.value
                except OstinatoError as error:
                    outcomes[number] = error
            works, answers = going, self._compute(asked)

    def _compute(self, requests: list[Reading | Writing]) -> list[Answer]:
        try:
            return self._computed(requests)
        except OstinatoError as error:
            if len(requests) == 1:
                return [error]
        return [self._compute([request])[0] for request in requests]

    def _computed(self, requests: list[Reading | Writing]) -> list[Answer]:
        readings = [one for one in requests if isinstance(one, Reading)]
        writings = [one for one in requests if isinstance(one, Writing)]
        read = iter(self.model.read(readings) if readings else ())
        written = iter(cast("WritingModel", self.model).write(writings) if writings else ())
        return [next(read) if isinstance(one, Reading) else next(written) for one in requests]
