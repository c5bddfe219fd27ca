"""What the training loop needs of a task: batches, gradients, monitoring, and carried state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import TypeVar

from ostinato.arrays import Integers
from ostinato.bptt.memory import check_memory
from ostinato.bptt.vanishing import recording, vanishing_penalty
from ostinato.data.batching import Batch, BucketedBatches
from ostinato.data.dataset import Examples, Prepared
from ostinato.metrics.classification import Metrics
from ostinato.recipe import TrainingRecipe
from ostinato.tasks.training_streamed import StreamedTraining
from ostinato.types import Ragged

if TYPE_CHECKING:
    from ostinato.tasks.spec import TaskSpec


BatchT = TypeVar("BatchT", default=Any)


class RowBatches(Protocol):
    """Batches of independent rows, shuffled by (seed, epoch)."""

    @property
    def examples(self) -> Examples:
        """The rows."""

    def __len__(self) -> int: ...

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from number `start` on."""


@runtime_checkable
class RowModel(Protocol):
    """A model of independent rows that has its own loss."""

    def loss(self, batch: Batch, training: TrainingRecipe) -> Tensor:
        """The mean loss of a batch, with gradients; nats a token (or a row, a frame), or squared error."""


class TrainingTask(Protocol[BatchT]):
    """A task as the training loop sees it; what a batch is, is up to the task."""

    @property
    def num_batches(self) -> int:
        """Steps of one epoch."""

    def batches(self, epoch: int, start: int) -> Iterator[BatchT]:
        """The batches of an epoch, from number `start` on."""

    def backward(self, batch: BatchT) -> tuple[float, int]:
        """Add the gradients of a batch's mean loss to the parameters'.

        Returns:
            The mean loss (nll, or squared error), and how many tokens the batch holds.
        """

    def evaluate(self) -> Metrics:
        """Metrics on the validation data; `loss` among them."""

    def where(self, batch: BatchT) -> str:
        """The data of a batch in words: the rows, or the place in a text."""

    def carried(self) -> dict[str, Tensor]:
        """State that lives from one batch to the next."""

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Restore carried state."""


class RowsTraining:
    """Any task whose rows are independent and whose model has its own loss: bucketed batches, one step each."""

    def __init__(
        self,
        spec: TaskSpec,
        model: nn.Module,
        prepared: Prepared,
        device: torch.device,
        batches: RowBatches | None = None,
    ) -> None:
        self.spec, self.model, self.device, self.prepared = spec, model, device, prepared
        self.recipe = prepared.recipe.training
        self._train = batches or bucketed(prepared.train, self.recipe)

    @property
    def num_batches(self) -> int:
        """Steps of one epoch."""
        return len(self._train)

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """Bucketed batches of an epoch, each with the number of its step."""
        first = epoch * self.num_batches + start
        for number, batch in enumerate(self._train.epoch(epoch, start)):
            yield replace(batch, step=first + number)

    def backward(self, batch: Batch) -> tuple[float, int]:
        """Gradients of the model's own mean loss."""
        rows = batch.to(self.device)
        loss = cast("RowModel", self.model).loss(rows, self.recipe)
        loss.backward()  # type: ignore[no-untyped-call]
        written = len(rows.targets.values) if isinstance(rows.targets, Ragged) else 0
        return float(loss.detach()), max(len(rows.inputs.values), written)

    def where(self, batch: Batch) -> str:
        """The rows by file and line."""
        return self._train.examples.named(batch.rows)

    def evaluate(self) -> Metrics:
        """Metrics on the validation rows."""
        prepared = self.prepared
        return self.spec.monitor(self.model, prepared.validation, prepared.features, prepared.recipe, self.device)

    def carried(self) -> dict[str, Tensor]:
        """Rows are independent: nothing is carried."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Nothing to restore."""


def bucketed(examples: Examples, training: TrainingRecipe) -> BucketedBatches:
    """Training batches of rows of similar length."""
    return BucketedBatches(examples, training.batch_size, shuffle=True, seed=training.seed)


def balanced(counts: Integers) -> Tensor:
    """(K,): N / (K n) of classes that occur n times, N in all, as scikit-learn's; those that don't occur are left out.

    Source: King and Zeng 2001, "Logistic regression in rare events data".

    Example:
        >>> balanced(np.asarray([6, 3, 0]))
        tensor([0.7500, 1.5000, 0.0000])
    """
    present = counts > 0
    weights = np.where(present, counts.sum() / (present.sum() * np.maximum(counts, 1)), 0.0)
    return torch.from_numpy(weights.astype(np.float32))


class PenalisedTraining:
    """Another training, and a penalty on gradients that vanish or explode on their way back (`training.vanishing`)."""

    def __init__(self, task: TrainingTask, model: nn.Module, weight: float) -> None:
        self._task, self._model, self._weight = task, model, weight
        self.batches, self.evaluate = task.batches, task.evaluate
        self.carried, self.restore, self.where = task.carried, task.restore, task.where

    @property
    def num_batches(self) -> int:
        """Steps of one epoch."""
        return self._task.num_batches

    def backward(self, batch: Any) -> tuple[float, int]:
        """Gradients of the loss and of the weighted penalty; returns the loss alone."""
        with recording(self._model) as calls:
            found = self._task.backward(batch)
        penalty = self._weight * vanishing_penalty(calls)
        if penalty.requires_grad:
            penalty.backward()  # type: ignore[no-untyped-call]
        return found


def training_of(spec: TaskSpec, model: nn.Module, prepared: Prepared, device: torch.device) -> TrainingTask:
    """The training of a prepared run.

    Raises:
        RecipeError: for a window whose activations don't fit into memory.
    """
    training = spec.training(model, prepared, device)
    if isinstance(training, StreamedTraining):
        check_memory(training.training, device)
    weight = prepared.recipe.training.vanishing_penalty
    return PenalisedTraining(training, model, weight) if weight else training
