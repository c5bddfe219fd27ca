"""The folder of runs that `ostinato ui` shows, and what may be done in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ostinato.serving.refused import RefusedError
from ostinato.serving.workshop.files import Files
from ostinato.serving.workshop.trainings import Trainings
from ostinato.shelf.folders import runs_of

_OWN = ".page"
"""What the page keeps in a folder of runs."""


class Workshop:
    """Runs of a folder as they are now, files to train on, and trainings.

    Args:
        runs: a folder of runs, or a run; it is made when the first file is dropped.
    """

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self.files = Files(runs / _OWN / "files")
        self.trainings = Trainings(runs, runs / _OWN / "trainings")

    def folders(self) -> dict[str, Path]:
        """All runs by name."""
        return runs_of(self.runs)

    def folder_of(self, run: str) -> Path:
        """Raises `RefusedError` for the name of no run."""
        folders = self.folders()
        if run not in folders:
            there = ", ".join(folders) or "there is none"
            raise RefusedError(404, f"the name of a run was expected: {there}. Received: {run[:80]!r}.")
        return folders[run]

    def pending(self) -> list[dict[str, Any]]:
        """Trainings that have no run yet, as lines of the table of runs."""
        return [
            {"name": name, "state": state, **({"job": self.trainings.state(name)} if state == "failed" else {})}
            for name, state in self.trainings.pending().items()
        ]
