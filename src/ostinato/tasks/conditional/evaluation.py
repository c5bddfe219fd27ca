"""Evaluating of models that write tokens for one value: one to many."""

from __future__ import annotations

import math

import torch

from ostinato.data.dataset import Examples, Features
from ostinato.layers.writer import SequenceWriter
from ostinato.metrics.classification import Metrics
from ostinato.tasks.conditional.model import Conditional
from ostinato.tasks.given import has_one_answer
from ostinato.tasks.transcripts import MONITORED, mean_nll, scores_of, transcribe


def evaluate(model: Conditional, examples: Examples, features: Features, device: torch.device) -> Metrics:
    """Loss, perplexity and, where there is one right sequence for what is given, error rates of beam search.

    What is given is said to have one right sequence if there are at most 1.5 different ones for each different value on
    average; where one value has many (the names of a language), what is written can't be right or wrong. Perplexity:
    e to the loss, which is nats a token, `<end>` counted. Error rates as of `tasks.transcripts`, a row each.
    """
    return _scored(model, examples, features, device, model.tokens.beam_size, None)


def monitor(model: Conditional, examples: Examples, features: Features, device: torch.device) -> Metrics:
    """As `evaluate`, quickly, for every epoch: greedy, and of at most 2,000 rows, evenly spaced; the loss of all."""
    return _scored(model, examples, features, device, 1, MONITORED)


def _scored(
    model: SequenceWriter,
    examples: Examples,
    features: Features,
    device: torch.device,
    beam_size: int,
    most: int | None,
) -> Metrics:
    loss = mean_nll(model, examples, device)
    metrics: Metrics = {"loss": loss, "perplexity": math.exp(min(loss, 700.0)), "num_examples": len(examples)}
    if has_one_answer(examples):
        target = features.sequence_target
        metrics |= scores_of(transcribe(model, examples, target, device, beam_size, most, pooled=False), features)
    return metrics
