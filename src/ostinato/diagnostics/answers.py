"""What a model of any category answers on a batch, and what each answer costs: for the certificate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn

from ostinato.arrays import Offsets
from ostinato.data.batching import Batch, BucketedBatches
from ostinato.data.dataset import Examples, Features
from ostinato.data.forecasting.windows import Windows
from ostinato.tasks.classification.ensemble import Ensemble
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.conditional.model import Conditional
from ostinato.tasks.forecasting.model import Forecaster
from ostinato.tasks.next_step.model import NextStep
from ostinato.tasks.scoring import row_losses
from ostinato.tasks.seq2seq.model import Seq2Seq
from ostinato.tasks.tagging.feedback import FeedbackTagger
from ostinato.tasks.tagging.model import Tagger
from ostinato.types import Ragged

Rows: TypeAlias = "Classifier | Conditional | Ensemble | Forecaster | NextStep | Seq2Seq | Tagger"
"""A model of independent rows."""


def batch_of(examples: Examples, rows: Offsets) -> Batch:
    """Some examples as one batch."""
    return examples.batch(rows) if isinstance(examples, Windows) else BucketedBatches(examples, len(rows)).batch(rows)


def answer_losses(model: nn.Module, batch: Batch, features: Features) -> Tensor:
    """The loss of each answer, row after row: of each row (a classifier, a tagger: summed over its steps), of each
    frame or token, of each number of a forecast. Decoders and taggers read the true answers before (teacher forcing).

    Args:
        model: of any category of rows.
        batch: with its targets.
        features: of the run.
    """
    if isinstance(model, Classifier | Ensemble):
        return row_losses(model(batch.inputs, batch.extra), batch.row_targets, features.row_target)
    if isinstance(model, Tagger):
        return torch.stack([nll for nll, _ in tagged(model, tagger_outputs(model, batch), batch.sequence_targets)])
    if isinstance(model, NextStep):
        return batch.inputs.with_values(model.nll(batch.inputs, batch.extra)).row_major()
    if isinstance(model, Seq2Seq):
        return model.nll(batch.inputs, batch.sequence_targets, batch.extra).row_major()
    if isinstance(model, Conditional):
        return model.nll(batch.inputs, batch.sequence_targets, batch.extra).row_major()
    losses, mask = cast("Forecaster", model).losses(batch)
    return losses.flatten() if mask is None else (losses * mask).flatten()


def tagger_outputs(model: Tagger, batch: Batch) -> Ragged:
    """Outputs (sum L, K), given the true answers before where the model reads its own."""
    if isinstance(model, FeedbackTagger):
        return model.forced(batch.inputs, batch.sequence_targets, batch.extra)
    return cast("Ragged", model(batch.inputs, batch.extra))


def tagged(model: Tagger, outputs: Ragged, targets: Ragged) -> Iterator[tuple[Tensor, int]]:
    """For each row its summed loss, and of how many steps (ctc: labels)."""
    for row, wanted in zip(outputs.split_rows(), targets.split_rows(), strict=True):
        yield model.nll(Ragged.from_padded(row.unsqueeze(0)), Ragged.from_padded(wanted.unsqueeze(0)))


def split_batch(batch: Batch) -> Iterator[Batch]:
    """A batch of each row."""

    def rows(ragged: Ragged) -> list[Ragged]:
        return [Ragged.from_padded(row.unsqueeze(0)) for row in ragged.split_rows()]

    inputs, extra, targets = rows(batch.inputs), {name: rows(one) for name, one in batch.extra.items()}, batch.targets
    wanted = rows(targets) if isinstance(targets, Ragged) else None
    for n, row in enumerate(inputs):
        own = targets[n : n + 1] if isinstance(targets, Tensor) else None if wanted is None else wanted[n]
        yield Batch(row, own, batch.rows[n : n + 1], {name: one[n] for name, one in extra.items()})


def in_dtype(batch: Batch, dtype: torch.dtype) -> Batch:
    """The same batch with its floating-point numbers in `dtype`."""

    def cast_values(ragged: Ragged) -> Ragged:
        values = ragged.values
        return ragged.with_values(values.to(dtype)) if values.is_floating_point() else ragged

    targets = batch.targets
    if isinstance(targets, Ragged):
        targets = cast_values(targets)
    elif targets is not None and targets.is_floating_point():
        targets = targets.to(dtype)
    extra = {name: cast_values(one) for name, one in batch.extra.items()}
    return replace(batch, inputs=cast_values(batch.inputs), targets=targets, extra=extra)


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """What integers are turned into: torch's default, set while the context lasts."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
