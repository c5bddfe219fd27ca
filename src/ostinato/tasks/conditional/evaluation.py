"""Evaluating of models that write tokens for one value: one to many."""

from __future__ import annotations

import math

import torch

from ostinato.data.dataset import Examples, Features
from ostinato.metrics.classification import Metrics
from ostinato.tasks.conditional.model import Conditional
from ostinato.tasks.given import has_one_answer
from ostinato.tasks.transcripts import mean_nll, scores_of, transcribe


def metrics_of(
    model: Conditional, examples: Examples, features: Features, device: torch.device, beam_size: int, most: int | None
) -> Metrics:
    """Loss, perplexity and, where there is one right sequence for what is given, error rates of beam search, of at most
    so many rows, evenly spaced.

    A condition counts as having one right sequence if there are at most 1.5 different ones per value on average; where
    one value has many (the names of a language), a written sequence can't be right or wrong. Perplexity: e to the loss,
    which is nats a token, `<end>` counted. Error rates as of `tasks.transcripts`, a row each.
    """
    loss = mean_nll(model, examples, device)
    metrics: Metrics = {"loss": loss, "perplexity": math.exp(min(loss, 700.0)), "num_examples": len(examples)}
    if has_one_answer(examples):
        target = features.sequence_target
        metrics |= scores_of(transcribe(model, examples, target, device, beam_size, most, pooled=False), features)
    return metrics
