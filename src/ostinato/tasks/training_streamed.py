"""Tasks whose sequences lie on streams and are read in windows: truncated BPTT, or a text as a whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor

from ostinato.arrays import Ids
from ostinato.bptt.spans import Span
from ostinato.bptt.truncated import TruncatedBPTT
from ostinato.data.batching import BucketedBatches
from ostinato.data.dataset import Examples, Prepared
from ostinato.data.streams import Tapes, Window
from ostinato.metrics.classification import Metrics
from ostinato.recipe import BpttRecipe
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.scoring import evaluate_examples, evaluate_stream, row_losses, stream_nll
from ostinato.types import State

_EVALUATION_STREAMS = 32


class StreamedTask(ABC):
    """A task whose sequences lie on streams and are read in windows: truncated BPTT, or a text as a whole."""

    training: TruncatedBPTT

    @property
    def num_batches(self) -> int:
        """Updates of one epoch."""
        return self.training.num_batches

    def batches(self, epoch: int, start: int) -> Iterator[object]:
        """Updates of an epoch; the first begins with zero states."""
        return self.training.batches(epoch, start)

    def backward(self, batch: object) -> tuple[float, int]:
        """Gradients of the mean loss, as far back as `training.bptt` says."""
        return self.training.backward(cast("Span", batch))

    @abstractmethod
    def evaluate(self) -> Metrics:
        """Metrics on the validation data."""

    @abstractmethod
    def where(self, batch: object) -> str:
        """The data of a batch in words."""

    def carried(self) -> dict[str, Tensor]:
        """The states in which the next window begins, and where it does."""
        return self.training.carried()

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up states and place again."""
        self.training.restore(tensors)


class LanguageModelTask(StreamedTask):
    """Next-token prediction: a text, or documents one after the other, in parallel streams."""

    def __init__(self, model: LanguageModel, prepared: Prepared, device: torch.device) -> None:
        self.model, self.device, self.recipe = model, device, prepared.recipe.training
        self.features = prepared.features
        self.validation = cast("Ids", prepared.validation)
        self.values = cast("Ids", prepared.train)
        self._begins = self.features.begins(self.values)
        self.training = TruncatedBPTT(
            self.layout,
            bounded(self.recipe.bptt, self.layout(0)),
            lambda window, states: stream_nll(model, window, self.values, states, device),
            model.encoder.zero_states,
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
        return evaluate_stream(
            self.model, self.validation, self.features, self.device, self.recipe.bptt, _EVALUATION_STREAMS
        )

    def where(self, batch: object) -> str:
        """The tokens by their places in the training text, and how they begin."""
        pieces = [chunk.window.pieces for chunk in cast("Span", batch).chunks]
        begins, stops = pieces[0].offsets, pieces[-1].offsets + pieces[-1].lengths
        shown = self.features.text.decode(self.values[begins[0] : begins[0] + 20])
        more = f" and {len(begins) - 1} more streams" if len(begins) > 1 else ""
        return f"tokens {begins[0]:,} to {stops[0]:,} of the training text ({shown!r} …){more}"


class StreamedClassifierTask(StreamedTask):
    """Many-to-one in windows: rows shuffled and laid on streams, a loss at each row's end, what was pooled carried."""

    def __init__(self, model: Classifier, prepared: Prepared, device: torch.device) -> None:
        self.model, self.device, self.recipe = model, device, prepared.recipe.training
        self.target = prepared.features.row_target
        self.validation = cast("Examples", prepared.validation)
        self.examples = cast("Examples", prepared.train)
        self._whole = BucketedBatches(self.examples, self.recipe.batch_size)
        self.training = TruncatedBPTT(
            self.layout,
            bounded(self.recipe.bptt, self.layout(0)),
            self._step,
            lambda num_rows: [*model.encoder.zero_states(num_rows), model.pooling.zero_state(num_rows)],
            "end",
            seed=self.recipe.seed,
        )

    def layout(self, epoch: int) -> Tapes:
        """The rows in an order of their own each epoch (seeded)."""
        order = np.random.default_rng([self.recipe.seed, epoch]).permutation(len(self.examples))
        return Tapes.of_rows(self.examples.sequences.offsets, order, self.recipe.batch_size)

    def _step(self, window: Window, states: list[State]) -> tuple[Tensor, list[State]]:
        ids = window.take(self.examples.sequences.values)
        values = ids.values if ids.values.is_floating_point() else ids.values.long()
        *layers, pooled = states
        hidden, after = self.model.encoder(ids.with_values(values).to(self.device), layers)
        features, pooled = self.model.pooling.absorb(hidden, pooled)
        ended = np.flatnonzero(window.pieces.ends)
        batch = self._whole.batch(window.pieces.rows[ended]).to(self.device)
        outputs = self.model.read(features[torch.from_numpy(ended).to(self.device)], batch.extra)
        targets = batch.row_targets
        losses = row_losses(outputs, targets, self.target, self.recipe.label_smoothing).sum()
        if self.model.ngrams is not None and torch.is_grad_enabled():
            scores = self.model.ngrams(batch.inputs)
            own = row_losses(scores, targets, self.target, self.recipe.label_smoothing).sum()
            losses = losses + own - own.detach()  # its gradient, and not its value: each path has a loss of its own
        return losses, [*after, pooled]

    def evaluate(self) -> Metrics:
        """Metrics on the validation rows."""
        return evaluate_examples(self.model, self.validation, self.target, self.device)

    def where(self, batch: object) -> str:
        """The rows that are read, by file and line."""
        windows = [chunk.window.pieces.rows for chunk in cast("Span", batch).chunks]
        return self.examples.named(np.unique(np.concatenate(windows)))


def bounded(recipe: BpttRecipe | None, tapes: Tapes) -> BpttRecipe:
    """The recipe, with a window as long as the streams where it is full."""
    if recipe is None or recipe.window is None:
        return BpttRecipe(window=max(tapes.length, 1))
    return recipe
