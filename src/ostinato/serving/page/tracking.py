"""Tracks of served runs: made in the background, and kept open."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, Literal

from ostinato.data.dataset import Examples
from ostinato.exploration import Track, tracks_of
from ostinato.exploration.exploring import cut_to, first_steps
from ostinato.exploration.following import one_row
from ostinato.exploration.track import facts_of
from ostinato.exploration.track_files import TRACKS_FOLDER, drop_track
from ostinato.exploration.tracks import track_examples
from ostinato.run import Run, load
from ostinato.serving.page.jobs import Jobs, Progress
from ostinato.serving.refused import RefusedError
from ostinato.tasks.prepare import prepare

_KEPT_OPEN = 8
_KIND = "track"
Source = Literal["validation", "training", "given"]


class Tracking:
    """All tracks that the page shows.

    Args:
        jobs: what works in the background.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._open = OrderedDict[tuple[Path, str], Track]()
        self._lock = threading.Lock()

    def of(self, name: str, folder: Path) -> dict[str, Any]:
        """The tracks of a run, and the job that makes one."""
        return {"tracks": [one.to_dict() for one in tracks_of(folder)], "job": self._jobs.last(name, _KIND)}

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
        """Begin to make a track, by a model of its own.

        Args:
            name: of the run.
            folder: of the run.
            source: the run's validation or training data, or what is `given`.
            given: a text, or a list of numbers: what a session's step takes.
            num_steps: at most.
            gates: whether these are kept, too.

        Raises:
            RefusedError: while something else is at work.
        """

        def made(progress: Progress) -> dict[str, Any]:
            run = load(folder)
            examples = _examples(run, source, given, num_steps)
            said = source if source != "given" else f"given: {str(given)[:40]}"
            return {"key": track_examples(run, examples, said, gates=gates, progress=progress).folder.name}

        return self._jobs.start(name, _KIND, {"data": source}, made)

    def stop(self, name: str) -> None:
        """End the making of a track, if one is in the making."""
        self._jobs.stop(name, _KIND)

    def drop(self, folder: Path, key: str) -> None:
        """Remove a track's files."""
        with self._lock:
            self._open.pop((folder, key), None)
        if not drop_track(folder, key):
            raise RefusedError(404, f"the key of a track was expected. Received: {key[:80]!r}.")


def _examples(run: Run, source: Source, given: Any, num_steps: int) -> Examples:
    if source == "validation":
        return first_steps(run, None, num_steps)
    if source == "training":
        return cut_to(prepare(run.recipe).train, num_steps)
    return cut_to(one_row(run.spec.streaming(run.model, run.features, run.recipe).encode(given).values), num_steps)
