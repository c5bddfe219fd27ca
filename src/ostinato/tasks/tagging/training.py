"""Training of taggers: whole rows, or windows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ostinato.data.dataset import Prepared
from ostinato.data.streams import Window
from ostinato.tasks.tagging.model import Tagger
from ostinato.tasks.training import RowsTraining
from ostinato.tasks.training_streamed import StreamedRowsTraining, reads_windows
from ostinato.types import State

if TYPE_CHECKING:
    from ostinato.tasks.spec import TaskSpec
    from ostinato.tasks.training import TrainingTask


def training_of(spec: TaskSpec, model: Tagger, prepared: Prepared, device: torch.device) -> TrainingTask:
    """As `training.bptt` says."""
    if not reads_windows(prepared.recipe):
        return RowsTraining(spec, model, prepared, device)
    values, targets = prepared.train.sequences.values, prepared.train.target_sequences.values
    smoothing = prepared.recipe.training.label_smoothing

    def step(window: Window, states: list[State]) -> tuple[Tensor, list[State]]:
        wanted = window.take(targets).to(device)
        return model.window_nll(window.take(values).to(device), wanted, states, smoothing)

    return StreamedRowsTraining(spec, model, prepared, device, step)
