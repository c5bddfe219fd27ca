"""Evaluating of models that write tokens for one value: one to many."""

from __future__ import annotations

import math

import torch

from ostinato.arrays import Floats, Integers
from ostinato.data.dataset import Examples, Features
from ostinato.metrics.classification import Metrics, token_sums
from ostinato.metrics.resampling import SUMS, Units
from ostinato.tasks.conditional.model import Conditional
from ostinato.tasks.given import has_one_answer
from ostinato.tasks.transcripts import nll_of_rows, scores_of, transcribe


def metrics_of(
    model: Conditional, examples: Examples, features: Features, device: torch.device, beam_size: int, most: int | None
) -> Metrics:
    """Loss, perplexity and, where there is one reference for what is given, error rates of beam search, of at most
    so many rows, evenly spaced.

    A condition counts as having one reference if there are at most 1.5 different ones per value on average; where
    one value has many (the names of a language), a written sequence can't be right or wrong. Perplexity: e to the loss,
    which is nats a token, `<end>` counted. Error rates as of `tasks.transcripts`, a row each.
    """
    nll, counts = nll_of_rows(model, examples, device)
    metrics = given_metrics(nll, counts) | {"num_examples": len(examples)}
    if has_one_answer(examples):
        target = features.sequence_target
        written = scores_of(transcribe(model, examples, target, device, beam_size, most, pooled=False), features)
        metrics |= {**written, SUMS: written[SUMS].beside(metrics[SUMS])}
    return metrics


def given_metrics(nll: Floats, counts: Integers) -> Metrics:
    """Loss, the same as nats a token, and perplexity, of each row's -ln p and its tokens, (N,)."""
    mean = float(nll.sum() / max(counts.sum(), 1))
    sums = token_sums(nll, counts, Units.rows(len(nll)), "loss")
    return {"loss": mean, "nats_per_token": mean, "perplexity": math.exp(min(mean, 700.0)), SUMS: sums}
