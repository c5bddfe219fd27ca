"""The baselines of a run: what its task says, trained and scored next to its model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ostinato.baselines import Baselines
from ostinato.baselines.measure import measure
from ostinato.data.dataset import Prepared
from ostinato.errors import RunError
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

    Raises:
        RunError: for a task without baselines.
    """
    comparison = spec.comparison(prepared.recipe)
    if comparison is None:
        raise RunError(f"there are no baselines yet for {with_article(spec.noun)}.")
    able = [method for method in spec.baselines(prepared.recipe) if method.applies(prepared)]
    return measure(comparison(model, prepared, device), able, summary, budget_s, say)
