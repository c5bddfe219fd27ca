"""What a training step and an evaluation are, for each category: batches, loss, metrics, and state that is carried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
from ostinato.types import Ragged, State

_EVALUATION_STREAMS = 32
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
            The mean loss (nats, or squared error), and how many tokens the batch holds.
        """

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

    def backward(self, batch: object) -> tuple[float, int]:
        """Gradients of the mean over rows; with `adversarial`, of the mean over moved rows too; of n-grams apart."""
        rows = cast("Batch", batch)
        ids = rows.inputs.to(self.device)
        targets = cast("Tensor", rows.targets).to(self.device)
        vectors = self.model.encoder.embedding(ids)
        adversarial = self.recipe.adversarial > 0
        if adversarial:
            vectors.values.retain_grad()
        loss = self._loss(self.model.score(vectors), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        if adversarial:
            moved = adversarial_step(vectors, self.recipe.adversarial)
            vectors = self.model.encoder.embedding(ids)
            moved_loss = self._loss(self.model.score(vectors.with_values(vectors.values + moved)), targets)
            moved_loss.backward()  # type: ignore[no-untyped-call]
        if self.model.ngrams is not None:
            self._loss(self.model.ngrams(ids), targets).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach()), len(ids.values)

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

    def backward(self, batch: object) -> tuple[float, int]:
        """Gradients of the mean nats a token, back to the start of the window."""
        inputs, targets = cast("tuple[Tensor, Tensor]", batch)
        nats, states = self.model.nats(inputs.to(self.device), targets.to(self.device), self._states)
        self._states = detach(states)
        loss = nats / targets.numel()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach()), targets.numel()

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
    """The task of a prepared run; an n-gram score is told which training rows hold each n-gram."""
    if isinstance(model, LanguageModel):
        return LanguageModelTask(model, prepared, device)
    classifier, target = cast("Classifier", model), cast("TargetFeature", prepared.features.target)
    if classifier.ngrams is not None:
        batches = BucketedBatches(cast("Examples", prepared.train), _COUNTED_ROWS).epoch(0)
        classifier.ngrams.fit(
            (batch.inputs.to(device), membership(cast("Tensor", batch.targets), target).to(device)) for batch in batches
        )
    return ClassifierTask(classifier, prepared, device)


def membership(targets: Tensor, target: TargetFeature) -> Tensor:
    """(N, num_outputs), 1 where a row has the class or label of an output, or a number above the mean."""
    if target.kind == "number":
        return (targets > 0).unsqueeze(1).long()
    if target.kind == "labels":
        return targets
    return targets.unsqueeze(1) if target.num_outputs == 1 else F.one_hot(targets.long(), target.num_outputs)
