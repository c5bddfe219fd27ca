"""Ordinal regression by a recurrent network: its model, its figures, its predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.data.batching import Batch, BucketedBatches
from ostinato.data.dataset import Examples, Features
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.layers.inputs import input_layer
from ostinato.metrics.classification import Metrics
from ostinato.metrics.prediction import Prediction
from ostinato.metrics.resampling import SUMS, Sums, Units, ratio
from ostinato.nn import Pooling
from ostinato.nn.modes import evaluating
from ostinato.recipe import TrainingRecipe

if TYPE_CHECKING:
    from ostinato_example.ordinal import OrdinalRecipe

_ROWS = 64


class OrdinalModel(nn.Module):
    r"""The proportional odds model on a pooled state: P(y > k \mid x) = \sigma(w \cdot h - \theta_k).

    Source: McCullagh 1980, "Regression models for ordinal data".
    """

    def __init__(self, recipe: OrdinalRecipe, features: Features) -> None:
        super().__init__()
        self.encoder = RecurrentEncoder(recipe, inputs=input_layer(features.input, recipe))
        self.pooling = Pooling(recipe.pooling, self.encoder.output_size, recipe.bidirectional)
        self.dropout = nn.Dropout(recipe.head_dropout)
        self.score = nn.Linear(self.pooling.output_size, 1, bias=False)
        count = len(features.row_target.classes) - 1
        self.first = nn.Parameter(torch.tensor(-count / 2))
        self.steps = nn.Parameter(torch.zeros(count - 1))  # softplus of them: thresholds rise
        self.parts = {"pooling": " + ".join(recipe.pooling), "score": f"{count} thresholds on one score"}

    def forward(self, inputs: object) -> Tensor:
        """(N, K - 1): log-odds of more than each grade but the last."""
        hidden = self.encoder(inputs)[0]
        thresholds = torch.cat([self.first.view(1), self.first + F.softplus(self.steps).cumsum(0)])
        logits: Tensor = self.score(self.dropout(self.pooling(hidden))) - thresholds
        return logits

    def row_losses(self, batch: Batch) -> Tensor:
        """(N,): the summed binary cross-entropies of all thresholds."""
        logits = self(batch.inputs)
        above = torch.arange(logits.shape[1], device=logits.device) < batch.row_targets.unsqueeze(1)
        return F.binary_cross_entropy_with_logits(logits, above.to(logits.dtype), reduction="none").sum(1)

    def loss(self, batch: Batch, training: TrainingRecipe) -> Tensor:
        """The mean over rows."""
        return self.row_losses(batch).mean()


def shares(model: nn.Module, examples: Examples, device: torch.device) -> tuple[np.ndarray, float]:
    """The probability of each grade, (N, K), in the order of the rows, and the mean loss where there are targets."""
    found: dict[int, np.ndarray] = {}
    total = 0.0
    with evaluating(model), torch.inference_mode():
        for batch in BucketedBatches(examples, _ROWS).epoch(0):
            here = batch.to(device)
            more = F.pad(model(here.inputs).sigmoid(), (1, 0), value=1.0)
            grades = (more - F.pad(more[:, 1:], (0, 1))).cpu().numpy()
            found.update(zip(batch.rows.tolist(), grades, strict=True))
            if batch.targets is not None:
                total += float(cast("OrdinalModel", model).row_losses(here).sum())
    return np.stack([found[row] for row in range(len(examples))]), total / len(examples)


def evaluate(model: nn.Module, examples: Examples, device: torch.device) -> Metrics:
    """Loss, accuracy and mean absolute error in grades."""
    found, loss = shares(model, examples, device)
    return {"loss": loss, **scores(found.argmax(1), np.asarray(examples.targets))}


def scores(said: np.ndarray, truth: np.ndarray) -> Metrics:
    """Accuracy and mean absolute error of grades."""
    sums = Units.rows(len(truth)).sums(said == truth, np.abs(said - truth), np.ones(len(truth)))
    return {
        "num_examples": len(truth),
        "accuracy": float((said == truth).mean()),
        "mae": float(np.abs(said - truth).mean()),
        SUMS: Sums(sums, {"accuracy": ratio(0, 2), "mae": ratio(1, 2)}),
    }


def predict(model: nn.Module, examples: Examples, features: Features, device: torch.device) -> list[Prediction]:
    """The likeliest grade of each row."""
    names = features.row_target.classes
    return [
        Prediction(label=names[int(row.argmax())], probabilities=dict(zip(names, row.tolist(), strict=True)))
        for row in shares(model, examples, device)[0]
    ]
