"""Training of a language model: parallel streams of a text, or of documents one after the other, read in windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ostinato.bptt.truncated import TruncatedBPTT
from ostinato.bptt.updates import Update
from ostinato.data.dataset import Prepared
from ostinato.data.streams import Tapes
from ostinato.metrics.classification import Metrics
from ostinato.tasks.language_model.evaluation import stream_nll
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.training_streamed import StreamedTraining, bounded

if TYPE_CHECKING:
    from ostinato.tasks.spec import TaskSpec


class LanguageModelTraining(StreamedTraining):
    """Next-token prediction: a text, or documents one after the other, in parallel streams."""

    def __init__(self, spec: TaskSpec, model: LanguageModel, prepared: Prepared, device: torch.device) -> None:
        self.spec, self.model, self.device, self.prepared = spec, model, device, prepared
        self.recipe = prepared.recipe.training
        self.features = prepared.features
        self.values = prepared.train.sequences.values
        self._begins = self.features.begins(self.values)
        spec.solve(model, prepared, device)
        self.training = TruncatedBPTT(
            self.layout,
            bounded(self.recipe.bptt, self.layout(0)),
            lambda window, states: stream_nll(model, window, self.values, states, device),
            model.zero_states,
            recompute=model.recompute,
            seed=self.recipe.seed,
        )

    def layout(self, epoch: int) -> Tapes:
        """The text in parallel streams; after the first epoch the cuts between them move on (seeded)."""
        length = len(self.values) // max(1, min(self.recipe.batch_size, len(self.values) // 2))
        random = np.random.default_rng([self.recipe.seed, epoch])
        shift = int(random.integers(length)) if epoch and length else 0
        return Tapes.of_text(len(self.values), self.recipe.batch_size, self._begins, shift)

    def evaluate(self) -> Metrics:
        """Metrics on the validation text, read in up to 32 streams (the final figure is read in one)."""
        prepared = self.prepared
        return self.spec.monitor(self.model, prepared.validation, prepared.features, prepared.recipe, self.device)

    def where(self, batch: Update) -> str:
        """The tokens by their places in the training text, and how they begin."""
        pieces = [chunk.window.pieces for chunk in batch.chunks]
        begins, stops = pieces[0].offsets, pieces[-1].offsets + pieces[-1].lengths
        shown = self.features.text.decode(self.values[begins[0] : begins[0] + 20])
        more = f" and {len(begins) - 1} more streams" if len(begins) > 1 else ""
        return f"tokens {begins[0]:,} to {stops[0]:,} of the training text ({shown!r} …){more}"
