"""Training of classifiers: whole rows or windows; adversarial steps; n-grams and members each by their own loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.bptt.spans import Span
from ostinato.bptt.truncated import TruncatedBPTT
from ostinato.data.batching import Batch, BucketedBatches
from ostinato.data.dataset import Prepared
from ostinato.data.streams import Tapes, Window
from ostinato.data.targets import LabelsTarget, NumberTarget, TargetFeature
from ostinato.metrics.classification import Metrics
from ostinato.tasks.classification.ensemble import Ensemble
from ostinato.tasks.classification.evaluation import evaluate
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.training_streamed import StreamedTraining, bounded, rows_read, shuffled_rows
from ostinato.types import Ragged, State

if TYPE_CHECKING:
    from ostinato.tasks.training import TrainingTask

_COUNTED_ROWS = 512


class ClassifierTraining:
    """Many-to-one: bucketed batches, cross-entropy (or squared error on standardised numbers)."""

    def __init__(self, model: Classifier, prepared: Prepared, device: torch.device) -> None:
        self.model, self.device = model, device
        self.recipe = prepared.recipe.training
        self.validation = prepared.validation
        self._train = BucketedBatches(prepared.train, self.recipe.batch_size, shuffle=True, seed=self.recipe.seed)
        self._weights = class_weights(prepared, device)

    @property
    def num_batches(self) -> int:
        """Steps of one epoch."""
        return len(self._train)

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """Bucketed batches of an epoch."""
        return self._train.epoch(epoch, start)

    def backward(self, batch: Batch) -> tuple[float, int]:
        """Gradients of the mean over rows; with `adversarial`, of the mean over moved rows too; of n-grams apart."""
        rows = batch.to(self.device)
        ids, targets, extra = rows.inputs, rows.row_targets, rows.extra
        vectors = self.model.encoder.embedding(ids)
        adversarial = self.recipe.adversarial > 0
        if adversarial:
            vectors.values.retain_grad()
        loss = self._loss(self.model.score(vectors, extra), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        if adversarial:
            moved = adversarial_step(vectors, self.recipe.adversarial)
            vectors = self.model.encoder.embedding(ids)
            vectors = vectors.with_values(vectors.values + moved)
            moved_loss = self._loss(self.model.score(vectors, extra), targets)
            moved_loss.backward()  # type: ignore[no-untyped-call]
        if self.model.ngrams is not None:
            self._loss(self.model.ngrams(ids), targets).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach()), len(ids.values)

    def where(self, batch: Batch) -> str:
        """The rows by file and line; those alone whose own loss is not finite, if there are some."""
        rows = batch.to(self.device)
        with torch.no_grad():
            losses = self.model.head.nll(self.model(rows.inputs, rows.extra), rows.row_targets)
        bad = rows.rows[(~torch.isfinite(losses)).cpu().numpy()]
        return self._train.examples.named(bad if len(bad) else rows.rows)

    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        losses = self.model.head.loss(outputs, targets, self.recipe.label_smoothing, "none")
        if self._weights is None:
            return losses.mean()
        weights = self._weights[targets.long()]
        return (weights * losses).sum() / weights.sum()

    def evaluate(self) -> Metrics:
        """Metrics on the validation rows."""
        return evaluate(self.model, self.validation, self.device)

    def carried(self) -> dict[str, Tensor]:
        """Rows are independent: nothing is carried."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Nothing to restore."""


class EnsembleTraining(ClassifierTraining):
    """Many-to-one by several networks: each learns each batch by itself, one after the other."""

    def __init__(self, model: Ensemble, prepared: Prepared, device: torch.device) -> None:
        super().__init__(cast("Classifier", model), prepared, device)
        self.members = model.classifiers

    def backward(self, batch: Batch) -> tuple[float, int]:
        """Gradients of the mean over rows of each member; returns the mean of their losses."""
        rows = batch.to(self.device)
        total = 0.0
        for member in self.members:
            loss = self._loss(member(rows.inputs, rows.extra), rows.row_targets)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return total / len(self.members), len(rows.inputs.values)


class StreamedClassifierTraining(StreamedTraining):
    """Many-to-one in windows: rows shuffled and laid on streams, a loss at each row's end, what was pooled carried."""

    def __init__(self, model: Classifier, prepared: Prepared, device: torch.device) -> None:
        self.model, self.device, self.recipe = model, device, prepared.recipe.training
        self.validation = prepared.validation
        self.examples = prepared.train
        self._whole = BucketedBatches(self.examples, self.recipe.batch_size)
        self._weights = class_weights(prepared, device)
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
        return shuffled_rows(self.examples, self.recipe.batch_size, self.recipe.seed, epoch)

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
        losses = self._loss(outputs, targets)
        if self.model.ngrams is not None and torch.is_grad_enabled():
            scores = self.model.ngrams(batch.inputs)
            own = self._loss(scores, targets)
            losses = losses + own - own.detach()  # its gradient, and not its value: each path has a loss of its own
        return losses, [*after, pooled]

    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Summed over the rows that end in a window; weights have a mean of one over all rows."""
        losses = self.model.head.loss(outputs, targets, self.recipe.label_smoothing, "none")
        return losses.sum() if self._weights is None else (self._weights[targets.long()] * losses).sum()

    def evaluate(self) -> Metrics:
        """Metrics on the validation rows."""
        return evaluate(self.model, self.validation, self.device)

    def where(self, batch: Span) -> str:
        """The rows that are read, by file and line."""
        return rows_read(batch, self.examples)


def adversarial_step(vectors: Ragged, epsilon: float) -> Tensor:
    """How far to move embedded tokens so that the loss grows most: r = ε g / ‖g‖, g the gradient, the norm a row's.

    Source: Miyato, Dai, Goodfellow 2017, "Adversarial training methods for semi-supervised text classification",
    arXiv:1605.07725, eq. 5.

    Args:
        vectors: (sum L, F), whose values hold a gradient.
        epsilon: the norm of the step over all tokens of a row, in units of (normalised) embeddings.
    """
    gradient = cast("Tensor", vectors.values.grad)
    rows = vectors.rows_index()
    squares = gradient.new_zeros(vectors.num_rows).index_add(0, rows, gradient.square().sum(1))
    return epsilon * gradient / (squares.sqrt() + 1e-12)[rows].unsqueeze(1)


def training_of(model: Classifier, prepared: Prepared, device: torch.device) -> TrainingTask:
    """Whole rows, or windows of them; an n-gram score is told which training rows hold each n-gram."""
    if isinstance(model, Ensemble):
        return EnsembleTraining(model, prepared, device)
    target = prepared.features.row_target
    if model.ngrams is not None:
        batches = BucketedBatches(prepared.train, _COUNTED_ROWS).epoch(0)
        model.ngrams.fit(
            (batch.inputs.to(device), membership(batch.row_targets, target).to(device)) for batch in batches
        )
    bptt = prepared.recipe.training.bptt
    kind = ClassifierTraining if bptt is None or bptt.window is None else StreamedClassifierTraining
    return kind(model, prepared, device)


def class_weights(prepared: Prepared, device: torch.device) -> Tensor | None:
    """(K,): what a row of each class counts in the loss, N / (K n) with `class_weight: balanced`, as scikit-learn's;
    None: all alike. Source: King, Zeng 2001, "Logistic regression in rare events data"."""
    if prepared.recipe.training.class_weight == "none":
        return None
    counts = np.bincount(np.asarray(prepared.train.targets), minlength=len(prepared.features.row_target.classes))
    return torch.tensor(counts.sum() / (len(counts) * np.maximum(counts, 1)), dtype=torch.float32, device=device)


def membership(targets: Tensor, target: TargetFeature) -> Tensor:
    """(N, num_outputs), 1 where a row has the class or label of an output, or a number above the mean."""
    if isinstance(target, NumberTarget):
        return (targets > 0).unsqueeze(1).long()
    if isinstance(target, LabelsTarget):
        return targets
    return targets.unsqueeze(1) if target.num_outputs == 1 else F.one_hot(targets.long(), target.num_outputs)
