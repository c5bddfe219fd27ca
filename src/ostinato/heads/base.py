"""What a model's outputs mean: the one interface of all heads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from ostinato.errors import ShapeError
from ostinato.metrics.classification import Metrics
from ostinato.metrics.resampling import Units
from ostinato.metrics.steps import number_metrics
from ostinato.types import Ragged


class OutputHead(ABC):
    """What an output says about its target: a distribution, or a point estimate with its loss.

    `outputs` (M, ...) are what a head reads, one per item: hidden states where it has weights (it is then a module as
    well), otherwise the output of a model's last layer, which can be kept and scored later.
    """

    def nll(self, outputs: Tensor, target: Tensor) -> Tensor:
        """(M,): -ln p(target) of each item, in nats, or the loss used in its place. A head defines this or `loss`."""
        return self.loss(outputs, target, reduction="none")

    def loss(self, outputs: Tensor, target: Tensor, smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
        """What training minimises: `nll`, of classes with a share `smoothing` of the truth spread over all; reduced as
        in torch."""
        return reduced(self.nll(outputs, target), reduction)

    @abstractmethod
    def sample(self, outputs: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        """(M, ...): a target drawn for each item, from a distribution that is sharper below a temperature of 1."""

    def point(self, outputs: Tensor) -> Tensor:
        """(M, ...): the target that is likeliest, or mean or median: what a temperature of 0 draws."""
        return self.sample(outputs, temperature=0.0)

    def metrics(self, said: Any, truth: Any, units: Units | None = None) -> Metrics:
        """Metrics over all items; of steps, `units` says which belong together."""
        return number_metrics(said, truth, units)

    def count(self, target: Tensor) -> int:
        """Items that `loss` is summed over."""
        return len(target)

    def total(self, outputs: Ragged, targets: Ragged, smoothing: float = 0.0) -> tuple[Tensor, int]:
        """Of sequences: the summed loss, and of how many steps (CTC: labels)."""
        if not torch.equal(outputs.lengths, targets.lengths):
            raise ShapeError("a tagger's targets must be as long as its inputs.")
        return self.loss(outputs.values, targets.values, smoothing, "sum"), self.count(targets.values)

    def row_losses(self, outputs: Ragged, targets: Ragged) -> list[tuple[float, int]]:
        """Of sequences, row by row: what `total` gives, without smoothing."""
        losses = self.loss(outputs.values, targets.values, 0.0, "none")
        rows = zip(outputs.with_values(losses).split_rows(), targets.split_rows(), strict=True)
        return [(float(one.sum()), self.count(truth)) for one, truth in rows]

    @torch.no_grad()
    def decode(self, outputs: Ragged) -> Ragged:
        """For sequences: the decoded answers."""
        return outputs.with_values(self.point(outputs.values))

    def reader(self, num_outputs: int, size: int) -> NumberReader | TagReader:
        """The layer that reads an answer (M, num_outputs) where it is fed back, as `size` numbers."""
        return NumberReader(num_outputs, size)


class NumberReader(nn.Linear):
    """Reads the answer to the step before: numbers, or zeros and ones."""

    def first(self, num_rows: int, like: Tensor) -> Tensor:
        """What replaces the answer before the first step: zeros."""
        return like.new_zeros(num_rows, self.in_features)

    def forward(self, answers: Tensor) -> Tensor:
        return super().forward(answers.to(self.weight.dtype))


class TagReader(nn.Embedding):
    """Reads the answer to the step before: integers below K; K, and all that training never showed, is no answer."""

    def first(self, num_rows: int, like: Tensor) -> Tensor:
        """What replaces the answer before the first step: none."""
        return torch.full((num_rows,), self.num_embeddings - 1, device=like.device)

    def forward(self, answers: Tensor) -> Tensor:
        none = self.num_embeddings - 1
        return super().forward(torch.where((answers >= 0) & (answers < none), answers, none).long())


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """Losses of items: `none`, their `sum`, or their `mean`."""
    return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.mean()
