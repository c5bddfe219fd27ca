"""What is diagnosed: recurrent layers, real sequences for them to read, and the loss of each sequence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.data.arrays import Ids
from ostinato.data.batching import BucketedBatches
from ostinato.data.dataset import Examples
from ostinato.data.targets import TargetFeature
from ostinato.data.vocabulary import END_ID
from ostinato.evaluation.scoring import row_losses
from ostinato.models import Classifier, LanguageModel
from ostinato.nn import RecurrentStack
from ostinato.types import Ragged


@dataclass(frozen=True)
class Subject:
    """Layers at work: everything in `diagnostics` looks at one of these and changes nothing.

    Args:
        stacks: recurrent layers, the lowest first; each may hold several.
        inputs: (sum L, I), what the lowest stack reads, rows that all begin from zero states.
        loss: from the output of the last stack, (sum L, D*H) packed as `inputs`, to the loss of each row, (N,), in the
            original order of the rows: for a model with a loss at each step, that of the row's last step.
        per_step: whether the model has a loss at each step (a language model), or one a row (a classifier).
    """

    stacks: tuple[RecurrentStack, ...]
    inputs: Ragged
    loss: Callable[[Ragged], Tensor]
    per_step: bool

    def last(self, num_steps: int) -> Subject:
        """The same rows, of which the model sees the last `num_steps` steps only (shorter rows as they are)."""
        lengths = self.inputs.lengths
        kept = lengths.clamp(max=num_steps)
        ends = lengths.cumsum(0)
        return replace(self, inputs=Ragged.from_rows(self.inputs.row_major(), ends - kept, kept))

    @torch.no_grad()
    def row_losses(self) -> Tensor:
        """(N,), in the original order of the rows."""
        output = self.inputs
        for stack in self.stacks:
            output, _ = stack(output)
        return self.loss(output)


def language_model_subject(
    model: LanguageModel, values: Ids, num_rows: int, num_steps: int, seed: int = 0, *, documents: bool = False
) -> Subject:
    """Rows that end at random places of a text (seeded), and the nats of the token that follows each.

    Args:
        model: its layers and head; put it into evaluation mode before.
        values: the text.
        num_rows: N.
        num_steps: tokens of a row; fewer where the text, or with `documents` the document, begins later than that.
        seed: of the places.
        documents: whether the text is documents, each closed by `<end>`, in which the model begins anew.
    """
    places = np.arange(min(num_steps, len(values) - 1), len(values))
    random = np.random.default_rng(seed)
    ends = np.sort(random.choice(places, size=min(num_rows, len(places)), replace=False))
    starts = np.maximum(ends - num_steps, 0)
    if documents:
        begins = np.flatnonzero(values == END_ID)
        last = np.searchsorted(begins, ends - 1, side="right") - 1
        starts = np.where(last >= 0, np.maximum(starts, begins[last]), starts) if len(begins) else starts
    device = model.encoder.device
    ids = Ragged.from_rows(values.astype(np.int64), starts, ends - starts).to(device)
    targets = torch.from_numpy(values[ends].astype(np.int64)).to(device)
    with torch.no_grad():
        inputs = model.encoder.embedding(ids)

    def loss(output: Ragged) -> Tensor:
        return F.cross_entropy(model.scores(output.select_last()), targets, reduction="none")

    return Subject(_stacks(model), inputs, loss, per_step=True)


def classifier_subject(
    model: Classifier, examples: Examples, target: TargetFeature, num_rows: int, seed: int = 0
) -> Subject:
    """A random sample of rows (seeded), and the loss of each; of the recurrent path alone, without n-grams."""
    random = np.random.default_rng(seed)
    rows = np.sort(random.choice(len(examples), size=min(num_rows, len(examples)), replace=False))
    batch = BucketedBatches(examples, len(rows)).batch(rows).to(model.encoder.device)
    with torch.no_grad():
        inputs = model.encoder.embedding(batch.inputs)

    def loss(output: Ragged) -> Tensor:
        return row_losses(model.scores(output, batch.extra), batch.row_targets, target)

    return Subject(_stacks(model), inputs, loss, per_step=False)


def _stacks(model: Classifier | LanguageModel) -> tuple[RecurrentStack, ...]:
    return tuple(cast("list[RecurrentStack]", list(model.encoder.layers)))
