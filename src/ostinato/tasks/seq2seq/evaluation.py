"""Evaluating and predicting of sequence-to-sequence models of tokens."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from ostinato.data.dataset import Examples, Features
from ostinato.layers.writer import SequenceWriter
from ostinato.metrics.classification import Metrics
from ostinato.tasks.transcripts import MONITORED, mean_nll, scores_of, transcribe


def evaluate(model: nn.Module, examples: Examples, features: Features, device: torch.device) -> Metrics:
    """Loss, and error rates and BLEU of what beam search writes, as the recipe's decoder says.

    Sources that are equal are one: it is written once, and its references are pooled. Token error rate: edits to the
    nearest reference, over the tokens of those references · sequence error rate: share of sources for which no
    reference was hit · exact: the rest · BLEU: of the text, against all references (sacrebleu, 13a).
    """
    writer = cast("SequenceWriter", model)
    found = transcribe(writer, examples, device, writer.tokens.beam_size)
    return {"loss": mean_nll(writer, examples, device), **scores_of(found, features)}


def monitor(model: nn.Module, examples: Examples, features: Features, device: torch.device) -> Metrics:
    """As `evaluate`, quickly, for every epoch: greedy, and of at most 2,000 sources, evenly spaced; the loss of all."""
    writer = cast("SequenceWriter", model)
    found = transcribe(writer, examples, device, 1, most=MONITORED)
    return {"loss": mean_nll(writer, examples, device), **scores_of(found, features)}
