"""Recipes of version 0.1, whose `model.kind` is `model.task` now."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from ostinato.recipe.forecast import TimeSeriesRecipe

TASKS = {"classifier": "classification", "tagger": "tagging", "forecaster": "forecasting"}
"""Names of tasks that changed."""
_NOTES = ("output", "output_size", "output_dropout")
_MOVED = {
    "model.kind": "model.task",
    **{f"model.forecast.{key}": f"data.{key}" for key in TimeSeriesRecipe.model_fields},
    **{f"model.next_step.{key}": f"model.notes.{key}" for key in _NOTES},
}
"""Where options went that are not simply one level higher."""
_GONE = {"forecast": ("forecasting",), "tagger": ("tagging",), "next_step": ("next_step", "seq2seq", "conditional")}
"""Groups of `model` whose options are its own now, and the tasks that read them."""


def new_names(path: str, value: object) -> list[str]:
    """How an option of version 0.1, or a group of them, is written now; none where the path is of no such option."""
    if path == "model.kind":
        return [f"`model.task: {TASKS.get(str(value), value)}`"]
    if path.removeprefix("model.") not in _GONE:
        return []
    keys = value if isinstance(value, Mapping) and value else ["*"]
    return [f"`{_moved(f'{path}.{key}')}`" for key in keys]


def renamed(path: str, value: Any) -> tuple[str, Any]:
    """An option to set, and its value, by their names of today.

    Example:
        >>> renamed("model.kind", "tagger"), renamed("model.forecast.on_gap", "fill")
        (('model.task', 'tagging'), ('data.on_gap', 'fill'))
    """
    return _moved(path), TASKS.get(value, value) if path == "model.kind" and isinstance(value, str) else value


def _moved(path: str) -> str:
    if path in _MOVED:
        return _MOVED[path]
    model, _, below = path.partition(".")
    group, _, rest = below.partition(".")
    return f"model.{rest}" if model == "model" and group in _GONE and rest else path


def is_old(mapping: Mapping[str, Any]) -> bool:
    """Whether a recipe is one of version 0.1."""
    model = mapping.get("model")
    return isinstance(model, Mapping) and isinstance(model.get("kind"), str)


def migrated(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """A saved recipe as today's: that of version 0.1 with its options in their new places, any other as it is.

    Options of other tasks, which version 0.1 wrote out, too, are still there: `build_saved` leaves them out. A
    classifier that was saved before there was `model.calibration` continues without it; its n-grams, where
    `model.ngram_dropout` says of when they are, have no ends.
    """
    result = _moved_all(mapping)
    model = result.get("model")
    if isinstance(model, dict):
        if model.pop("ngram_dropout", None) is not None and model.get("ngrams"):
            model.setdefault("ngram_edges", False)
        if model.get("task") == "classification":
            model.setdefault("calibration", "none")
    return result


def _moved_all(mapping: Mapping[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(dict(mapping))
    if not is_old(mapping):
        return result
    model = result.pop("model")
    task = TASKS.get(model["kind"], model["kind"])
    for path, value in _leaves(model, task):
        *parents, last = _moved(path).split(".")
        node = result
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    result["model"]["task"] = task
    return result


def with_old_split(mapping: dict[str, Any]) -> dict[str, Any]:
    """A recipe's file as it was meant before shares were drawn class by class by default: one that states
    its share for validation, and does not say `stratify`, keeps its split."""
    data = mapping.get("data")
    if not isinstance(data, dict) or "stratify" in data or not isinstance(data.get("validation"), float):
        return mapping
    return {**mapping, "data": {**data, "stratify": False}}


def _leaves(model: Mapping[str, Any], task: str) -> Iterator[tuple[str, Any]]:
    """The options by path: of groups that are removed one by one, where the task has them."""
    for key, value in model.items():
        if key not in _GONE or not isinstance(value, Mapping):
            yield f"model.{key}", value
        elif task in _GONE[key]:
            yield from ((f"model.{key}.{name}", one) for name, one in value.items())
