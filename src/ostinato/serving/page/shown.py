"""Which runs the page shows."""

from __future__ import annotations

from pathlib import Path

from ostinato.serving.house import House
from ostinato.serving.refused import RefusedError
from ostinato.serving.workshop.workshop import Workshop


class Shown:
    """Runs by name.

    Args:
        house: the runs whose models are served.
        workshop: the folder of the runs that are shown; None: those that are served.
    """

    def __init__(self, house: House, workshop: Workshop | None = None) -> None:
        self._house, self.workshop = house, workshop

    def folders(self) -> dict[str, Path]:
        """All of them as they are now."""
        if self.workshop is not None:
            return self.workshop.folders()
        return {name: served.run.folder for name, served in self._house.served.items()}

    def folder_of(self, run: str) -> Path:
        """Raises `RefusedError` for the name of no run."""
        there = self.folders()
        if run not in there:
            named = ", ".join(there) or "there is none"
            raise RefusedError(404, f"the name of a run was expected: {named}. Received: {run[:80]!r}.")
        return there[run]
