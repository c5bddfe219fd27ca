"""Evaluating, predicting and reporting of classifiers: one value a row."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from ostinato.data.dataset import Examples, Features
from ostinato.data.targets import TargetFeature
from ostinato.metrics.classification import Metrics
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.prediction import Prediction
from ostinato.tasks.scoring import evaluate_examples, predict_examples, probabilities_of


def evaluate(model: nn.Module, examples: Examples, features: Features, device: torch.device) -> Metrics:
    """Loss and metrics on examples with targets."""
    return evaluate_examples(cast("Classifier", model), examples, features.row_target, device)


def predict(model: nn.Module, examples: Examples, features: Features, device: torch.device) -> list[Prediction]:
    """A class, labels or a number for each row."""
    target = features.row_target
    outputs = predict_examples(cast("Classifier", model), examples, device)
    if target.kind == "number":
        return [Prediction(value=float(x) * target.std + target.mean) for x in outputs.squeeze(1)]
    return [_prediction(row, target) for row in probabilities_of(outputs, target).tolist()]


def _prediction(probabilities: list[float], target: TargetFeature) -> Prediction:
    by_name = dict(zip(target.classes, probabilities, strict=True))
    if target.kind == "labels":
        return Prediction(labels=tuple(n for n, p in by_name.items() if p >= 0.5), probabilities=by_name)
    return Prediction(label=max(by_name, key=lambda name: by_name[name]), probabilities=by_name)
