"""Tracks of served runs: made in the background, one at a time, and kept open."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ostinato.data.dataset import Examples
from ostinato.data.places import Places
from ostinato.data.sequences import Sequences
from ostinato.errors import OstinatoError
from ostinato.exploration import Track, tracks_of
from ostinato.exploration.exploring import cut_to, first_steps
from ostinato.exploration.track import facts_of
from ostinato.exploration.tracks import TRACKS_FOLDER, drop_track, track_examples
from ostinato.run import Run, load
from ostinato.serving.refused import RefusedError
from ostinato.tasks.prepare import prepare

_KEPT_OPEN = 8
Source = Literal["validation", "training", "given"]


class _StoppedError(Exception):
    """Somebody stopped it."""


@dataclass
class Job:
    """A track that is being made; `done` of `total` steps."""

    run: str
    data: str
    done: int = 0
    total: int = 0
    state: Literal["reading", "following", "finished", "stopped", "failed"] = "reading"
    key: str = ""
    problem: str = ""
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def goes_on(self) -> bool:
        """Whether it isn't over."""
        return self.state in ("reading", "following")

    def to_dict(self) -> dict[str, Any]:
        """For the page."""
        return {name: getattr(self, name) for name in ("data", "done", "total", "state", "key", "problem")}


class Tracking:
    """All tracks that the page shows."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._open = OrderedDict[tuple[Path, str], Track]()
        self._lock = threading.Lock()

    def of(self, name: str, folder: Path) -> dict[str, Any]:
        """The tracks of a run, and the job that makes one."""
        job = self._jobs.get(name)
        return {"tracks": [one.to_dict() for one in tracks_of(folder)], "job": job and job.to_dict()}

    def find(self, folder: Path, key: str) -> Track:
        """Raises `RefusedError` for a track that there is none of."""
        with self._lock:
            found = self._open.get((folder, key))
            if found is None:
                facts = facts_of(folder / TRACKS_FOLDER / key) if key.isalnum() else None
                if facts is None:
                    raise RefusedError(404, f"the key of a track was expected. Received: {key[:80]!r}.")
                found = self._open[folder, key] = Track(folder / TRACKS_FOLDER / key, facts)
            self._open.move_to_end((folder, key))
            while len(self._open) > _KEPT_OPEN:
                self._open.popitem(last=False)
            return found

    def start(self, name: str, folder: Path, source: Source, given: Any, num_steps: int, gates: bool) -> dict[str, Any]:
        """Begin to make a track, by a model of its own, in a thread of its own.

        Args:
            name: of the run.
            folder: of the run.
            source: the run's validation or training data, or what is `given`.
            given: a text, or a list of numbers: what a session's step takes.
            num_steps: at most.
            gates: whether these are kept, too.

        Raises:
            RefusedError: while another one is being made.
        """
        with self._lock:
            going = next((one for one in self._jobs.values() if one.goes_on), None)
            if going is not None:
                raise RefusedError(
                    409,
                    f"no other track may be in the making. Received: one of {going.run} ({going.done:,} steps done).",
                    hint="wait for it, or stop it",
                )
            job = self._jobs[name] = Job(name, source)

        def made() -> None:
            try:
                run = load(folder)
                examples = _examples(run, source, given, num_steps)
                job.state = "following"
                said = source if source != "given" else f"given: {str(given)[:40]}"
                job.key = track_examples(run, examples, said, gates=gates, progress=_noting(job)).folder.name
                job.state = "finished"
            except _StoppedError:
                job.state = "stopped"
            except OstinatoError as error:
                job.problem, job.state = f"{error.message} {error.hint or ''}".strip(), "failed"
            finally:
                if job.goes_on:
                    job.problem, job.state = "it ended with an error, which the terminal shows", "failed"

        threading.Thread(target=made, name=f"track of {name}", daemon=True).start()
        return job.to_dict()

    def stop(self, name: str) -> None:
        """End the making of a track, if one is in the making."""
        if name in self._jobs:
            self._jobs[name].stop.set()

    def stop_all(self) -> None:
        """As the server stops."""
        for job in self._jobs.values():
            job.stop.set()

    def drop(self, folder: Path, key: str) -> None:
        """Remove a track's files."""
        with self._lock:
            self._open.pop((folder, key), None)
        if not drop_track(folder, key):
            raise RefusedError(404, f"the key of a track was expected. Received: {key[:80]!r}.")


def _noting(job: Job) -> Callable[[int, int], None]:
    def note(done: int, total: int) -> None:
        job.done, job.total = done, total
        if job.stop.is_set():
            raise _StoppedError

    return note


def _examples(run: Run, source: Source, given: Any, num_steps: int) -> Examples:
    if source == "validation":
        return first_steps(run, None, num_steps)
    if source == "training":
        return cut_to(prepare(run.recipe).train, num_steps)
    values = run.spec.streaming(run.model, run.features, run.recipe).encode(given).values
    rows = Sequences(values, np.asarray([0, len(values)]))
    return cut_to(Examples(rows, None, Places(), np.zeros(1, dtype=np.int64)), num_steps)
