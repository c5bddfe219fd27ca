"""What is said of runs, read from their directories alone: a run may still be training, or lack its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ostinato.baselines.found import BASELINES_FILE
from ostinato.errors import OstinatoError
from ostinato.metrics.names import METRIC_NAMES
from ostinato.recipe import Recipe, TrainingRecipe
from ostinato.storage.files import read_json
from ostinato.storage.locks import is_held
from ostinato.storage.log import read_log
from ostinato.training.run_folder import LOG_FILE, read_recipe_of, summary_of

REPORT_FILE = "report.html"
_MOST_POINTS = 400
"""Of a curve: what a screen shows."""
_SPARK_POINTS = 60
_MAIN = ("accuracy", "f1", "token_error_rate", "mase", "r2", "bits_per_character", "bits_per_token", "nats_per_frame")
"""Where a run is chosen by its loss: the figure that says more, the first that there is."""


def run_facts(name: str, folder: Path) -> dict[str, Any]:
    """A line of the table of runs; of one that can't be read, why.

    Args:
        name: that it is served by.
        folder: of the run.
    """
    try:
        recipe, summary = read_recipe_of(folder), summary_of(folder)
        steps, validations = read_log(folder / LOG_FILE)
    except OstinatoError as error:
        return {"name": name, "state": "unreadable", "reason": error.message}
    scored = summary.get("validation") or (validations[-1] if validations else {})
    return {
        "name": name,
        "state": _state(folder, summary),
        "task": recipe.model.task,
        "cell": recipe.model.cell,
        "figure": _figure(recipe, scored),
        "steps": summary.get("steps", steps[-1]["step"] if steps else 0),
        "when": summary.get("finished"),
        "curve": _curve(validations, _SPARK_POINTS),
    }


def run_details(name: str, folder: Path) -> dict[str, Any]:
    """All that is shown of one run.

    Raises:
        OstinatoError: for a directory that can't be read.
    """
    recipe, summary = read_recipe_of(folder), summary_of(folder)
    steps, validations = read_log(folder / LOG_FILE)
    scored = summary.get("validation") or (validations[-1] if validations else {})
    return {
        **run_facts(name, folder),
        "progress": None if "finished" in summary or not steps else _progress(recipe.training, steps[-1]),
        "data": recipe.data.train,
        "settings": _flat(recipe.model_dump(mode="json", exclude={"name"})),
        "facts": [
            (said, summary[key])
            for key, said in (("epochs", "epochs"), ("seconds", "seconds"), ("num_parameters", "parameters"))
            if key in summary
        ],
        "ended": summary.get("ended"),
        "figures": _figures(scored),
        "findings": _findings(summary),
        "conclusion": read_json(folder / BASELINES_FILE, missing_ok=True).get("conclusion"),
        "has_report": (folder / REPORT_FILE).is_file(),
        "training": _curve(steps),
        "validation": _curve(validations),
    }


def _state(folder: Path, summary: Mapping[str, Any]) -> str:
    if "finished" in summary:
        return "finished"
    return "training" if is_held(folder) else "unfinished"


def _progress(training: TrainingRecipe, last: Mapping[str, Any]) -> float:
    """Share of the budget that is spent: whichever part of it is nearer its end."""
    of_steps = last["step"] / training.steps if training.steps else 0.0
    of_epochs = (last["epoch"] - 1) / training.epochs if training.epochs else 0.0
    of_time = last["elapsed_s"] / (60 * training.max_minutes) if training.max_minutes else 0.0
    return round(min(1.0, max(of_steps, of_epochs, of_time)), 4)


def _figure(recipe: Recipe, scored: Mapping[str, Any]) -> dict[str, Any] | None:
    """The figure that a run is judged by."""
    chosen: str = recipe.training.monitor
    if chosen == "loss":
        chosen = next((key for key in _MAIN if key in scored), chosen)
    return next((one for one in _figures(scored) if one["key"] == chosen), None)


def _figures(scored: Mapping[str, Any]) -> list[dict[str, Any]]:
    intervals = scored.get("intervals", {})
    return [
        {"key": key, "name": METRIC_NAMES.get(key, key), "value": value, "interval": intervals.get(key)}
        for key, value in scored.items()
        if isinstance(value, float | int) and not isinstance(value, bool) and key in {"loss", *METRIC_NAMES}
    ]


def _findings(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [one if isinstance(one, dict) else {"title": str(one)} for one in summary.get("findings", [])]


def _flat(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Nested settings by their path."""
    found = dict[str, Any]()
    for key, value in values.items():
        found |= _flat(value, f"{path}{key}.") if isinstance(value, dict) and value else {path + key: value}
    return found


def _curve(events: list[dict[str, Any]], most: int = _MOST_POINTS) -> list[tuple[int, float]]:
    """(step, loss), each point the mean of the steps that it stands for."""
    size = -(-len(events) // most) or 1
    parts = [events[at : at + size] for at in range(0, len(events), size)]
    return [(part[-1]["step"], sum(one["loss"] for one in part) / len(part)) for part in parts]
