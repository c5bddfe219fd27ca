"""What a training step and an evaluation are, for each category: batches, loss, metrics, and state that is carried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from ostinato.data.batching import Batch, BucketedBatches
from ostinato.data.dataset import Examples, Prepared
from ostinato.data.sequences import Ids
from ostinato.data.streams import Windows
from ostinato.data.targets import TargetFeature
from ostinato.evaluation.metrics import Metrics
from ostinato.evaluation.scoring import evaluate_examples, evaluate_stream, target_loss
from ostinato.models import Classifier, LanguageModel
from ostinato.models.language_model import detach
from ostinato.recipe import TrainingRecipe
from ostinato.types import State

_EVALUATION_STREAMS = 32


class Task(Protocol):
    """One category of sequence modelling, as the training loop sees it."""

    @property
    def num_batches(self) -> int:
        """Steps of one epoch."""

    def batches(self, epoch: int, start: int) -> Iterator[object]:
        """The batches of an epoch, from number `start` on."""

    def loss(self, batch: object) -> tuple[Tensor, int]:
        """The mean loss (nats, or squared error) of a batch, and how many tokens the batch holds."""

    def evaluate(self) -> Metrics:
        """Metrics on the validation data; `loss` among them."""

    def carried(self) -> dict[str, Tensor]:
        """State that lives from one batch to the next."""

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up carried state again."""


class ClassifierTask:
    """Many-to-one: bucketed batches, cross-entropy (or squared error on standardised numbers)."""

    def __init__(self, model: Classifier, prepared: Prepared, device: torch.device) -> None:
        self.model, self.device = model, device
        self.recipe = prepared.recipe.training
        self.target = cast("TargetFeature", prepared.features.target)
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

    def loss(self, batch: object) -> tuple[Tensor, int]:
        """Mean over rows."""
        rows = cast("Batch", batch)
        outputs = self.model(rows.inputs.to(self.device))
        targets = cast("Tensor", rows.targets).to(self.device)
        return target_loss(outputs, targets, self.target, self.recipe.label_smoothing), len(rows.inputs.values)

    def evaluate(self) -> Metrics:
        """Metrics on the validation rows."""
        return evaluate_examples(self.model, self.validation, self.target, self.device)

    def carried(self) -> dict[str, Tensor]:
        """Rows are independent: nothing is carried."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Nothing to restore."""


class LanguageModelTask:
    """Next-token prediction: contiguous windows, state carried and detached between them."""

    def __init__(self, model: LanguageModel, prepared: Prepared, device: torch.device) -> None:
        recipe: TrainingRecipe = prepared.recipe.training
        self.model, self.device = model, device
        self.features = prepared.features
        self.validation = cast("Ids", prepared.validation)
        self._train = Windows(cast("Ids", prepared.train), recipe.batch_size, recipe.bptt, recipe.seed)
        self._states: list[State] | None = None

    @property
    def num_batches(self) -> int:
        """Windows of one epoch."""
        return len(self._train)

    def batches(self, epoch: int, start: int) -> Iterator[object]:
        """Windows of an epoch; the first begins with zero states."""
        if start == 0:
            self._states = None
        return self._train.epoch(epoch, start)

    def loss(self, batch: object) -> tuple[Tensor, int]:
        """Mean nats a token."""
        inputs, targets = cast("tuple[Tensor, Tensor]", batch)
        nats, states = self.model.nats(inputs.to(self.device), targets.to(self.device), self._states)
        self._states = detach(states)
        return nats / targets.numel(), targets.numel()

    def evaluate(self) -> Metrics:
        """Metrics on the validation text, read in up to 32 streams (the final figure is read in one)."""
        return evaluate_stream(self.model, self.validation, self.features, self.device, _EVALUATION_STREAMS)

    def carried(self) -> dict[str, Tensor]:
        """The hidden states at the start of the next window."""
        states = self._states or []
        return {f"{layer}.{part}": tensor for layer, state in enumerate(states) for part, tensor in enumerate(state)}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up the hidden states again."""
        layers = sorted({int(name.split(".")[0]) for name in tensors})
        parts = [sorted(name for name in tensors if name.startswith(f"{layer}.")) for layer in layers]
        self._states = [tuple(tensors[name].to(self.device) for name in names) for names in parts] or None


def make_task(model: nn.Module, prepared: Prepared, device: torch.device) -> Task:
    """The task of a prepared run."""
    if isinstance(model, LanguageModel):
        return LanguageModelTask(model, prepared, device)
    return ClassifierTask(cast("Classifier", model), prepared, device)
