"""Whether a run may be resumed with another recipe, or on other data: what differs, and what force allows."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ostinato.arrays import Array
from ostinato.data.dataset import Features, Prepared
from ostinato.data.io.spool import steps_of
from ostinato.data.sequences import Sequences
from ostinato.errors import RunError
from ostinato.recipe import Recipe
from ostinato.tasks.registry import task_of

FREE = {
    *("epochs", "steps", "max_minutes", "patience", "checkpoint_minutes", "checkpoint_steps", "keep_checkpoints"),
    *("num_threads", "on_divergence", "baselines_seconds", "clock"),
}
"""Keys of `training` that a resumed run may change: none of them is part of what was trained so far."""
PLACES = {"train", "validation", "test"}
"""Keys of `data` that may change: what the files hold is compared, not where they are."""
HARMLESS = {
    *("learning_rate", "weight_decay", "beta2", "schedule", "warmup_steps", "clip", "max_norm", "clip_quantile"),
    *("clip_history", "label_smoothing", "vanishing_penalty", "adversarial", "rollback_factor", "monitor", "device"),
}
"""Keys of `training` that may be changed by force: everything saved still fits, only the rest of the run is another.

Not among them: what decides which batch comes next (`batch_size`, `bptt`, `seed`), whose state is saved (`optimizer`),
and every other key of the recipe.
"""


def recipe_changes(before: Recipe, wanted: Recipe, force: bool) -> list[str]:
    """What differs that needed force, in words.

    Args:
        before: the recipe that the checkpoint was written under.
        wanted: the one to resume with.
        force: whether `HARMLESS` keys may differ; `FREE` ones and `PLACES` always may.

    Raises:
        RunError: if a key differs that may not; it names each, with both values.
    """
    old, new = before.model_dump(mode="json"), wanted.model_dump(mode="json")
    refused = _difference(_without(old, FREE | HARMLESS), _without(new, FREE | HARMLESS))
    if refused:
        raise RunError(
            f"a run can't be resumed with another recipe: {refused}.",
            hint=f"only {', '.join(sorted(FREE))} of `training` may change, with --force-recipe also "
            f"{', '.join(sorted(HARMLESS))}",
        )
    forced = _difference(_without(old, FREE), _without(new, FREE))
    if forced and not force:
        raise RunError(
            f"a run can't be resumed with another recipe: {forced}.",
            hint="what is saved would still fit; to resume anyway, which is logged: --force-recipe",
        )
    return [forced] if forced else []


def data_changes(
    before: Mapping[str, Any], now: Mapping[str, Any], saved: Features, found: Features, force: bool
) -> list[str]:
    """As `recipe_changes`, for the data.

    Args:
        before: what the checkpoint says of the data, `describe_data`.
        now: what is there now.
        saved: the run's features.
        found: those that the data gives now.
        force: whether the data may differ; `with_features` then reads it as the run would.

    Raises:
        RunError: if the data differs, and may not; it says in what.
    """
    if agrees(before, now) and saved.to_dict() == found.to_dict():
        return []
    difference = _difference(before, now) or "the same ids stand for other tokens"
    if not force:
        raise RunError(
            f"the data of the run has changed since training began: {difference}.",
            hint="restore the old data, train a new run, or resume anyway: --force-data",
        )
    return [f"the data has changed: {difference}"]


def agrees(saved: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether everything that was noted of the data is still so. Runs of earlier versions noted less, and took all
    documents of a text for one row."""
    passed_over = {"rows"} if "rows_sha256" not in saved else set[str]()
    return all(
        agrees(value, now.get(key, {})) if isinstance(value, dict) else now.get(key) == value
        for key, value in saved.items()
        if key not in passed_over
    )


def with_features(prepared: Prepared, features: Features) -> Prepared:
    """The data read again with a run's own features: its vocabulary, in which new words are unknown, and its classes.

    Raises:
        RunError: where validation is a share of the rows, which would be another one.
        DataError: for a class that the run does not know.
    """
    recipe, validation = prepared.recipe, prepared.recipe.data.validation
    if isinstance(validation, float):
        raise RunError(
            "the data of the run has changed since training began, and with it the rows that it is validated on.",
            hint="restore the old data, or train again; with a separate file as data.validation, rows may be added",
        )
    spec = task_of(recipe)
    train, held_out = (spec.load(str(place), features, recipe) for place in (recipe.data.train, validation))
    return dataclasses.replace(prepared, features=features, train=train, validation=held_out)


def _without(dumped: Mapping[str, Any], keys: set[str]) -> dict[str, Any]:
    training = {key: value for key, value in dumped["training"].items() if key not in keys}
    return {**dumped, "data": {k: v for k, v in dumped["data"].items() if k not in PLACES}, "training": training}


def _difference(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> str:
    found: list[str] = []
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            inner = _difference(old, new, f"{path}{key}.")
            found.extend([inner] if inner else [])
        elif old != new:
            found.append(f"{path}{key} was {_short(old)}, is {_short(new)}")
    return ", ".join(found)


def _short(value: object) -> str:
    """Of a checksum its beginning."""
    text = repr(value)
    return text if len(text) < 64 else f"{text[:8]}…'"


def describe_data(prepared: Prepared) -> dict[str, Any]:
    """Counts and checksums of the encoded data, to notice that files changed between a run and its resumption."""
    found: dict[str, Any] = {}
    for name, part in (("train", prepared.train), ("validation", prepared.validation)):
        sequences = part.sequences
        found[name] = {
            "rows": len(part),
            "tokens": len(sequences.values),
            "sha256": _checksum(sequences.values),
            "rows_sha256": _checksum(sequences.offsets),
        }
        if part.targets is not None:
            whole = part.targets.values if isinstance(part.targets, Sequences) else part.targets
            found[name]["targets_sha256"] = _checksum(whole)
        if part.extra:
            found[name]["extra_sha256"] = {
                column: _checksum(one.values, one.offsets) for column, one in part.extra.items()
            }
    return found


def _checksum(*arrays: Array) -> str:
    """SHA-256 of the bytes of arrays, read some megabytes at a time."""
    found = hashlib.sha256()
    for array in arrays:
        step = steps_of(array)
        for start in range(0, len(array), step):
            found.update(np.ascontiguousarray(array[start : start + step]).tobytes())
    return found.hexdigest()
