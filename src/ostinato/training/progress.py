"""What a user sees while a model trains: a live bar on a terminal or in a notebook, plain lines elsewhere. All of it on
stderr."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn
from rich.table import Column

from ostinato.recipe import Recipe
from ostinato.tasks.registry import task_of
from ostinato.terminal import Terminal
from ostinato.training.notebook_bar import NotebookBar
from ostinato.training.position import Position

_SMOOTHING = 0.98
_WIDE = 72
"""Columns of a terminal that has room for all figures beside the bar."""
_WORTH_SAYING = 0.02
"""Accuracy lost by keeping the epoch of the lowest loss, from which on it is said."""


class Observer:
    """Receives progress; this one ignores it. A front end overrides what it shows."""

    def note(self, text: str) -> None:
        """A message for the user."""

    def start(self, step: int, total_steps: float, recipe: Recipe) -> None:
        """Training starts, or resumes, at `step`."""

    def step(self, event: dict[str, Any], progress: float) -> None:
        """A step is done; `progress` is the share of the budget that is spent."""

    def validation(self, event: dict[str, Any]) -> None:
        """The validation data was scored."""

    def rows(self, done: int, total: int) -> None:
        """So many rows of a file are predicted."""

    def stop(self, position: Position) -> None:
        """Training is over or interrupted."""


class ConsoleObserver(Observer):
    """A progress bar with loss, the loss in its own unit, tokens a second and time left.

    Args:
        console: where to write; stderr by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Terminal(stderr=True)
        self._scale, self._unit = 1.0, ""
        self._bar: Progress | NotebookBar | None = None
        self._task: TaskID = TaskID(0)
        self._epochs = 0
        self._loss = self._rate = 0.0
        self._weight = 0.0
        self._by_loss = False
        self._accuracies: dict[int, float] = {}

    def note(self, text: str) -> None:
        """Print a line; on a terminal no word is cut."""
        self.console.print(text, style="dim", highlight=False, markup=False, soft_wrap=not self.console.is_terminal)

    def start(self, step: int, total_steps: float, recipe: Recipe) -> None:
        """Show the bar, if this is a terminal or a notebook."""
        self._epochs = 0 if recipe.training.max_minutes else recipe.training.epochs or 0
        self._scale, self._unit = task_of(recipe).loss_unit(recipe)
        self._by_loss = recipe.training.monitor == "loss" and recipe.training.keep == "best"
        if step:
            self.note(f"resuming after step {step:,}")
        if not self._is_live:
            return
        columns = (
            TextColumn("{task.fields[where]}"),
            BarColumn(bar_width=None, table_column=Column(ratio=1)),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[figures]}"),
        )
        self._bar = self._new_bar(*columns, refresh_per_second=4)
        self._bar.start()
        self._task = self._bar.add_task("", total=1.0, where="starting", figures="")

    def step(self, event: dict[str, Any], progress: float) -> None:
        """Move the bar."""
        self._weight = _SMOOTHING * self._weight + 1 - _SMOOTHING
        self._loss = _SMOOTHING * self._loss + (1 - _SMOOTHING) * event["loss"]
        self._rate = _SMOOTHING * self._rate + (1 - _SMOOTHING) * event["tokens_per_s"]
        if self._bar is None:
            return
        loss = self._loss / self._weight
        left = event["elapsed_s"] * (1 - progress) / max(progress, 1e-9)
        bits = "" if self._scale == 1 else f"{loss * self._scale:.3f} {self._unit.replace(' per ', '/')} · "
        rate = f"{self._rate / self._weight:,.0f} tokens/s · "
        beside = f"{bits}{rate}" if self.console.width >= _WIDE else ""
        figures = f"loss {loss:.3f} · {beside}{_duration(left)} left"
        where = f"epoch {event['epoch']}" + (f"/{self._epochs}" if self._epochs else "")
        self._bar.update(self._task, completed=min(progress, 1.0), where=where, figures=figures)

    def validation(self, event: dict[str, Any]) -> None:
        """Print a line an epoch."""
        shown = {k: v for k, v in event.items() if k in _SHOWN and v is not None}
        figures = " · ".join(f"{_SHOWN[key]} {value:.4f}" for key, value in shown.items())
        if event.get("accuracy") is not None:
            self._accuracies[event["epoch"]] = event["accuracy"]
        mark = " ← best" if event["best"] else ""
        self.console.print(
            f"epoch {event['epoch']}: validation {figures} · {_duration(event['elapsed_s'])}{mark}",
            highlight=False,
            markup=False,
            soft_wrap=not self.console.is_terminal,
        )

    def rows(self, done: int, total: int) -> None:
        """Move a bar of its own, if this is a terminal and there is more than one step."""
        if self._bar is None and self._is_live and done < total:
            columns = (TextColumn("{task.completed:,.0f} of {task.total:,.0f} rows"), BarColumn(bar_width=None))
            self._bar = self._new_bar(*columns, transient=True)
            self._bar.start()
            self._task = self._bar.add_task("", total=total)
        if self._bar is not None:
            self._bar.update(self._task, completed=done)
            if done >= total:
                self._bar.stop()
                self._bar = None

    @property
    def _is_live(self) -> bool:
        return self.console.is_terminal or self.console.is_jupyter

    def _new_bar(self, *columns: ProgressColumn, **options: Any) -> Progress | NotebookBar:
        """The bar of a terminal; in a notebook one that needs no widgets."""
        if self.console.is_jupyter:
            return NotebookBar()
        return Progress(*columns, console=self.console, expand=True, **options)

    def stop(self, position: Position) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.update(self._task, visible=self._weight > 0)  # no step was left to do: nothing to show
            self._bar.stop()
            self._bar = None
        kept = self._accuracies.get(position.best_epoch + 1)
        if not self._by_loss or kept is None:
            return
        epoch, highest = max(self._accuracies.items(), key=lambda item: item[1])
        if highest - kept > _WORTH_SAYING:
            self.note(
                f"kept: epoch {position.best_epoch + 1}, of the lowest loss, accuracy {kept:.4f}; the highest was "
                f"{highest:.4f} in epoch {epoch}, which --set training.monitor=accuracy keeps"
            )


_SHOWN = {
    "loss": "loss",
    "accuracy": "accuracy",
    "f1": "F1",
    "auc": "AUC",
    "exact": "exact",
    "token_error_rate": "token errors",
    "bleu": "BLEU",
    "bits_per_character": "bits/character",
    "bits_per_token": "bits/token",
    "mae": "MAE",
    "r2": "R²",
}


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
