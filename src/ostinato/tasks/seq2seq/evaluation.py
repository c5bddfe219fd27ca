"""Evaluating, predicting and reporting of models that write a sequence: sequence to sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import nn

from ostinato.data.batching import BucketedBatches
from ostinato.data.dataset import Examples, Features
from ostinato.data.features import TextFeature
from ostinato.data.sequences import Sequences
from ostinato.errors import MissingLibraryError
from ostinato.layers.beam_search import Written
from ostinato.metrics.classification import Metrics
from ostinato.metrics.edit_distance import edit_distance
from ostinato.nn.modes import evaluating
from ostinato.tasks.beam_predictions import Begin, Ids, predictions_of, text_of, write
from ostinato.tasks.prediction import Prediction
from ostinato.tasks.seq2seq.model import Seq2Seq

_ROWS = 128
_MONITORED = 2_000


@dataclass(frozen=True)
class Transcript:
    """What was written for one source, beside all that would have been right.

    row: the first example of this source; sequences: the likeliest first; references: of every example of the source;
    nearest: the reference that what was written is nearest to; distance: its edits.
    """

    row: int
    sequences: tuple[Written, ...]
    references: tuple[Ids, ...]
    nearest: Ids
    distance: int

    @property
    def written(self) -> Ids:
        """The likeliest sequence."""
        return self.sequences[0].ids


def evaluate(model: nn.Module, examples: Examples, features: Features, device: torch.device) -> Metrics:
    """Loss, and error rates and BLEU of what beam search writes, as the recipe's decoder says.

    Sources that are equal are one: it is written once, and its references are pooled. Token error rate: edits to the
    nearest reference, over the tokens of those references · sequence error rate: share of sources for which no
    reference was hit · exact: the rest · BLEU: of the text, against all references (sacrebleu, 13a).
    """
    seq2seq = cast("Seq2Seq", model)
    found = transcribe(seq2seq, examples, device, seq2seq.tokens.beam_size)
    return {"loss": mean_nll(seq2seq, examples, device), **scores_of(found, features)}


def monitor(model: nn.Module, examples: Examples, features: Features, device: torch.device) -> Metrics:
    """As `evaluate`, quickly, for every epoch: greedy, and of at most 2,000 sources, evenly spaced; the loss of all."""
    seq2seq = cast("Seq2Seq", model)
    found = transcribe(seq2seq, examples, device, 1, most=_MONITORED)
    return {"loss": mean_nll(seq2seq, examples, device), **scores_of(found, features)}


def predict(model: nn.Module, examples: Examples, features: Features, device: torch.device) -> list[Prediction]:
    """What beam search writes for each row, and the other sequences it kept, each with its normalised ln p."""
    seq2seq = cast("Seq2Seq", model)
    return predictions_of(seq2seq, _begin(seq2seq), examples, features.target, device)


def transcribe(
    model: Seq2Seq, examples: Examples, device: torch.device, beam_size: int, most: int | None = None
) -> list[Transcript]:
    """What the model writes for each different source, in the order of their first rows."""
    rows_of = same_sources(examples)
    if most is not None and len(rows_of) > most:
        rows_of = [rows_of[i] for i in np.linspace(0, len(rows_of) - 1, most).astype(int).tolist()]
    targets = cast("Sequences", examples.targets)
    first = np.asarray([rows[0] for rows in rows_of])
    written = write(model, _begin(model), examples, first, device, beam_size)
    found: list[Transcript] = []
    for rows, sequences in zip(rows_of, written, strict=True):
        references = tuple(dict.fromkeys(tuple(targets.row(row).tolist()) for row in rows))
        distances = [edit_distance(reference, sequences[0].ids) for reference in references]
        best = int(np.argmin(distances))
        found.append(Transcript(rows[0], tuple(sequences), references, references[best], distances[best]))
    return found


def _begin(model: Seq2Seq) -> Begin:
    return lambda batch: model.begin(batch.inputs, batch.extra)


def same_sources(examples: Examples) -> list[list[int]]:
    """The rows of each different source, further columns counted in, in the order of their first ones."""
    found: dict[bytes, list[int]] = {}
    for row in range(len(examples)):
        found.setdefault(examples.given(row), []).append(row)
    return list(found.values())


def mean_nll(model: Seq2Seq, examples: Examples, device: torch.device) -> float:
    """-ln p a token of the targets, `<end>` counted, without label smoothing."""
    total, count = 0.0, 0
    with evaluating(model), torch.inference_mode():
        for batch in BucketedBatches(examples, _ROWS).epoch(0):
            batch = batch.to(device)
            nll = model.nll(batch.inputs, batch.sequence_targets, batch.extra).values
            total += float(nll.double().sum())
            count += len(nll)
    return total / max(count, 1)


def scores_of(found: Sequence[Transcript], features: Features) -> Metrics:
    """Error rates and, of words and subwords, BLEU."""
    num_tokens = sum(len(one.nearest) for one in found)
    wrong = sum(one.distance > 0 for one in found)
    metrics: Metrics = {
        "num_examples": len(found),
        "num_tokens": num_tokens,
        "token_error_rate": sum(one.distance for one in found) / max(num_tokens, 1),
        "sequence_error_rate": wrong / max(len(found), 1),
        "exact": 1 - wrong / max(len(found), 1),
    }
    target = features.target
    if isinstance(target, TextFeature) and target.recipe.unit != "characters":
        bleu = _bleu(found, target)
        if bleu is not None:
            metrics["bleu"] = bleu
    return metrics


def _bleu(found: Sequence[Transcript], target: TextFeature) -> float | None:
    """Corpus BLEU in 0 to 100; None where the target is words and sacrebleu is not there."""
    try:
        import sacrebleu
    except ImportError as error:
        if target.recipe.unit == "words":
            return None
        raise MissingLibraryError(
            "BLEU needs sacrebleu, which is not installed.", hint="pip install 'ostinato[text]'"
        ) from error
    most = max(len(one.references) for one in found)
    texts = [[text_of(reference, target) for reference in one.references] for one in found]
    streams = [[row[i] if i < len(row) else row[0] for row in texts] for i in range(most)]
    return float(sacrebleu.corpus_bleu([text_of(one.written, target) for one in found], streams, force=True).score)
