"""Work in the background that a page asked for: one piece at a time, with its progress, and what came of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from ostinato.errors import OstinatoError
from ostinato.serving.refused import RefusedError

Progress = Callable[[int, int], None]


class StoppedError(Exception):
    """Somebody stopped it."""


@dataclass
class Job:
    """Something that is being computed; `done` of `total`."""

    run: str
    kind: str
    about: dict[str, Any]
    done: int = 0
    total: int = 0
    state: Literal["reading", "following", "finished", "stopped", "failed"] = "reading"
    problem: str = ""
    result: dict[str, Any] | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def goes_on(self) -> bool:
        """Whether it isn't over."""
        return self.state in ("reading", "following")

    def note(self, done: int, total: int) -> None:
        """So much is done. Raises `StoppedError` once it is to stop."""
        self.state, self.done, self.total = "following", done, total
        if self.stop.is_set():
            raise StoppedError

    def to_dict(self) -> dict[str, Any]:
        """For the page."""
        return {name: getattr(self, name) for name in ("kind", "about", "done", "total", "state", "problem", "result")}


class Jobs:
    """The last piece of work of each kind and run."""

    def __init__(self) -> None:
        self._jobs: dict[tuple[str, str], Job] = {}
        self._lock = threading.Lock()

    def last(self, run: str, kind: str) -> dict[str, Any] | None:
        """How far it is, or what came of it."""
        job = self._jobs.get((run, kind))
        return None if job is None else job.to_dict()

    def start(
        self, run: str, kind: str, about: dict[str, Any], work: Callable[[Progress], dict[str, Any]]
    ) -> dict[str, Any]:
        """Begin some work, in a thread of its own.

        Args:
            run: its name.
            kind: of the work.
            about: what was asked.
            work: computes the result; what it calls with steps that are done ends it where it is to stop.

        Raises:
            RefusedError: while something else is at work.
        """
        with self._lock:
            going = next((one for one in self._jobs.values() if one.goes_on), None)
            if going is not None:
                raise RefusedError(
                    409,
                    f"nothing else may be at work. Received: {going.kind} of {going.run} ({going.done:,} done).",
                    hint="wait for it, or stop it",
                )
            job = self._jobs[run, kind] = Job(run, kind, about)

        def made() -> None:
            try:
                job.result = work(job.note)
                job.state = "finished"
            except StoppedError:
                job.state = "stopped"
            except OstinatoError as error:
                job.problem, job.state = f"{error.message} {error.hint or ''}".strip(), "failed"
            finally:
                if job.goes_on:
                    job.problem, job.state = "it ended with an error, which the terminal shows", "failed"

        threading.Thread(target=made, name=f"{kind} of {run}", daemon=True).start()
        return job.to_dict()

    def stop(self, run: str, kind: str) -> None:
        """End some work, if it goes on."""
        if (run, kind) in self._jobs:
            self._jobs[run, kind].stop.set()
