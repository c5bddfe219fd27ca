"""The report's plots of a run on matplotlib's axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from torch import nn

from ostinato.diagnostics.of_run import diagnose_run
from ostinato.errors import RunError
from ostinato.media.extras import library
from ostinato.metrics.classification import Metrics
from ostinato.report.diagnosis import DIAGNOSIS_FILE
from ostinato.report.head import loss_curve
from ostinato.storage.files import read_json
from ostinato.storage.log import read_log
from ostinato.tasks.generation import OpenRun
from ostinato.tasks.prepare import prepare
from ostinato.tasks.registry import task_of
from ostinato.wording import command

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes


class PlottedRun(OpenRun, Protocol):
    """What plots need of a run: `ostinato.Run` is one."""

    @property
    def summary(self) -> dict[str, Any]:
        """The result of training."""

    def validated(self) -> nn.Module:
        """The model that its figures are of."""

    def evaluate(self, data: Any = None, *, save: bool = True) -> Metrics:
        """Metrics on other data."""


class Plots:
    """`Run.plot`: each method draws on `ax`, or on axes of a new figure, and returns them.

    Raises `MissingLibraryError` without matplotlib (the extra `report`).
    """

    def __init__(self, run: PlottedRun) -> None:
        library("matplotlib", "a plot", "report")
        self._run = run

    def curves(self, ax: Axes | None = None) -> Axes:
        """The loss by step, of training and of validation data.

        Raises:
            RunError: for a run without a step.
        """
        steps, validations = read_log(self._run.folder / "log.jsonl")
        if not steps:
            raise RunError(f"`{self._run.folder}` has no step in its log.")
        unit = task_of(self._run.recipe).loss_unit(self._run.recipe)
        return _on(ax, lambda: loss_curve(steps, validations, unit))

    def confusion(self, data: Any = None, ax: Axes | None = None) -> Axes:
        """How often each class was taken for which.

        Args:
            data: a file, or a table in memory; none: the validation data.
            ax: to draw on.

        Raises:
            RunError: for a model that tells no classes apart.
            DataError: for data that can't be used.
        """
        from ostinato.report import plots

        run = self._run
        found = run.summary.get("validation", {}) if data is None else run.evaluate(data, save=False)
        if "confusion" not in found:
            raise RunError(f"a classifier was expected. Received: {task_of(run.recipe).noun}, `{run.folder}`.")
        return _on(ax, lambda: plots.confusion(found["confusion"], run.features.row_target.classes))

    def forecast(self, window: int = -1, channel: int = 0, ax: Axes | None = None) -> Axes:
        """A window of the validation data: the past, what came, what was forecast.

        Args:
            window: its number; negative: from the last.
            channel: the number of one of several.
            ax: to draw on.

        Raises:
            RunError: for a model that forecasts nothing, or a window or channel that is not there.
            DataError: if the data it was trained on is gone.
        """
        run, spec = self._run, task_of(self._run.recipe)
        if not spec.forecasts:
            raise RunError(f"a forecaster was expected. Received: {spec.noun}, `{run.folder}`.")
        prepared, model = prepare(run.recipe), run.validated()
        return _on(ax, lambda: spec.draw_forecast(model, prepared, run.device, window, channel))

    def gradients(self, ax: Axes | None = None) -> Axes:
        """The gradient's norm by how far back it reaches, of each layer; a run that was not diagnosed is diagnosed."""
        from ostinato.report.plots_diagnosis import norms_by_lag

        path = self._run.folder / DIAGNOSIS_FILE
        found = read_json(path) if path.is_file() else diagnose_run(self._run).to_dict()
        if "gradients" not in found:
            raise RunError(f"`{path}` is damaged.", hint=f"write it again: {command('diagnose', self._run.folder)}")
        return _on(ax, lambda: norms_by_lag(found["gradients"], (found["training"] or {}).get("reach")))


def _on(ax: Axes | None, draw: Callable[[], object]) -> Axes:
    from ostinato.report.svg import drawn_on

    return drawn_on(ax, draw)
