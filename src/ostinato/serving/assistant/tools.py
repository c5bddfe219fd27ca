"""The tools of an assistant, as functions of plain values."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ostinato.errors import RecipeError
from ostinato.recipe.migrate import renamed
from ostinato.run import Run, load
from ostinato.serving.assistant.folders import Folders
from ostinato.serving.cells import refuse_files
from ostinato.serving.refused import RefusedError
from ostinato.serving.served import Heard
from ostinato.serving.workshop.describing import Choice, described_file
from ostinato.serving.workshop.workshop import Workshop
from ostinato.shelf.facts import run_details, run_facts
from ostinato.storage.files import json_ready
from ostinato.training.run_folder import MODEL_FILE

_BUDGET = ("training.max_minutes", "training.clock", "training.baselines_seconds", "training.num_threads")
"""What bounds training, which the tool's own arguments say."""
_LONGEST_WAIT_S, _GRACE_S = 600.0, 300.0
_MOST_ROWS, _MOST_TOKENS, _MOST_CURVE = 1_000, 20_000, 20
_DIAGNOSED = ("name", "horizon", "horizon_ahead", "gradient_horizon", "remarks", "advice", "notes", "num_rows")


@dataclass(frozen=True)
class Bounds:
    """What an assistant may use.

    Args:
        max_minutes: of one training.
        max_data_bytes: of a file.
    """

    max_minutes: float = 10.0
    max_data_bytes: int = 1 << 30


class Tools:
    """Each method is a tool; its docstring is what an assistant reads of it.

    Args:
        data: folders of data.
        runs: the folder of runs; new ones are made in it.
        bounds: what may be used.
    """

    def __init__(self, data: list[Path], runs: Path, bounds: Bounds) -> None:
        self._bounds, self._data = bounds, Folders(data, bounds.max_data_bytes)
        self._workshop = Workshop(runs)
        self._lock = threading.Lock()
        self._opened = lru_cache(maxsize=4)(lambda folder, _: load(folder))

    @property
    def all(self) -> list[Callable[..., dict[str, Any]]]:
        """Every tool."""
        return [
            self.list_data,
            self.describe_data,
            self.train,
            self.stop_training,
            self.list_runs,
            self.report,
            self.evaluate,
            self.predict,
            self.generate,
            self.diagnose,
        ]

    def list_data(self) -> dict[str, Any]:
        """List the files that there are to train on, as `describe_data` and `train` take them."""
        return {"files": self._data.files()}

    def describe_data(
        self, data: str, input: str | None = None, target: str | None = None, settings: list[str] | None = None
    ) -> dict[str, Any]:
        """Describe a file: format, rows, columns with examples; which task and columns would be trained on, and why;
        and, as `problem`, what stands against it. `settings` are keys of a recipe, such as "data.separator=;"."""
        choice = Choice(input, target, None, None, tuple(settings or ()))
        return described_file(self._data.find(data), choice)

    def train(
        self,
        data: str,
        minutes: float | None = None,
        steps: int | None = None,
        input: str | None = None,
        target: str | None = None,
        task: str | None = None,
        settings: list[str] | None = None,
        wait_s: float = 45.0,
    ) -> dict[str, Any]:
        """Train a model on a file within a budget of minutes (by default two) and, if given, of steps; what is left
        open is inferred.
        Answers when it has ended, or after `wait_s` seconds, while it goes on: then ask `report` with the name of the
        run. `settings` are keys of a recipe, such as "model.cell=gru" or "model.hidden_size=64"."""
        most = self._bounds.max_minutes
        minutes = min(2.0, most) if minutes is None else minutes
        if not 0 < minutes <= most:
            raise RecipeError(
                f"`minutes` must be above 0, and at most {most:g}. Received: {minutes:g}.",
                hint="the person who started `ostinato mcp` may raise --max-minutes",
            )
        for one in settings or ():
            if (key := renamed(one.partition("=")[0].strip(), None)[0]) in _BUDGET:
                raise RecipeError(
                    f"`settings` must leave the budget to `minutes` and `steps`. Received: {key}.",
                    hint=f"minutes={most:g}",
                )
        budget = [] if steps is None else [f"training.steps={steps}"]
        choice = Choice(input, target, task, minutes, (*budget, *(settings or ())))
        run = self._workshop.trainings.start(self._data.find(data), choice)
        late = threading.Timer(60 * minutes + _GRACE_S, self._end, [run])
        late.daemon = True
        late.start()
        end = time.monotonic() + min(max(wait_s, 0.0), _LONGEST_WAIT_S)
        while self._workshop.trainings.is_alive(run) and time.monotonic() < end:
            time.sleep(0.2)
        return self.report(run)

    def stop_training(self, run: str) -> dict[str, Any]:
        """End a training early; what is best so far is kept."""
        self._workshop.trainings.stop(run)
        return {"run": run, "state": "ending"}

    def list_runs(self) -> dict[str, Any]:
        """List all runs: task, state, main figure."""
        found = [run_facts(name, folder) for name, folder in self._workshop.folders().items()]
        return json_ready({"runs": [*found, *self._workshop.pending()]})

    def report(self, run: str) -> dict[str, Any]:
        """What a run has come to: figures with intervals, findings, the comparison with simple baselines, the last of
        its curves; of one that failed, why. `page` is its report, a file for people."""
        job = self._workshop.trainings.state(run)
        pending = {one["name"]: one for one in self._workshop.pending()}
        if run in pending:
            return json_ready({"run": run, **pending[run], "job": job})
        folder = self._folder(run)
        found = run_details(run, folder)
        for curve in ("training", "validation"):
            found[curve] = _last(found[curve])
        page = folder / "report.html"
        return json_ready({"run": run, **found, "job": job, "page": str(page) if page.is_file() else None})

    def evaluate(self, run: str, data: str) -> dict[str, Any]:
        """Score a run on a labelled file that it has not seen; figures with intervals of 95 %."""
        said = Heard()
        with self._lock:
            metrics = self._open(run).evaluate(self._data.find(data), said, save=False)
        return json_ready({"metrics": metrics, "notes": said.notes})

    def predict(self, run: str, rows: list[Any] | None = None, data: str | None = None) -> dict[str, Any]:
        """Predict rows: cells of the run's input column, or objects by column; or the rows of a file."""
        if (rows is None) == (data is None):
            raise RecipeError("either `rows` or `data` must be given. Received: both, or none.")
        if rows is not None and len(rows) > _MOST_ROWS:
            raise RecipeError(f"`rows` must be at most {_MOST_ROWS:,}. Received: {len(rows):,}.")
        with self._lock:
            opened = self._open(run)
            if rows is not None:
                found = opened.predict([refuse_files(opened, row) for row in rows])
                return json_ready({"predictions": [one.to_dict() for one in found]})
            told = opened.predict_file(self._data.find(str(data)))
        first = [{"row": where, "begins": begins, **one.to_dict()} for where, begins, one in told[:_MOST_ROWS]]
        return json_ready({"predictions": first, "rows": len(told)})

    def generate(
        self,
        run: str,
        prompt: Any = "",
        condition: Any = None,
        max_new_tokens: int = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> dict[str, Any]:
        """Have a run that writes go on from a prompt, or write for a condition (a cell, or an object by column)."""
        if not 0 < max_new_tokens <= _MOST_TOKENS:
            raise RecipeError(f"`max_new_tokens` must be from 1 to {_MOST_TOKENS:,}. Received: {max_new_tokens:,}.")
        with self._lock:
            opened = self._open(run)
            for given in (prompt or None, condition):
                refuse_files(opened, given)
            made = opened.generation(
                prompt,
                condition=condition,
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                seed=seed,
            )
            if made.pieces is not None:
                return {"text": "".join(made.pieces)}
        return json_ready({"sequences": made.sequences})

    def diagnose(self, run: str, rows: int = 32) -> dict[str, Any]:
        """How far back a model remembers, where its gradients end, and what to change."""
        if not 1 <= rows <= _MOST_ROWS:
            raise RecipeError(f"`rows` must be from 1 to {_MOST_ROWS:,}. Received: {rows}.")
        with self._lock:
            found = self._open(run).diagnose(num_rows=rows).to_dict()
        return json_ready({key: found[key] for key in _DIAGNOSED if key in found})

    def _folder(self, run: str) -> Path:
        folder, runs = self._workshop.folder_of(run), self._workshop.runs.resolve()
        if not folder.resolve().is_relative_to(runs):
            raise RefusedError(404, f"a run that lies in {runs} was expected. Received: {run[:80]!r}, a link.")
        return folder

    def _open(self, run: str) -> Run:
        folder = self._folder(run)
        weights = folder / MODEL_FILE
        found: Run = self._opened(folder, weights.stat().st_mtime_ns if weights.is_file() else 0)
        return found

    def _end(self, run: str) -> None:
        with suppress(RefusedError):  # it has ended
            self._workshop.trainings.stop(run)


def _last(curve: Any) -> Any:
    """The end of each line of a curve."""
    if isinstance(curve, dict):
        return {key: _last(value) for key, value in curve.items()}
    return curve[-_MOST_CURVE:] if isinstance(curve, list) else curve
