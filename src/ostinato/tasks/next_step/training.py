"""Training of next-step models: whole rows, perhaps cut into shorter ones, or windows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ostinato.data.cut_rows import cut_rows
from ostinato.data.dataset import Prepared
from ostinato.data.streams import Window
from ostinato.tasks.next_step.model import NextStep
from ostinato.tasks.next_step.recipe import NextStepRecipe
from ostinato.tasks.training import RowsTraining, bucketed
from ostinato.tasks.training_streamed import StreamedRowsTraining, reads_windows
from ostinato.types import Ragged, State

if TYPE_CHECKING:
    from ostinato.tasks.spec import TaskSpec
    from ostinato.tasks.training import TrainingTask


def training_of(spec: TaskSpec, model: NextStep, prepared: Prepared, device: torch.device) -> TrainingTask:
    """As `training.bptt` and `model.cut_frames` say."""
    if not reads_windows(prepared.recipe):
        cut, training = NextStepRecipe.of(prepared.recipe).cut_frames, prepared.recipe.training
        batches = None if cut is None else bucketed(cut_rows(prepared.train, cut), training)
        return RowsTraining(spec, model, prepared, device, batches)
    values = prepared.train.sequences.values

    def step(window: Window, states: list[State]) -> tuple[Tensor, list[State]]:
        frames = model.laid(window.take(values).to(device))
        before = model.laid(window.take(values, shift=-1).to(device))
        return model.window_nll(_frames_before(window, before), frames, states)

    return StreamedRowsTraining(spec, model, prepared, device, step)


def _frames_before(window: Window, before: Ragged) -> Ragged:
    """At every step of the pieces the frame before it in its row; zeros at a row's first."""
    first = int(before.batch_sizes[0]) if len(before.batch_sizes) else 0
    begins = torch.from_numpy(window.pieces.begins).to(before.device)[before.sorted_indices[:first]]
    read = before.values.clone()
    read[:first] = read[:first].masked_fill(begins.unsqueeze(1), 0.0)
    return before.with_values(read)
