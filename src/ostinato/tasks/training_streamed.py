"""Training whose sequences lie on streams and are read in windows: truncated BPTT, or a text as a whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from ostinato.bptt.truncated import TruncatedBPTT
from ostinato.bptt.updates import Update
from ostinato.data.dataset import Prepared
from ostinato.data.streams import Tapes, Window
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.metrics.classification import Metrics
from ostinato.recipe import BpttRecipe, Recipe
from ostinato.types import State

if TYPE_CHECKING:
    from ostinato.tasks.spec import TaskSpec


class StreamedTraining(ABC):
    """Training whose sequences lie on streams and are read in windows: truncated BPTT, or a text as a whole."""

    training: TruncatedBPTT

    @property
    def num_batches(self) -> int:
        """Updates of one epoch."""
        return self.training.num_batches

    def batches(self, epoch: int, start: int) -> Iterator[Update]:
        """Updates of an epoch; the first begins with zero states."""
        return self.training.batches(epoch, start)

    def backward(self, batch: Update) -> tuple[float, int]:
        """Gradients of the mean loss, as far back as `training.bptt` says."""
        return self.training.backward(batch)

    @abstractmethod
    def evaluate(self) -> Metrics:
        """Metrics on the validation data."""

    @abstractmethod
    def where(self, batch: Update) -> str:
        """The data of a batch in words."""

    def carried(self) -> dict[str, Tensor]:
        """The states in which the next window begins, and where it does."""
        return self.training.carried()

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up states and place again."""
        self.training.restore(tensors)


def bounded(recipe: BpttRecipe | None, tapes: Tapes) -> BpttRecipe:
    """The recipe, with a window as long as the streams where it is full."""
    if recipe is None or recipe.window is None:
        return BpttRecipe(window=max(tapes.length, 1))
    return recipe


class StreamedRowsTraining(StreamedTraining):
    """Rows in windows: shuffled and laid on streams, with a loss at each step, or at each row's end.

    So rows of any length train in the memory of a window (k2 steps). As the state is carried, evaluation reads whole
    rows.

    Args:
        spec: of the task.
        model: whose steps are scored one by one.
        prepared: the run's data.
        device: where the model is.
        step: from a window and the states before it to the summed loss, and the states after it.
        begin: the first states of so many streams; none: those of the model's encoder.
        losses: where they are: at each step, or at each row's end.

    Raises:
        RecipeError: without `training.bptt.carry_state` where rows have one loss each.
    """

    def __init__(
        self,
        spec: TaskSpec,
        model: nn.Module,
        prepared: Prepared,
        device: torch.device,
        step: Callable[[Window, list[State]], tuple[Tensor, list[State]]],
        begin: Callable[[int], list[State]] | None = None,
        losses: Literal["step", "end"] = "step",
    ) -> None:
        self.spec, self.model, self.device, self.prepared = spec, model, device, prepared
        self.recipe, self.examples = prepared.recipe.training, prepared.train
        begin, bptt = begin or cast("RecurrentEncoder", model.encoder).zero_states, self.recipe.bptt
        self.training = TruncatedBPTT(
            self.layout, bounded(bptt, self.layout(0)), step, begin, losses, seed=self.recipe.seed
        )

    def layout(self, epoch: int) -> Tapes:
        """The rows in an order of their own each epoch (seeded)."""
        order = np.random.default_rng([self.recipe.seed, epoch]).permutation(len(self.examples))
        return Tapes.of_rows(self.examples.sequences.offsets, order, self.recipe.batch_size)

    def evaluate(self) -> Metrics:
        """Metrics on the validation rows, each read whole."""
        prepared = self.prepared
        return self.spec.evaluate(self.model, prepared.validation, prepared.features, prepared.recipe, self.device)

    def where(self, batch: Update) -> str:
        """The rows that are read, by file and line."""
        windows = [chunk.window.pieces.rows for chunk in batch.chunks]
        return self.examples.named(np.unique(np.concatenate(windows)))


def reads_windows(recipe: Recipe) -> bool:
    """Whether `training.bptt` cuts rows into windows."""
    return recipe.training.bptt is not None and recipe.training.bptt.window is not None
