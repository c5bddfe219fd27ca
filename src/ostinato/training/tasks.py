"""What a training step and an evaluation are, for each category: batches, loss, metrics, and state that is carried."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.data.batching import Batch, BucketedBatches
from ostinato.data.dataset import Examples, Prepared
from ostinato.data.sequences import Ids, Offsets
from ostinato.data.streams import Tapes, Window
from ostinato.data.targets import TargetFeature
from ostinato.evaluation.metrics import Metrics
from ostinato.evaluation.scoring import evaluate_examples, evaluate_stream, row_losses, stream_nats, target_loss
from ostinato.models import Classifier, LanguageModel
from ostinato.recipe import BpttRecipe
from ostinato.training.bptt import TruncatedBPTT
from ostinato.training.memory import check_memory
from ostinato.training.spans import Span
from ostinato.training.vanishing import listening, vanishing_penalty
from ostinato.types import Ragged, State

_EVALUATION_STREAMS = 32
_COUNTED_ROWS = 512
_NAMED_ROWS = 5


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

    def where(self, batch: object) -> str:
        """The rows by file and line; those alone whose own loss is not finite, if there are some."""
        rows = cast("Batch", batch)
        with torch.no_grad():
            losses = row_losses(
                self.model(rows.inputs.to(self.device)), cast("Tensor", rows.targets).to(self.device), self.target
            )
        bad = rows.rows[(~torch.isfinite(losses)).cpu().numpy()]
        return named_rows(self._train.examples, bad if len(bad) else rows.rows)

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
            lambda window, states: stream_nats(model, window, self.values, states, device),
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
        shown = self.features.input.decode(self.values[begins[0] : begins[0] + 20])
        more = f" and {len(begins) - 1} more streams" if len(begins) > 1 else ""
        return f"tokens {begins[0]:,} to {stops[0]:,} of the training text ({shown!r} …){more}"


class StreamedClassifierTask(StreamedTask):
    """Many-to-one in windows: rows shuffled and laid on streams, a loss at each row's end, what was pooled carried."""

    def __init__(self, model: Classifier, prepared: Prepared, device: torch.device) -> None:
        self.model, self.device, self.recipe = model, device, prepared.recipe.training
        self.target = cast("TargetFeature", prepared.features.target)
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
        *layers, pooled = states
        hidden, after = self.model.encoder(ids.with_values(ids.values.long()).to(self.device), layers)
        features, pooled = self.model.pooling.absorb(hidden, pooled)
        ended = np.flatnonzero(window.pieces.ends)
        outputs = self.model.read(features[torch.from_numpy(ended).to(self.device)])
        batch = self._whole.batch(window.pieces.rows[ended])
        targets = cast("Tensor", batch.targets).to(self.device)
        losses = row_losses(outputs, targets, self.target, self.recipe.label_smoothing).sum()
        if self.model.ngrams is not None and torch.is_grad_enabled():
            scores = self.model.ngrams(batch.inputs.to(self.device))
            own = row_losses(scores, targets, self.target, self.recipe.label_smoothing).sum()
            losses = losses + own - own.detach()  # its gradient, and not its value: each path has a loss of its own
        return losses, [*after, pooled]

    def evaluate(self) -> Metrics:
        """Metrics on the validation rows."""
        return evaluate_examples(self.model, self.validation, self.target, self.device)

    def where(self, batch: object) -> str:
        """The rows that are read, by file and line."""
        windows = [chunk.window.pieces.rows for chunk in cast("Span", batch).chunks]
        return named_rows(self.examples, np.unique(np.concatenate(windows)))


def named_rows(examples: Examples, rows: Offsets) -> str:
    """The first rows by file and line, and how many there are."""
    named = ", ".join(examples.location(int(row)) for row in rows[:_NAMED_ROWS])
    return f"rows {named}" + (f" and {len(rows) - _NAMED_ROWS} more" if len(rows) > _NAMED_ROWS else "")


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
        with listening(self._model) as calls:
            found = self._task.backward(batch)
        penalty = self._weight * vanishing_penalty(calls)
        if penalty.requires_grad:
            penalty.backward()  # type: ignore[no-untyped-call]
        return found


def bounded(recipe: BpttRecipe | None, tapes: Tapes) -> BpttRecipe:
    """The recipe, with a window as long as the streams where it is full."""
    if recipe is None or recipe.window is None:
        return BpttRecipe(window=max(tapes.length, 1))
    return recipe


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
    classifier, target = cast("Classifier", model), cast("TargetFeature", prepared.features.target)
    if classifier.ngrams is not None:
        batches = BucketedBatches(cast("Examples", prepared.train), _COUNTED_ROWS).epoch(0)
        classifier.ngrams.fit(
            (batch.inputs.to(device), membership(cast("Tensor", batch.targets), target).to(device)) for batch in batches
        )
    bptt = prepared.recipe.training.bptt
    whole = bptt is None or bptt.window is None
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
