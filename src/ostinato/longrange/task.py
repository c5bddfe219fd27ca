"""What a long-range task is: endless sequences from a seed, a loss, a baseline, and when it counts as solved."""

from __future__ import annotations

import math
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.arrays import Array
from ostinato.errors import RecipeError
from ostinato.types import Ragged

Split: TypeAlias = Literal["train", "validation", "test"]
IGNORE = -100
"""The target of a step that has no loss."""

_STREAMS: dict[Split, int] = {"train": 0, "validation": 1, "test": 2}


@dataclass(frozen=True)
class Batch:
    """Sequences and their targets.

    Args:
        inputs: (sum L,) ids or (sum L, I) floats.
        targets: (N,), or with a loss at each step (sum L,) packed as `inputs`, `IGNORE` where there is none.
    """

    inputs: Ragged
    targets: Tensor


class Task(ABC):
    """Sequences without end, a pure function of (task, length, rows, index, seed, split).

    Class attributes say what a subclass is; ``length`` is what the literature calls T: each task says which steps.
    """

    name: str
    """What the command line calls it."""

    source: ClassVar[str]
    """The paper it is from."""

    num_inputs: int
    """Features of a step, or V for ids."""

    num_outputs: int
    """Classes, or 1 for a number."""

    tokens: ClassVar[bool] = True
    """Whether a step is an id rather than floats."""

    per_step: bool = False
    """Whether steps have targets, rather than the whole sequence."""

    metric: ClassVar[Literal["accuracy", "mse"]] = "accuracy"
    """The figure that decides: accuracy over the steps that count, or mean squared error."""

    threshold: float = 0.99
    """Solved: an accuracy of at least this, or an error below it."""

    min_length: int = 2
    """The shortest length there is."""

    only_length: int | None = None
    """The one length there is, or any."""

    num_held_out: ClassVar[dict[str, int]] = {}
    """Rows of the validation and test data, where they are given data with an end."""

    @abstractmethod
    def baseline(self, length: int) -> float:
        """The loss without memory, in nats, or squared units: what to beat."""

    def num_steps(self, length: int) -> int:
        """L, all steps of a sequence of this length."""
        return length

    @abstractmethod
    def rows(self, random: np.random.Generator, lengths: Array) -> tuple[Array, Array]:
        """A sequence for each of ``lengths`` (N,): padded (N, max L) or (N, max L, I), and targets (N,) or padded."""

    def batch(
        self,
        length: int,
        num_rows: int,
        index: int,
        seed: int = 0,
        *,
        shortest: int | None = None,
        split: Split = "train",
    ) -> Batch:
        """The batch of that index; the three splits never share a random stream.

        Args:
            length: of every row, in steps as the task counts them; at least `min_length`.
            num_rows: N.
            index: which batch, from 0.
            seed: of all batches.
            shortest: rows of unequal length, uniform from `shortest` to `length`; none: all of `length`.
            split: training, validation or test data.

        Raises:
            RecipeError: for a length that the task does not have.

        Example:
            >>> from ostinato.longrange import find
            >>> find("parity").batch(5, 2, index=0).inputs.values.shape
            torch.Size([10])
        """
        self.check_length(length)
        if shortest is not None:
            self.check_length(shortest)
            if shortest > length:
                raise RecipeError(f"`shortest` must be at most the length, {length}. Received: {shortest}.")
        name = zlib.crc32(self.name.encode())
        random = np.random.default_rng([seed, _STREAMS[split], index, length, name])
        if shortest is None:
            lengths = np.full(num_rows, length)
        else:
            lengths = random.integers(shortest, length, num_rows, endpoint=True)
        inputs, targets = self.rows(random, lengths)
        steps = torch.tensor([self.num_steps(int(one)) for one in lengths])
        packed = Ragged.from_padded(torch.from_numpy(inputs), steps)
        wanted = torch.from_numpy(targets)
        return Batch(packed, Ragged.from_padded(wanted, steps).values if self.per_step else wanted)

    def check_length(self, length: int) -> None:
        """Raise a RecipeError unless there are sequences of this length."""
        if self.only_length is not None and length != self.only_length:
            raise RecipeError(f"`length` must be {self.only_length} for the task {self.name}. Received: {length}.")
        if length < self.min_length:
            raise RecipeError(
                f"`length` must be at least {self.min_length} for the task {self.name}. Received: {length}."
            )

    def loss(self, output: Tensor, targets: Tensor) -> Tensor:
        """Mean over all targets: cross-entropy in nats, or squared error.

        Args:
            output: (N or sum L, num_outputs).
            targets: of a batch.
        """
        if self.metric == "mse":
            return F.mse_loss(output.squeeze(-1), targets)
        return F.cross_entropy(output, targets, ignore_index=IGNORE)

    def scored(self, targets: Tensor) -> Tensor:
        """Which targets the accuracy counts, a boolean each."""
        return targets != IGNORE

    @torch.no_grad()
    def score(self, output: Tensor, targets: Tensor) -> float:
        """The metric of one batch."""
        if self.metric == "mse":
            return float(F.mse_loss(output.squeeze(-1), targets))
        chosen = self.scored(targets)
        return float((output.argmax(-1)[chosen] == targets[chosen]).float().mean())

    def solved(self, figure: float, margin: float = 0.0) -> bool:
        """Whether the metric has reached the threshold, by a share of the distance to perfection beyond it."""
        if self.metric == "mse":
            return figure < self.threshold * (1.0 - margin)
        return figure >= 1.0 - (1.0 - self.threshold) * (1.0 - margin)


def uniform_nll(num_classes: int) -> float:
    """The cross-entropy of a guess among equals."""
    return math.log(num_classes)
