"""Evaluating, predicting and reporting of classifiers: one value a row."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ostinato.data.batching import BucketedBatches
from ostinato.data.dataset import Examples, Features
from ostinato.metrics.classification import Metrics
from ostinato.metrics.prediction import Prediction
from ostinato.nn.modes import evaluating
from ostinato.tasks.classification.model import Classifier

_ROWS = 64


def predict_examples(model: Classifier, examples: Examples, device: torch.device) -> Tensor:
    """The model's outputs (N, num_outputs) for all examples, in their order, without gradients."""
    outputs: list[Tensor] = []
    rows: list[NDArray[np.int64]] = []
    with evaluating(model), torch.inference_mode():
        for batch in BucketedBatches(examples, _ROWS).epoch(0):
            batch = batch.to(device)
            outputs.append(model(batch.inputs, batch.extra).float().cpu())
            rows.append(batch.rows)
    return torch.cat(outputs)[torch.from_numpy(np.argsort(np.concatenate(rows)))]


def evaluate(model: Classifier, examples: Examples, device: torch.device) -> Metrics:
    """Loss and metrics on examples with targets."""
    outputs, head = predict_examples(model, examples, device), model.head
    truth = np.asarray(examples.targets)
    loss = float(head.nll(outputs, torch.tensor(truth)).mean())
    return {"loss": loss, **head.metrics(head.answers(outputs).numpy(), truth)}


def predict(model: Classifier, examples: Examples, features: Features, device: torch.device) -> list[Prediction]:
    """A class, labels or a number for each row."""
    answers = model.head.answers(predict_examples(model, examples, device))
    return [Prediction(**features.row_target.said(answer)) for answer in answers.numpy()]
