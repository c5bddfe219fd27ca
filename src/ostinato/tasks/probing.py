"""What diagnosis and verification need of a model, for any task whose model has a loss."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from ostinato.arrays import Offsets
from ostinato.data.batching import Batch
from ostinato.data.dataset import Examples, Features
from ostinato.errors import RunError
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.probes.batches import some_rows, split_batch
from ostinato.probes.part import Part
from ostinato.probes.recurrences import Recurrence, recurrences
from ostinato.probes.subject import Subject
from ostinato.recipe import Recipe, TrainingRecipe
from ostinato.tasks.training import RowModel
from ostinato.types import Ragged, State

if TYPE_CHECKING:
    from ostinato.tasks.spec import TaskSpec

_MOST_WINDOW_STEPS = 500_000
"""Steps of all windows of rows whose every step is read with less context: rows beyond that are left out."""


@runtime_checkable
class KnowsRows(Protocol):
    """A model with a loss for each row."""

    def row_losses(self, batch: Batch) -> Tensor:
        """(N,), in the original order of the rows."""


@dataclass(frozen=True)
class Reading:
    """A model, and examples for it to read.

    Args:
        spec: its task.
        model: in evaluation mode.
        examples: with their targets.
        features: of the run.
        recipe: of the run.
    """

    spec: TaskSpec
    model: nn.Module
    examples: Examples
    features: Features
    recipe: Recipe

    def read(self, rows: Offsets) -> tuple[Batch, dict[str, Recurrence]]:
        """Some rows as a batch, and what of them reaches the model's recurrences, by name."""
        batch = self.spec.batch(self.examples, rows).to(next(self.model.parameters()).device)
        found = recurrences(self.model, lambda: self.spec.read(self.model, batch, self.features, self.recipe))
        return batch, {part.name: part for part in found}

    def answers(self, batch: Batch, model: nn.Module) -> Tensor:
        """The loss of each answer of another model of the task."""
        return self.spec.answers(model, batch, self.features, self.recipe)


def row_losses(model: nn.Module, batch: Batch, recipe: Recipe) -> Tensor:
    """(N,): the loss of each row as training has it, without label smoothing: the model's `row_losses`, or its `loss`
    on each row.

    Raises:
        RunError: for a model with neither.
    """
    if isinstance(model, KnowsRows):
        return model.row_losses(batch)
    if not isinstance(model, RowModel):
        raise RunError(f"a {type(model).__name__} has no `loss(batch, training)` to examine.")
    training = unsmoothed(recipe)
    return torch.stack([model.loss(row, training) for row in split_batch(batch)])


def read_whole(model: nn.Module, batch: Batch, recipe: Recipe) -> None:
    """Run a model over all rows at once."""
    if isinstance(model, RowModel):
        model.loss(batch, unsmoothed(recipe))
    else:
        row_losses(model, batch, recipe)


def unsmoothed(recipe: Recipe) -> TrainingRecipe:
    """`training` without label smoothing."""
    return recipe.training.model_copy(update={"label_smoothing": 0.0})


def encoder_part(reading: Reading, name: str = "") -> Part:
    """The recurrence that is the model's `encoder`, whatever reads it.

    Raises:
        RunError: for a model without one.
    """
    if not isinstance(getattr(reading.model, "encoder", None), RecurrentEncoder):
        raise RunError(
            f"the {reading.spec.noun} can't be diagnosed: its model has no `encoder` of recurrent layers.",
            hint="`TaskSpec.probes` can name other recurrences",
        )
    unit = reading.features.input.step_noun
    return Part(name, lambda count, seed: _encoder_subject(reading, count, seed), unit)


def _encoder_subject(reading: Reading, count: int, seed: int) -> Subject:
    """Whole rows and the loss of each; less context is less around each step, all of which are there to be read."""
    batch, found = reading.read(windowed_rows(reading.examples.sequences.lengths, count, seed))
    part, rows = found["encoder"], list(split_batch(batch))

    def loss(output: Ragged, finals: list[State]) -> Tensor:
        if isinstance(reading.model, KnowsRows):
            return reading.answers(batch, with_encoding(reading.model, output, finals))
        outputs = [Ragged.from_padded(row.unsqueeze(0)) for row in output.split_rows()]
        ends = [[tuple(tensor[:, n : n + 1] for tensor in state) for state in finals] for n in range(len(rows))]
        alone = zip(rows, outputs, ends, strict=True)
        return torch.cat([reading.answers(row, with_encoding(reading.model, out, end)) for row, out, end in alone])

    return Subject(part.stacks, part.inputs, loss, per_step=False, initial=part.initial, reads_states=True, around=True)


def windowed_rows(lengths: Offsets, count: int, seed: int) -> Offsets:
    """A random sample of rows with steps (seeded), as many as can be read with less around each step."""
    rows = some_rows(len(lengths), count, seed)
    rows = rows[lengths[rows] > 0]
    return rows[: max(2, int(np.searchsorted(np.cumsum(lengths[rows] ** 2), _MOST_WINDOW_STEPS)))]


def with_encoding(model: nn.Module, output: Ragged, finals: list[State]) -> nn.Module:
    """The same model, with the same weights, whose `encoder` has read already: its first call gives this."""
    reader = copy.copy(model)
    reader._modules = {**model._modules, "encoder": _Encoded(model.encoder, output, finals)}
    return reader


class _Encoded(nn.Module):
    """An encoder whose first call gives what is known; later ones, and all else of it, are its own."""

    def __init__(self, encoder: Any, output: Ragged, finals: list[State]) -> None:
        super().__init__()
        self.own, self._known = encoder, [(output, finals)]

    def forward(self, values: Any, states: list[State] | None = None) -> Any:
        return self._first(self.own, values, states)

    def run(self, vectors: Any, states: list[State] | None = None) -> Any:
        """As `RecurrentEncoder.run`."""
        return self._first(self.own.run, vectors, states)

    def _first(self, later: Callable[..., Any], values: Any, states: list[State] | None) -> Any:
        return self._known.pop() if self._known else later(values, states)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("own"), name)
