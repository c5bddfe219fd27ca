"""Taggers and next-step models in windows: an output at each step, the state carried from window to window."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor

from ostinato.bptt.spans import Span
from ostinato.bptt.truncated import TruncatedBPTT
from ostinato.data.dataset import Examples, Prepared
from ostinato.data.sequences import Sequences
from ostinato.data.streams import Tapes, Window
from ostinato.errors import RecipeError
from ostinato.layers.covariates import SideBySide
from ostinato.metrics.classification import Metrics
from ostinato.tasks.next_step.model import NextStep
from ostinato.tasks.registry import category_of
from ostinato.tasks.tagging.model import Tagger
from ostinato.tasks.training_streamed import StreamedTask, bounded
from ostinato.types import Ragged, State


class StreamedStepsTask(StreamedTask):
    """Many-to-many, synchronised, in windows: rows shuffled and laid on streams, a loss at each step.

    So rows of any length train in the memory of a window (k2 steps). The state is carried, and so evaluation reads rows
    whole: the model has never had to begin anew within one.

    Args:
        model: a tagger whose steps are scored one by one (softmax, notes, numbers), or a next-step model.
        prepared: the run's data.
        device: where the model is.

    Raises:
        RecipeError: for what needs whole rows: a chain of tags, labels without alignment, a delay, further columns,
            transposition; or without `training.bptt.carry_state`.
    """

    def __init__(self, model: Tagger | NextStep, prepared: Prepared, device: torch.device) -> None:
        _check(model, prepared)
        self.model, self.device, self.prepared = model, device, prepared
        self.recipe = prepared.recipe.training
        self.examples = cast("Examples", prepared.train)
        self.training = TruncatedBPTT(
            self.layout,
            bounded(self.recipe.bptt, self.layout(0)),
            self._step,
            model.encoder.zero_states,
            seed=self.recipe.seed,
        )

    def layout(self, epoch: int) -> Tapes:
        """The rows in an order of their own each epoch (seeded)."""
        order = np.random.default_rng([self.recipe.seed, epoch]).permutation(len(self.examples))
        return Tapes.of_rows(self.examples.sequences.offsets, order, self.recipe.batch_size)

    def _step(self, window: Window, states: list[State]) -> tuple[Tensor, list[State]]:
        values = self.examples.sequences.values
        if isinstance(self.model, NextStep):
            frames = self.model.laid(window.take(values).to(self.device))
            before = self.model.laid(window.take(values, shift=-1).to(self.device))
            return self.model.window_nll(_frames_before(window, before), frames, states)
        targets = window.take(cast("Sequences", self.examples.targets).values).to(self.device)
        return self.model.window_nll(window.take(values).to(self.device), targets, states, self.recipe.label_smoothing)

    def evaluate(self) -> Metrics:
        """Metrics on the validation rows, each read whole."""
        prepared = self.prepared
        evaluate = category_of(prepared.recipe).evaluate
        return evaluate(self.model, cast("Examples", prepared.validation), prepared.features, self.device)

    def where(self, batch: object) -> str:
        """The rows that are read, by file and line."""
        windows = [chunk.window.pieces.rows for chunk in cast("Span", batch).chunks]
        return self.examples.named(np.unique(np.concatenate(windows)))


def _frames_before(window: Window, before: Ragged) -> Ragged:
    """At every step of the pieces the frame before it in its row; zeros at a row's first."""
    first = int(before.batch_sizes[0]) if len(before.batch_sizes) else 0
    begins = torch.from_numpy(window.pieces.begins).to(before.device)[before.sorted_indices[:first]]
    read = before.values.clone()
    read[:first] = read[:first].masked_fill(begins.unsqueeze(1), 0.0)
    return before.with_values(read)


def _check(model: Tagger | NextStep, prepared: Prepared) -> None:
    recipe = prepared.recipe
    needs_whole: dict[str, object] = {}
    if isinstance(model, Tagger):
        needs_whole["model.tagger.output"] = recipe.model.tagger.output if model.recipe.output != "softmax" else ""
        needs_whole["model.tagger.delay"] = recipe.model.tagger.delay
        needs_whole["model.feedback"] = recipe.model.feedback if recipe.model.feedback != "none" else ""
    else:
        needs_whole["features.input.transpose"] = model.transpose
    if isinstance(model.encoder.embedding, SideBySide):
        needs_whole["data.extra"] = ", ".join(prepared.features.extra)
    for key, value in needs_whole.items():
        if value:
            raise RecipeError(
                f"`{key}` needs whole rows, but `training.bptt` reads windows. Received: {value!r}.",
                hint="set training.bptt=full",
            )
    bptt = recipe.training.bptt
    if bptt is not None and not bptt.carry_state:
        raise RecipeError(
            "`training.bptt.carry_state` must be true here: rows are evaluated whole. Received: false.",
            hint="leave it out",
        )
