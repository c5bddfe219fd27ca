"""Training of taggers: whole rows, or windows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from ostinato.data.batching import Batch
from ostinato.data.dataset import Prepared
from ostinato.data.features import TagsFeature
from ostinato.data.streams import Window
from ostinato.tasks.tagging.model import Tagger
from ostinato.tasks.training import RowsTraining, balanced
from ostinato.tasks.training_streamed import StreamedRowsTraining, reads_windows
from ostinato.types import Ragged, State

if TYPE_CHECKING:
    from ostinato.tasks.spec import TaskSpec
    from ostinato.tasks.training import TrainingTask


class TaggerTraining(RowsTraining):
    """Whole rows; with `training.class_weight`, a step counts by its tag."""

    model: Tagger

    def __init__(self, spec: TaskSpec, model: Tagger, prepared: Prepared, device: torch.device) -> None:
        super().__init__(spec, model, prepared, device)
        self._weights = tag_weights(prepared, device)

    def backward(self, batch: Batch) -> tuple[float, int]:
        """Gradients of the mean over steps, or of their weighted mean."""
        if self._weights is None:
            return super().backward(batch)
        rows = batch.to(self.device)
        outputs = self.model.led(rows.inputs, rows.sequence_targets, rows.extra)
        smoothing = self.recipe.label_smoothing
        total, weight = weighed(self.model, outputs, rows.sequence_targets, self._weights, smoothing)
        loss = total / weight.clamp(min=1e-12)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach()), len(rows.inputs.values)


def training_of(spec: TaskSpec, model: Tagger, prepared: Prepared, device: torch.device) -> TrainingTask:
    """As `training.bptt` says."""
    if not reads_windows(prepared.recipe):
        return TaggerTraining(spec, model, prepared, device)
    values, targets = prepared.train.sequences.values, prepared.train.target_sequences.values
    smoothing, weights = prepared.recipe.training.label_smoothing, tag_weights(prepared, device)

    def step(window: Window, states: list[State]) -> tuple[Tensor, list[State]]:
        wanted = window.take(targets).to(device)
        outputs, after = model.window_outputs(window.take(values).to(device), states)
        if weights is None:
            return model.head.total(outputs, wanted, smoothing)[0], after
        return weighed(model, outputs, wanted, weights, smoothing)[0], after

    return StreamedRowsTraining(spec, model, prepared, device, step)


def tag_weights(prepared: Prepared, device: torch.device) -> Tensor | None:
    """(K,): what a step with each tag counts in the loss; None: all alike."""
    if prepared.recipe.training.class_weight == "none":
        return None
    tags = prepared.train.target_sequences.values
    size = cast("TagsFeature", prepared.features.target).vocab_size
    return balanced(np.bincount(tags[tags >= 0], minlength=size)).to(device)


def weighed(
    model: Tagger, outputs: Ragged, targets: Ragged, weights: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """The summed loss of steps, each as often as its tag's weight says, and the sum of these; unknown tags count
    nothing."""
    losses = model.head.loss(outputs.values, targets.values, smoothing, "none")
    each = torch.where(targets.values >= 0, weights[targets.values.long().clamp(min=0)], 0.0)
    return (each * losses).sum(), each.sum()
