"""Evaluating and predicting of sequence-to-sequence models of tokens."""

from __future__ import annotations

import torch

from ostinato.data.dataset import Examples, Features
from ostinato.metrics.classification import Metrics
from ostinato.tasks.seq2seq.model import Seq2Seq
from ostinato.tasks.transcripts import MONITORED, mean_nll, scores_of, transcribe


def evaluate(model: Seq2Seq, examples: Examples, features: Features, device: torch.device) -> Metrics:
    """Loss, and error rates and BLEU of what beam search writes, as the recipe's decoder says.

    Sources that are equal are one: it is written once, and its references are pooled. Token error rate: edits to the
    nearest reference, over the tokens of those references · sequence error rate: share of sources for which no
    reference was hit · exact: the rest · BLEU: of the text, against all references (sacrebleu, 13a).
    """
    found = transcribe(model, examples, features.sequence_target, device, model.tokens.beam_size)
    return {"loss": mean_nll(model, examples, device), **scores_of(found, features)}


def monitor(model: Seq2Seq, examples: Examples, features: Features, device: torch.device) -> Metrics:
    """As `evaluate`, quickly, for every epoch: greedy, and of at most 2,000 sources, evenly spaced; the loss of all."""
    found = transcribe(model, examples, features.sequence_target, device, 1, most=MONITORED)
    return {"loss": mean_nll(model, examples, device), **scores_of(found, features)}
