"""What evaluating, predicting and reporting are, for each category of independent rows. A new one is a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import nn

from ostinato.data.dataset import Examples, Features, Prepared
from ostinato.data.inference.applicability import WRITERS
from ostinato.data.inference.written import FRAMES
from ostinato.errors import RunError
from ostinato.metrics.classification import Metrics
from ostinato.recipe import Recipe
from ostinato.tasks.prediction import Prediction

Evaluate = Callable[[nn.Module, Examples, Features, torch.device], Metrics]
Predict = Callable[[nn.Module, Examples, Features, torch.device], list[Prediction]]
Results = Callable[[nn.Module, Prepared, torch.device], dict[str, Any]]


@dataclass(frozen=True)
class Category:
    """evaluate: metrics on examples, `loss` among them; monitor: the same, quickly, after each epoch; predict: one
    `Prediction` a row, in order; results: the facts of the report's section, `template` (a file of `templates/`) among
    them."""

    evaluate: Evaluate
    monitor: Evaluate
    predict: Predict
    results: Results


MODULES: dict[str, str] = {
    "classifier": "ostinato.tasks.classification.evaluation",
    "forecaster": "ostinato.tasks.forecasting.evaluation",
    "conditional": "ostinato.tasks.conditional.evaluation",
    "next_step": "ostinato.tasks.next_step.evaluation",
    "seq2seq": "ostinato.tasks.seq2seq.evaluation",
    "tagger": "ostinato.tasks.tagging.evaluation",
}
"""By `model.kind`: what holds `evaluate`, `predict`, `results`, and `monitor` where evaluating takes long."""
_WRITTEN_FRAMES = "ostinato.tasks.frames.evaluation"
"""The same, of models that write frames; of a next-step model all frames but notes."""


def writes_frames(recipe: Recipe) -> bool:
    """Whether the model of a settled recipe writes frames (a next-step model of notes has figures of its own)."""
    if recipe.model.kind == "next_step":
        return recipe.features.input.kind != "notes"
    return recipe.model.kind in WRITERS and recipe.features.target.kind in FRAMES


def category_of(recipe: Recipe) -> Category:
    """The category of a settled recipe's model. Raises `RunError` for a kind that has no independent rows."""
    kind = recipe.model.kind
    if kind not in MODULES:
        raise RunError(f"a {kind.replace('_', ' ')} has no rows to predict.")
    module = import_module(_WRITTEN_FRAMES if writes_frames(recipe) else MODULES[kind])
    monitor = getattr(module, "monitor", module.evaluate)
    return Category(module.evaluate, monitor, module.predict, module.results)
