"""What evaluating, predicting and reporting are, for each category of independent rows. A new one is a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import nn

from ostinato.data.dataset import Examples, Features, Prepared
from ostinato.errors import RunError
from ostinato.evaluation.metrics import Metrics
from ostinato.evaluation.prediction import Prediction

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
    "classifier": "ostinato.evaluation.classifying",
    "forecaster": "ostinato.evaluation.forecasting",
    "conditional": "ostinato.evaluation.conditional",
    "next_step": "ostinato.evaluation.frames",
    "seq2seq": "ostinato.evaluation.transcription",
    "tagger": "ostinato.evaluation.tagging",
}
"""By `model.kind`: what holds `evaluate`, `predict`, `results`, and `monitor` where evaluating takes long."""


def category_of(kind: str) -> Category:
    """The category of a model. Raises `RunError` for a kind that has no independent rows."""
    if kind not in MODULES:
        raise RunError(f"a {kind.replace('_', ' ')} has no rows to predict.")
    module = import_module(MODULES[kind])
    monitor = getattr(module, "monitor", module.evaluate)
    return Category(module.evaluate, monitor, module.predict, module.results)
