"""A plan made and applied: the options that a recipe leaves open, its budget, and the lines that say so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import replace
from typing import Any

import numpy as np

from ostinato.data.dataset import Prepared
from ostinato.data.inference.applicability import refuse_inapplicable
from ostinato.data.rejects import counted
from ostinato.errors import RecipeError
from ostinato.recipe import Recipe, apply_overrides, build_recipe
from ostinato.tasks.memory import fits
from ostinato.tasks.plan import Plan, Shape
from ostinato.tasks.registry import task_of

_LEAST = {"model.ngram_buckets": 1024, "model.embedding_dim": 8, "model.hidden_size": 8}
"""What is halved where memory is short, and down to which size."""


def planned(prepared: Prepared, asked: Recipe, read: Callable[[Recipe], Prepared]) -> Prepared:
    """The data with a recipe that leaves no budget open, and the lines that say what was chosen, in its notes.

    Args:
        prepared: of a resolved recipe.
        asked: the recipe as it was given, which says what a user set.
        read: reads the data again, where the plan says how.
    """
    recipe = prepared.recipe
    if not recipe.training.is_open:
        return prepared
    task = task_of(recipe)
    shape = task.shape(prepared)
    plan = task.plan(shape, recipe)
    said = set(paths_of(asked.said))
    options = {key: value for key, value in plan.options.items() if key not in said}
    recipe = with_all(recipe, options)
    reason = f"{plan.name}: {shape}"
    budget = {"training.plan": reason, **_budget(plan, shape, recipe)}
    recipe = build_recipe(apply_overrides(recipe.model_dump(), budget))
    notes = [*prepared.notes, f"plan: {reason}", _told(recipe)]
    ready = replace(read(recipe), notes=notes) if plan.reread else replace(prepared, recipe=recipe, notes=notes)
    return _within_memory(ready, said)


def _within_memory(prepared: Prepared, said: Set[str]) -> Prepared:
    """The data with a smaller model where memory doesn't allow the one that was planned, and a note of it; what a user
    set stays."""
    recipe, task, before = prepared.recipe, task_of(prepared.recipe), dict[str, int]()
    while not fits(task, recipe, prepared.features):
        sizes = {key: int(getattr(recipe.model, key.partition(".")[2], 0)) for key in _LEAST if key not in said}
        smaller = {key: size // 2 for key, size in sizes.items() if size // 2 >= _LEAST[key]}
        if not smaller:
            break  # `check_memory` says how much is missing
        before = {key: sizes[key] for key in smaller} | before
        recipe = build_recipe(apply_overrides(recipe.model_dump(), smaller))
    if not before:
        return prepared
    changes = [f"{key} {size:,} → {getattr(recipe.model, key.partition('.')[2]):,}" for key, size in before.items()]
    note = f"plan: smaller, since memory does not allow more: {', '.join(changes)}"
    return replace(prepared, recipe=recipe, notes=[*prepared.notes, note])


def with_all(recipe: Recipe, options: Mapping[str, Any]) -> Recipe:
    """The recipe with all options; or with those that go with what a user set, where all of them don't."""
    try:
        return _changed(recipe, options)
    except RecipeError:
        for key, value in options.items():
            try:
                recipe = _changed(recipe, {key: value})
            except RecipeError:  # a user's option rules it out
                continue
        return recipe


def _changed(recipe: Recipe, options: Mapping[str, Any]) -> Recipe:
    changed = build_recipe(apply_overrides(recipe.model_dump(), options))
    refuse_inapplicable(changed)
    task_of(changed).check(changed)
    changed.model.check_resolved(changed)
    return changed


def _budget(plan: Plan, shape: Shape, recipe: Recipe) -> dict[str, Any]:
    """Steps and minutes: at least the plan's, in proportion where a user gives more minutes."""
    training = recipe.training
    window = training.bptt.window if training.bptt is not None else None
    each = shape.rows / training.batch_size if window is None else shape.steps / (window * training.batch_size)
    minutes = training.max_minutes or plan.minutes
    steps = max(plan.steps, plan.epochs * each) * max(1.0, minutes / plan.minutes)
    return {"training.steps": training.steps or int(np.ceil(steps)), "training.max_minutes": minutes}


def _told(recipe: Recipe) -> str:
    training = recipe.training
    return (
        f"budget: {counted(training.steps or 0, 'step')}, at most {training.max_minutes:g} minutes; "
        "--minutes M gives more, --epochs N the defaults without a plan"
    )


def paths_of(mapping: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Every option that a mapping sets, by its path, and the groups it stands in."""
    for key, value in mapping.items():
        yield f"{above}{key}"
        if isinstance(value, Mapping):
            yield from paths_of(value, f"{above}{key}.")
