"""Changes that advice proposes, adapted so that the run's own recipe accepts them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from ostinato.data.dataset import Features
from ostinato.data.inference.applicability import saved_recipe
from ostinato.diagnostics.diagnosis import Diagnosis
from ostinato.errors import RecipeError
from ostinato.layers.other_cell import no_place_for
from ostinato.recipe import Recipe, apply_overrides
from ostinato.tasks.registry import task_of

_SET = "--set "
_ALTERNATIVES = {"model.chrono": "model.forget_bias", "model.forget_bias": "model.chrono"}
"""Keys that set the same thing: setting one resets the other."""


def with_changes_for(found: Diagnosis, recipe: Recipe, features: Features) -> Diagnosis:
    """A diagnosis whose advice proposes what the recipe takes, of each of the model's recurrences.

    Args:
        found: with the changes as the rules have them.
        recipe: of the run.
        features: of the run; a model is built to see that sizes go together.
    """
    advice = tuple(
        replace(one, change=None if one.change is None else completed(one.change, recipe, features))
        for one in found.advice
    )
    parts = tuple(with_changes_for(part, recipe, features) for part in found.parts)
    return replace(found, advice=advice, parts=parts)


def completed(change: str, recipe: Recipe, features: Features) -> str | None:
    """A change, with the options that must be reset along with it; None where it changes nothing, or can't be made.

    Reset are options that no longer apply (`clip_quantile` of `clip: adaptive`), that the new cell does not take, and
    others that set the same thing.

    Args:
        change: options of `ostinato train`, `--set a.b=c --set d=e`.
        recipe: of the run.
        features: of the run.
    """
    settings = [part.strip() for part in change.split(_SET)[1:]]
    wanted = {setting.partition("=")[0]: setting.partition("=")[2] for setting in settings}
    beside = _taken_back(recipe, wanted)
    try:
        mapping = apply_overrides(apply_overrides(recipe.model_dump(mode="json"), settings), beside)
        changed, unread = saved_recipe(mapping)
        with torch.random.fork_rng():
            task_of(changed).build(changed, features)
    except RecipeError:
        return None
    if changed == recipe or set(unread) & set(wanted):
        return None
    beside |= {key: _value(Recipe(), key) for key in unread}
    return " ".join([change, *(f"{_SET}{key}={json.dumps(value)}" for key, value in beside.items())])


def _taken_back(recipe: Recipe, wanted: Mapping[str, str]) -> dict[str, Any]:
    """Options that conflict with the keys of a change."""
    found: dict[str, Any] = {
        other: None for key, other in _ALTERNATIVES.items() if key in wanted and _value(recipe, other) is not None
    }
    if "model.cell" in wanted:
        found |= {f"model.{key}": value for key, value in no_place_for(recipe.model, wanted["model.cell"]).items()}
    return {key: value for key, value in found.items() if key not in wanted}


def _value(recipe: Recipe, path: str) -> Any:
    """What a recipe holds at a path, as it is written."""
    node: Any = recipe.model_dump(mode="json")
    for key in path.split("."):
        node = node[key]
    return node
