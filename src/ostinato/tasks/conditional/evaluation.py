"""Evaluating, predicting and reporting of models that write a sequence for one value: one to many."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from ostinato.data.batching import BucketedBatches
from ostinato.data.dataset import Examples, Features
from ostinato.data.sequences import Sequences
from ostinato.metrics.classification import Metrics
from ostinato.metrics.edit_distance import edit_distance
from ostinato.nn.modes import evaluating
from ostinato.tasks.beam_predictions import Begin, predictions_of, write
from ostinato.tasks.conditional.model import Conditional
from ostinato.tasks.conditional.sampling import refuse_unknown
from ostinato.tasks.prediction import Prediction
from ostinato.tasks.seq2seq.evaluation import Transcript, scores_of

_ROWS = 256
_MONITORED = 2_000
_MOST_TARGETS = 1.5


def evaluate(model: nn.Module, examples: Examples, features: Features, device: torch.device) -> Metrics:
    """Loss, perplexity and, where there is one right sequence for what is given, error rates of beam search.

    What is given is said to have one right sequence if there are at most 1.5 different ones for each different value on
    average; where one value has many (the names of a language), what is written can't be right or wrong. Perplexity:
    e to the loss, which is nats a token, `<end>` counted. Error rates as of `evaluation.transcription`, a row each.
    """
    conditional = cast("Conditional", model)
    return _scored(conditional, examples, features, device, conditional.tokens.beam_size, None)


def monitor(model: nn.Module, examples: Examples, features: Features, device: torch.device) -> Metrics:
    """As `evaluate`, quickly, for every epoch: greedy, and of at most 2,000 rows, evenly spaced; the loss of all."""
    return _scored(cast("Conditional", model), examples, features, device, 1, _MONITORED)


def _scored(
    model: Conditional, examples: Examples, features: Features, device: torch.device, beam_size: int, most: int | None
) -> Metrics:
    loss = mean_nll(model, examples, device)
    metrics: Metrics = {"loss": loss, "perplexity": math.exp(min(loss, 700.0)), "num_examples": len(examples)}
    if has_one_answer(examples):
        metrics |= scores_of(transcribe(model, examples, device, beam_size, most), features)
    return metrics


def predict(model: nn.Module, examples: Examples, features: Features, device: torch.device) -> list[Prediction]:
    """What beam search writes for each row, and the other sequences it kept, each with its normalised ln p.

    Raises:
        RunError: for a row with a name that training never showed.
    """
    conditional = cast("Conditional", model)
    refuse_unknown(examples, features)
    return predictions_of(conditional, _begin(conditional), examples, features.target, device)


def _begin(model: Conditional) -> Begin:
    return lambda batch: model.begin(batch.inputs, batch.extra)


def has_one_answer(examples: Examples) -> bool:
    """Whether rows that are given the same have the same target, nearly always."""
    targets = cast("Sequences", examples.targets)
    given = [examples.given(row) for row in range(len(examples))]
    pairs = {(one, targets.row(row).tobytes()) for row, one in enumerate(given)}
    return len(pairs) <= _MOST_TARGETS * len(set(given))


def transcribe(
    model: Conditional, examples: Examples, device: torch.device, beam_size: int, most: int | None = None
) -> list[Transcript]:
    """What the model writes for each row beside what is right; of at most so many rows, evenly spaced."""
    count = len(examples)
    rows = np.arange(count) if most is None or count <= most else np.linspace(0, count - 1, most).astype(np.int64)
    targets = cast("Sequences", examples.targets)
    found: list[Transcript] = []
    for row, sequences in zip(
        rows.tolist(), write(model, _begin(model), examples, rows, device, beam_size), strict=True
    ):
        right = tuple(targets.row(row).tolist())
        found.append(Transcript(row, tuple(sequences), (right,), right, edit_distance(right, sequences[0].ids)))
    return found


def mean_nll(model: Conditional, examples: Examples, device: torch.device) -> float:
    """-ln p a token of the targets, `<end>` counted, without label smoothing."""
    total, count = nll_of_rows(model, examples, device)
    return float(total.sum() / max(count.sum(), 1))


def nll_of_rows(
    model: Conditional, examples: Examples, device: torch.device
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """-ln p of each row's target, (N,), and its tokens, `<end>` counted, (N,)."""
    totals = np.zeros(len(examples))
    with evaluating(model), torch.inference_mode():
        for batch in BucketedBatches(examples, _ROWS).epoch(0):
            here = batch.to(device)
            nll = model.nll(here.inputs, here.sequence_targets, here.extra)
            totals[batch.rows] = [float(row.double().sum()) for row in nll.split_rows()]
    return totals, cast("Sequences", examples.targets).lengths + 1
