"""Evaluating and predicting of sequence-to-sequence models of tokens."""

from __future__ import annotations

import torch

from ostinato.data.dataset import Examples, Features
from ostinato.metrics.classification import Metrics
from ostinato.tasks.seq2seq.model import Seq2Seq
from ostinato.tasks.transcripts import mean_nll, scores_of, transcribe


def metrics_of(
    model: Seq2Seq, examples: Examples, features: Features, device: torch.device, beam_size: int, most: int | None
) -> Metrics:
    """Loss of all, and error rates and BLEU of what beam search writes, of at most so many sources, evenly spaced.

    Sources that are equal are one: it is written once, and its references are pooled. Token error rate: edits to the
    nearest reference, over the tokens of those references · sequence error rate: share of sources for which no
    reference was hit · exact: the rest · BLEU: of the text, against all references (sacrebleu, 13a).
    """
    found = transcribe(model, examples, features.sequence_target, device, beam_size, most)
    return {"loss": mean_nll(model, examples, device), **scores_of(found, features)}
