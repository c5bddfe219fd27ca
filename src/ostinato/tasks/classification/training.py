"""Training of classifiers: whole rows or windows; adversarial steps; members each by their own loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from ostinato.data.batching import Batch, BucketedBatches
from ostinato.data.dataset import Prepared
from ostinato.data.streams import Window
from ostinato.tasks.classification.blended import Blended
from ostinato.tasks.classification.ensemble import Ensemble
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.training import RowsTraining, balanced
from ostinato.tasks.training_streamed import StreamedRowsTraining, reads_windows
from ostinato.types import Ragged, State

if TYPE_CHECKING:
    from ostinato.tasks.spec import TaskSpec
    from ostinato.tasks.training import TrainingTask

_COUNTED_ROWS = 512


class ClassifierTraining(RowsTraining):
    """Many-to-one: cross-entropy (or squared error on standardised numbers), with adversarial steps."""

    model: Classifier

    def __init__(self, spec: TaskSpec, model: Classifier, prepared: Prepared, device: torch.device) -> None:
        super().__init__(spec, model, prepared, device)
        self._total = summed_loss(model, prepared, device)

    def backward(self, batch: Batch) -> tuple[float, int]:
        """Gradients of the mean over rows; with `adversarial`, of the mean over moved rows too."""
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
        return float(loss.detach()), len(ids.values)

    def where(self, batch: Batch) -> str:
        """The rows by file and line; those alone whose own loss is not finite, if there are some."""
        rows = batch.to(self.device)
        with torch.no_grad():
            losses = self.model.head.nll(self.model(rows.inputs, rows.extra), rows.row_targets)
        bad = rows.rows[(~torch.isfinite(losses)).cpu().numpy()]
        return self._train.examples.named(bad if len(bad) else rows.rows)

    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        total, weight = self._total(outputs, targets)
        return total / weight


class EnsembleTraining(ClassifierTraining):
    """Many-to-one by several networks: each learns each batch separately, one after the other."""

    model: Ensemble  # type: ignore[assignment]

    def backward(self, batch: Batch) -> tuple[float, int]:
        """Gradients of the mean over rows of each member; returns the mean of their losses."""
        rows = batch.to(self.device)
        total = 0.0
        for member in self.model.classifiers:
            loss = self._loss(member.recurrent(rows.inputs, rows.extra), rows.row_targets)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return total / len(self.model.members), len(rows.inputs.values)


def streamed(spec: TaskSpec, model: Classifier, prepared: Prepared, device: torch.device) -> TrainingTask:
    """In windows: a loss at each row's end, what was pooled so far carried."""
    examples = prepared.train
    whole = BucketedBatches(examples, prepared.recipe.training.batch_size)
    total = summed_loss(model, prepared, device)

    def step(window: Window, states: list[State]) -> tuple[Tensor, list[State]]:
        ids = window.take(examples.sequences.values)
        values = ids.values if ids.values.is_floating_point() else ids.values.long()
        *layers, pooled = states
        hidden, after = model.encoder(ids.with_values(values).to(device), layers)
        features, pooled = model.pooling.absorb(hidden, pooled)
        ended = np.flatnonzero(window.pieces.ends)
        batch = whole.batch(window.pieces.rows[ended]).to(device)
        outputs = model.read(features[torch.from_numpy(ended).to(device)], batch.extra)
        return total(outputs, batch.row_targets)[0], [*after, pooled]

    def begin(num_rows: int) -> list[State]:
        return [*model.encoder.zero_states(num_rows), model.pooling.zero_state(num_rows)]

    return StreamedRowsTraining(spec, model, prepared, device, step, begin, "end")


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


def training_of(spec: TaskSpec, model: Classifier | Ensemble, prepared: Prepared, device: torch.device) -> TrainingTask:
    """Whole rows, or windows of them; a linear score sees all training rows first."""
    solve(model, prepared, device)
    if isinstance(model, Ensemble):
        return EnsembleTraining(spec, cast("Classifier", model), prepared, device)
    return (streamed if reads_windows(prepared.recipe) else ClassifierTraining)(spec, model, prepared, device)


def solve(model: Blended, prepared: Prepared, device: torch.device) -> bool:
    """Solve for the linear score of all training rows; whether there is one."""
    if model.linear is None:
        return False
    batches = (batch.to(device) for batch in BucketedBatches(prepared.train, _COUNTED_ROWS).epoch(0))
    total = summed_loss(model, prepared, torch.device("cpu"))
    model.linear.fit(
        ((batch.inputs, model.head.members(batch.row_targets), batch.row_targets) for batch in batches),
        lambda outputs, targets: total(outputs, targets)[0],
    )
    return True


def summed_loss(
    model: Blended, prepared: Prepared, device: torch.device
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor | int]]:
    """The sum of rows' losses as the recipe has it, from outputs and targets, and the sum of what rows count, whose
    mean is one over all training rows."""
    weights, smoothing = class_weights(prepared, device), prepared.recipe.training.label_smoothing

    def total(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | int]:
        losses = model.head.loss(outputs, targets, smoothing, "none")
        if weights is None:
            return losses.sum(), len(losses)
        own = weights[targets.long()]
        return (own * losses).sum(), own.sum()

    return total


def class_weights(prepared: Prepared, device: torch.device) -> Tensor | None:
    """(K,): what a row of each class counts in the loss; None: all alike."""
    if prepared.recipe.training.class_weight == "none":
        return None
    counts = np.bincount(np.asarray(prepared.train.targets), minlength=len(prepared.features.row_target.classes))
    return balanced(counts).to(device)
