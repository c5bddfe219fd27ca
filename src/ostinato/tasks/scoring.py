"""A model's outputs on data, their loss and metrics: for the training loop, `evaluate`, `predict` and the report."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ostinato.data.batching import BucketedBatches
from ostinato.data.dataset import Examples
from ostinato.data.targets import TargetFeature
from ostinato.metrics import classification as metrics
from ostinato.tasks.classification.model import Classifier

_ROWS = 64


def row_losses(outputs: Tensor, targets: Tensor, target: TargetFeature, smoothing: float = 0.0) -> Tensor:
    """The loss of each row, (N,). Number: squared error · labels: mean binary cross-entropy · class: cross-entropy.

    Args:
        outputs: (N, num_outputs).
        targets: (N,), labels (N, num_outputs).
        target: says which.
        smoothing: share of the truth that is spread over all classes.
    """
    if target.kind == "number":
        return F.mse_loss(outputs.squeeze(1), targets, reduction="none")
    if target.kind == "labels" or target.num_outputs == 1:
        wanted = targets if target.kind == "labels" else targets.to(outputs.dtype).unsqueeze(1)
        smooth = wanted * (1 - smoothing) + smoothing / 2
        return F.binary_cross_entropy_with_logits(outputs, smooth, reduction="none").mean(1)
    return F.cross_entropy(outputs, targets, label_smoothing=smoothing, reduction="none")


def target_loss(outputs: Tensor, targets: Tensor, target: TargetFeature, smoothing: float = 0.0) -> Tensor:
    """The mean of `row_losses`."""
    return row_losses(outputs, targets, target, smoothing).mean()


def probabilities_of(outputs: Tensor, target: TargetFeature) -> Tensor:
    """(N, K) probabilities of K classes or labels out of the model's outputs."""
    if target.kind == "labels":
        return outputs.sigmoid()
    if target.num_outputs == 1:
        second = outputs.sigmoid()
        return torch.cat([1 - second, second], dim=1)
    return outputs.softmax(dim=1)


def predict_examples(model: Classifier, examples: Examples, device: torch.device) -> Tensor:
    """The model's outputs (N, num_outputs) for all examples, in their order, without gradients."""
    batches = BucketedBatches(examples, _ROWS)
    was_training = model.training
    model.eval()
    outputs: list[Tensor] = []
    rows: list[NDArray[np.int64]] = []
    with torch.inference_mode():
        for batch in batches.epoch(0):
            batch = batch.to(device)
            outputs.append(model(batch.inputs, batch.extra).float().cpu())
            rows.append(batch.rows)
    model.train(was_training)
    order = torch.from_numpy(np.argsort(np.concatenate(rows)))
    return torch.cat(outputs)[order]


def evaluate_examples(
    model: Classifier, examples: Examples, target: TargetFeature, device: torch.device
) -> metrics.Metrics:
    """Loss and metrics of a classifier on examples with targets."""
    outputs = predict_examples(model, examples, device)
    truth = cast("NDArray[np.float32]", examples.targets)
    loss = float(target_loss(outputs, torch.tensor(truth), target))
    if target.kind == "number":
        scaled = outputs.squeeze(1).numpy() * target.std + target.mean
        return {"loss": loss, **metrics.regression(scaled, truth * target.std + target.mean)}
    probabilities = probabilities_of(outputs, target).numpy()
    if target.kind == "labels":
        return {"loss": loss, **metrics.multilabel(probabilities, truth, target.classes)}
    return {"loss": loss, **metrics.classification(probabilities, cast("NDArray[np.int64]", truth), target.classes)}
