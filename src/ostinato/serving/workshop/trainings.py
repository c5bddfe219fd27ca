"""Processes that train: started, watched by their log, stopped and resumed. They go on when the server ends."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from ostinato.recipe import name_of
from ostinato.serving.problems import problem_of
from ostinato.serving.refused import RefusedError
from ostinato.serving.workshop.describing import Choice
from ostinato.serving.workshop.files import safe_name
from ostinato.storage.files import read_json, unused, write_atomically
from ostinato.storage.locks import is_held
from ostinato.training.run_folder import RECIPE_FILE, read_recipe_of
from ostinato.wording import command, set_options

PROGRAM = (sys.executable, "-m", "ostinato")
MOST_AT_ONCE = 4
_TAIL_BYTES = 6_000
_ERROR, _HINT, _CRASH = "error: ", "hint: ", "Traceback (most recent call last)"


class Trainings:
    """`ostinato train`, each time a process of its own, whose output goes to a log. The log is locked as long as the
    process lives, so that any later server knows what still trains, and whom to stop.

    Args:
        runs: the folder that new runs are made in.
        folder: of logs.
    """

    def __init__(self, runs: Path, folder: Path) -> None:
        self._runs, self._folder = runs, folder
        self._lock = Lock()
        self._children = dict[str, subprocess.Popen[bytes]]()

    def start(self, file: Path, choice: Choice) -> str:
        """Train on a file; the name of the run.

        Raises:
            RefusedError: if too many train.
            RecipeError: for a setting that may not be made.
        """
        words = choice.words()
        with self._lock:
            self._check_room()
            folder = self._runs / safe_name(name_of(file.name))
            while folder.exists() or self._log(folder.name).exists():
                folder = unused(folder) if folder.exists() else folder.with_name(f"{folder.name}-2")
            said = {"file": file.name, **choice.said()}
            self._begin(folder.name, ["train", str(file), *words, "--out", str(folder)], said)
        return folder.name

    def resume(self, folder: Path, *, longer: bool = False) -> None:
        """Go on with a run that was stopped; `longer`: with one that has ended, to twice its budget.

        Raises:
            RefusedError: if it trains, or too many do.
            RunError: for what is no run.
        """
        more = set_options(read_recipe_of(folder).training.longer()) if longer else []
        with self._lock:
            if self.is_alive(folder.name) or is_held(folder):
                raise RefusedError(409, f"a run that does not train was expected. Received: {folder.name}, which does.")
            self._check_room()
            self._begin(folder.name, ["train", "--resume", str(folder), *more])

    def stop(self, run: str) -> None:
        """Have a training end after the step in hand; what is best so far is kept.

        Raises:
            RefusedError: for one that does not train, or that was not started here.
        """
        if not self.is_alive(run):
            raise RefusedError(
                409,
                f"a run that trains, started from this page, was expected. Received: {run[:80]}.",
                hint="Ctrl-C stops one that was started in a terminal",
            )
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(int(read_json(self._about(run))["pid"]), signal.SIGINT)

    def is_alive(self, run: str) -> bool:
        """Whether its process lives."""
        child = self._children.get(run)
        if child is not None and child.poll() is not None:
            self._children.pop(run, None)
        return is_held(self._log(run))

    def state(self, run: str) -> dict[str, Any] | None:
        """What is known of the last process of a run; None: none was started here."""
        if not self._log(run).is_file():
            return None
        alive, text, about = self.is_alive(run), self._tail(run), read_json(self._about(run), missing_ok=True)
        return {
            "alive": alive,
            "command": about.get("command", ""),
            "said": about.get("said"),
            "log": text,
            "problem": None if alive else _problem(text),
        }

    def pending(self) -> dict[str, str]:
        """Runs that are not there yet, or never came to be: `preparing` or `failed`."""
        names = [path.stem for path in sorted(self._folder.glob("*.log"))]
        return {
            name: "preparing" if self.is_alive(name) else "failed"
            for name in names
            if not (self._runs / name / RECIPE_FILE).is_file()
        }

    def forget(self, run: str) -> None:
        """Remove what is kept of a training that never came to a run.

        Raises:
            RefusedError: for any other.
        """
        with self._lock:
            if self.pending().get(run) != "failed":
                raise RefusedError(409, f"a training that came to no run was expected. Received: {run[:80]}.")
            self._log(run).unlink()
            self._about(run).unlink(missing_ok=True)

    def _begin(self, run: str, words: list[str], said: Mapping[str, Any] | None = None) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._log(run).open("ab") as log:
            try:
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RefusedError(409, f"a run that does not train was expected. Received: {run}.") from error
            log.truncate(0)
            child = subprocess.Popen(
                [*PROGRAM, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"},
            )
        about = {"pid": child.pid, "command": command(*words), "said": said}
        write_atomically(self._about(run), json.dumps(about).encode())
        self._children[run] = child

    def _check_room(self) -> None:
        alive = [path.stem for path in self._folder.glob("*.log") if is_held(path)]
        if len(alive) >= MOST_AT_ONCE:
            raise RefusedError(
                409,
                f"at most {MOST_AT_ONCE} trainings at once were expected. Received: one more than {', '.join(alive)}.",
                hint="stop one of them, or wait",
            )

    def _tail(self, run: str) -> str:
        with self._log(run).open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - _TAIL_BYTES))
            text = log.read().decode(errors="replace")
        return text if size <= _TAIL_BYTES else text.partition("\n")[2]

    def _log(self, run: str) -> Path:
        return self._folder / f"{run}.log"

    def _about(self, run: str) -> Path:
        return self._folder / f"{run}.json"


def _problem(text: str) -> dict[str, Any] | None:
    """The error that a log ends with, in three parts."""
    at = f"\n{text}".rfind(f"\n{_ERROR}")
    if at < 0 and _CRASH in text and "KeyboardInterrupt" not in text:
        return problem_of(RefusedError(500, f"the training failed. Received: {text.strip().splitlines()[-1]}"))
    if at < 0:
        return None
    message, _, hint = text[at + len(_ERROR) :].partition(f"\n{_HINT}")
    return problem_of(RefusedError(422, message.strip(), hint=hint.strip() or None))
