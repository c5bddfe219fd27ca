"""The baselines of a run: what its task says, trained and scored next to its model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ostinato.baselines import Baselines
from ostinato.baselines.base import BaselineComparison, joined, taken
from ostinato.baselines.measure import measure
from ostinato.data.dataset import Prepared
from ostinato.errors import RunError
from ostinato.recipe import Recipe
from ostinato.wording import with_article

if TYPE_CHECKING:
    from ostinato.tasks.spec import TaskSpec


def compare_with_baselines(
    spec: TaskSpec,
    model: nn.Module,
    prepared: Prepared,
    device: torch.device,
    summary: dict[str, Any],
    budget_s: float,
    say: Callable[[str], None],
    halves: Sequence[nn.Module] = (),
) -> Baselines:
    """Train a task's baselines on a run's training data, and score all on its validation data; see
    `baselines.measure`.

    Args:
        spec: of the run's task.
        model: the run's.
        prepared: its data.
        device: where the model is.
        summary: of its training: seconds and steps.
        budget_s: seconds for all baselines together, >= 0.
        say: called with progress messages.
        halves: the model as the first half of the validation units would have chosen it, and as the second; none: that
            is not known.

    Raises:
        RunError: for a task without baselines.
    """
    comparison = spec.comparison(prepared.recipe)
    if comparison is None:
        raise RunError(f"there are no baselines yet for {with_article(spec.noun)}.")
    able = [method for method in spec.baselines(prepared.recipe) if method.applies(prepared)]
    made = comparison(model, prepared, device)
    own = _crossed(spec, made, halves) if halves else None
    return measure(made, able, summary, budget_s, say, own, _scored(prepared.recipe, crossed=own is not None))


def _crossed(spec: TaskSpec, comparison: BaselineComparison, halves: Sequence[nn.Module]) -> Any | None:
    """The model's answers on the validation data, each by what the other half of these has chosen and decided; None
    where answers are of other units than the choice."""
    first = comparison.first_half
    if first is None:
        return None
    prepared, found = comparison.prepared, []
    for model, chosen_by in zip(halves, (first, ~first), strict=True):
        own = replace(prepared, validation=prepared.validation.take(np.flatnonzero(chosen_by)))
        spec.decide(model, own, comparison.device)
        found.append(type(comparison)(model, prepared, comparison.device).own())
    order = np.argsort(np.concatenate([np.flatnonzero(~first), np.flatnonzero(first)]))
    return taken(joined([taken(found[0], np.flatnonzero(~first)), taken(found[1], np.flatnonzero(first))]), order)


def _scored(recipe: Recipe, *, crossed: bool) -> str:
    """How the model's own figures came about."""
    if crossed:
        return (
            "this model's figures are cross-fitted: each half of the validation rows is answered by the epoch and the "
            "calibration that the other half chose, so that the choice does not flatter it"
        )
    if recipe.training.keep == "best":
        return "this model's epoch was chosen by the very data that it is compared on, which flatters it a little"
    return ""
