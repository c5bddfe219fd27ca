"""A progress bar in a notebook: HTML that is shown once and updated in place; it needs no widgets."""

from __future__ import annotations

import importlib
import time
from html import escape
from typing import Any

from rich.progress import TaskID

_PAUSE_S = 0.25


class NotebookBar:
    """As `rich.progress.Progress` of a single task, as far as it is used here."""

    def __init__(self) -> None:
        notebook = importlib.import_module("IPython.display")
        self._html = notebook.HTML
        self._shown: Any = notebook.display(notebook.HTML(""), display_id=True)
        self._total, self._completed = 1.0, 0.0
        self._where = self._figures = ""
        self._last = 0.0

    def start(self) -> None:
        """Show it, empty."""
        self._draw()

    def add_task(self, description: str, *, total: float = 1.0, where: str = "", figures: str = "") -> TaskID:
        """The one task."""
        self._total, self._where, self._figures = total, where, figures
        self._draw()
        return TaskID(0)

    def update(
        self,
        task: TaskID,
        *,
        completed: float | None = None,
        where: str | None = None,
        figures: str | None = None,
        visible: bool = True,
    ) -> None:
        """Move it, at most four times a second."""
        self._completed = self._completed if completed is None else completed
        self._where = self._where if where is None else where
        self._figures = self._figures if figures is None else figures
        if visible and time.monotonic() - self._last > _PAUSE_S:
            self._draw()

    def stop(self) -> None:
        """Show how far it came."""
        self._draw()

    def _draw(self) -> None:
        self._last = time.monotonic()
        share = min(self._completed / self._total, 1.0) if self._total else 1.0
        self._shown.update(
            self._html(
                f'<span style="white-space:pre">{escape(self._where)} </span>'
                f'<progress value="{share:.4f}" max="1" style="width:20rem;vertical-align:middle"></progress>'
                f"<span> {share:.0%} {escape(self._figures)}</span>"
            )
        )
