"""What a training step and an evaluation are, for each category: batches, loss, metrics, and state that is carried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.bptt.memory import check_memory
from ostinato.bptt.vanishing import recording, vanishing_penalty
from ostinato.data.batching import Batch, BucketedBatches
from ostinato.data.cut_rows import cut_rows
from ostinato.data.dataset import Examples, Prepared
from ostinato.data.forecasting.windows import WindowedBatches, Windows
from ostinato.data.targets import TargetFeature
from ostinato.metrics.classification import Metrics
from ostinato.recipe import Recipe
from ostinato.tasks.build import RowModel
from ostinato.tasks.classification.ensemble import Ensemble
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.next_step.model import NextStep
from ostinato.tasks.registry import category_of
from ostinato.tasks.scoring import evaluate_examples, row_losses, target_loss
from ostinato.tasks.tagging.model import Tagger
from ostinato.tasks.training_streamed import LanguageModelTask, StreamedClassifierTask, StreamedTask
from ostinato.tasks.training_streamed_steps import StreamedStepsTask
from ostinato.types import Ragged

_COUNTED_ROWS = 512


class Task(Protocol):
    """One category of sequence modelling, as the training loop sees it."""

    @property
    def num_batches(self) -> int:
        """Steps of one epoch."""

    def batches(self, epoch: int, start: int) -> Iterator[object]:
        """The batches of an epoch, from number `start` on."""

    def backward(self, batch: object) -> tuple[float, int]:
        """Add the gradients of a batch's mean loss to the parameters'.

        Returns:
            The mean loss (nll, or squared error), and how many tokens the batch holds.
        """

    def evaluate(self) -> Metrics:
        """Metrics on the validation data; `loss` among them."""

    def where(self, batch: object) -> str:
        """The data of a batch in words: the rows, or the place in a text."""

    def carried(self) -> dict[str, Tensor]:
        """State that lives from one batch to the next."""

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up carried state again."""


class ClassifierTask:
    """Many-to-one: bucketed batches, cross-entropy (or squared error on standardised numbers)."""

    def __init__(self, model: Classifier, prepared: Prepared, device: torch.device) -> None:
        self.model, self.device = model, device
        self.recipe = prepared.recipe.training
        self.target = prepared.features.row_target
        self.validation = cast("Examples", prepared.validation)
        self._train = BucketedBatches(
            cast("Examples", prepared.train), self.recipe.batch_size, shuffle=True, seed=self.recipe.seed
        )

    @property
    def num_batches(self) -> int:
        """Steps of one epoch."""
        return len(self._train)

    def batches(self, epoch: int, start: int) -> Iterator[object]:
        """Bucketed batches of an epoch."""
        return self._train.epoch(epoch, start)

    def backward(self, batch: object) -> tuple[float, int]:
        """Gradients of the mean over rows; with `adversarial`, of the mean over moved rows too; of n-grams apart."""
        rows = cast("Batch", batch)
        rows = rows.to(self.device)
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

    def where(self, batch: object) -> str:
        """The rows by file and line; those alone whose own loss is not finite, if there are some."""
        rows = cast("Batch", batch).to(self.device)
        with torch.no_grad():
            losses = row_losses(self.model(rows.inputs, rows.extra), rows.row_targets, self.target)
        bad = rows.rows[(~torch.isfinite(losses)).cpu().numpy()]
        return self._train.examples.named(bad if len(bad) else rows.rows)

    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return target_loss(outputs, targets, self.target, self.recipe.label_smoothing)

    def evaluate(self) -> Metrics:
        """Metrics on the validation rows."""
        return evaluate_examples(self.model, self.validation, self.target, self.device)

    def carried(self) -> dict[str, Tensor]:
        """Rows are independent: nothing is carried."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Nothing to restore."""


class EnsembleTask(ClassifierTask):
    """Many-to-one by several networks: each learns each batch by itself, one after the other."""

    def __init__(self, model: Ensemble, prepared: Prepared, device: torch.device) -> None:
        super().__init__(cast("Classifier", model), prepared, device)
        self.members = model.classifiers

    def backward(self, batch: object) -> tuple[float, int]:
        """Gradients of the mean over rows of each member; returns the mean of their losses."""
        rows = cast("Batch", batch).to(self.device)
        total = 0.0
        for member in self.members:
            loss = self._loss(member(rows.inputs, rows.extra), rows.row_targets)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return total / len(self.members), len(rows.inputs.values)


class RowsTask:
    """Any category whose rows are independent and whose model knows its loss: bucketed batches, one step each."""

    def __init__(self, model: nn.Module, prepared: Prepared, device: torch.device) -> None:
        self.model, self.device, self.prepared = model, device, prepared
        self.recipe = prepared.recipe.training
        examples = cast("Examples", prepared.train)
        cut = prepared.recipe.model.next_step.cut_frames
        if cut is not None:
            examples = cut_rows(examples, cut)
        self._train = _batches(examples, prepared.recipe)

    @property
    def num_batches(self) -> int:
        """Steps of one epoch."""
        return len(self._train)

    def batches(self, epoch: int, start: int) -> Iterator[object]:
        """Bucketed batches of an epoch, each with the number of its step."""
        first = epoch * self.num_batches + start
        for number, batch in enumerate(self._train.epoch(epoch, start)):
            yield replace(batch, step=first + number)

    def backward(self, batch: object) -> tuple[float, int]:
        """Gradients of the model's own mean loss."""
        rows = cast("Batch", batch).to(self.device)
        loss = cast("RowModel", self.model).loss(rows, self.recipe)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach()), max(len(rows.inputs.values), _num_values(rows))

    def where(self, batch: object) -> str:
        """The rows by file and line."""
        return self._train.examples.named(cast("Batch", batch).rows)

    def evaluate(self) -> Metrics:
        """Metrics on the validation rows."""
        prepared = self.prepared
        monitor = category_of(prepared.recipe).monitor
        return monitor(self.model, cast("Examples", prepared.validation), prepared.features, self.device)

    def carried(self) -> dict[str, Tensor]:
        """Rows are independent: nothing is carried."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Nothing to restore."""


def _batches(examples: Examples, recipe: Recipe) -> BucketedBatches | WindowedBatches:
    training = recipe.training
    if isinstance(examples, Windows):
        drawn = recipe.model.forecast.windows_per_epoch
        return WindowedBatches(examples, training.batch_size, True, training.seed, drawn)
    return BucketedBatches(examples, training.batch_size, shuffle=True, seed=training.seed)


def _num_values(batch: Batch) -> int:
    return len(batch.targets.values) if isinstance(batch.targets, Ragged) else 0


class PenalisedTask:
    """Another task, and a penalty on gradients that vanish or explode on their way back (`training.vanishing`)."""

    def __init__(self, task: Task, model: nn.Module, weight: float) -> None:
        self._task, self._model, self._weight = task, model, weight
        self.batches, self.evaluate = task.batches, task.evaluate
        self.carried, self.restore, self.where = task.carried, task.restore, task.where

    @property
    def num_batches(self) -> int:
        """Steps of one epoch."""
        return self._task.num_batches

    def backward(self, batch: object) -> tuple[float, int]:
        """Gradients of the loss and of the weighted penalty; returns the loss alone."""
        with recording(self._model) as calls:
            found = self._task.backward(batch)
        penalty = self._weight * vanishing_penalty(calls)
        if penalty.requires_grad:
            penalty.backward()  # type: ignore[no-untyped-call]
        return found


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


def make_task(model: nn.Module, prepared: Prepared, device: torch.device) -> Task:
    """The task of a prepared run; an n-gram score is told which training rows hold each n-gram.

    Raises:
        RecipeError: for a window whose activations don't fit into memory.
    """
    task = _make_task(model, prepared, device)
    if isinstance(task, StreamedTask):
        check_memory(task.training, device)
    weight = prepared.recipe.training.vanishing_penalty
    return PenalisedTask(task, model, weight) if weight else task


def _make_task(model: nn.Module, prepared: Prepared, device: torch.device) -> Task:
    if isinstance(model, LanguageModel):
        return LanguageModelTask(model, prepared, device)
    bptt = prepared.recipe.training.bptt
    whole = bptt is None or bptt.window is None
    if isinstance(model, Tagger | NextStep) and not whole:
        return StreamedStepsTask(model, prepared, device)
    if isinstance(model, Ensemble):
        return EnsembleTask(model, prepared, device)
    if not isinstance(model, Classifier):
        return RowsTask(model, prepared, device)
    classifier, target = model, prepared.features.row_target
    if classifier.ngrams is not None:
        batches = BucketedBatches(cast("Examples", prepared.train), _COUNTED_ROWS).epoch(0)
        classifier.ngrams.fit(
            (batch.inputs.to(device), membership(batch.row_targets, target).to(device)) for batch in batches
        )
    return (
        ClassifierTask(classifier, prepared, device) if whole else StreamedClassifierTask(classifier, prepared, device)
    )


def membership(targets: Tensor, target: TargetFeature) -> Tensor:
    """(N, num_outputs), 1 where a row has the class or label of an output, or a number above the mean."""
    if target.kind == "number":
        return (targets > 0).unsqueeze(1).long()
    if target.kind == "labels":
        return targets
    return targets.unsqueeze(1) if target.num_outputs == 1 else F.one_hot(targets.long(), target.num_outputs)
