"""Transcripts of models that write tokens: written and reference sequences, beam search, error rates, BLEU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch

from ostinato.arrays import Offsets
from ostinato.data.batching import Batch, BucketedBatches
from ostinato.data.dataset import Examples, Features
from ostinato.data.features import Feature, TextFeature
from ostinato.errors import MissingLibraryError
from ostinato.layers.beam_search import Written, beam_search
from ostinato.layers.decoder import Writing
from ostinato.layers.writer import SequenceWriter
from ostinato.metrics.classification import Metrics
from ostinato.metrics.edit_distance import edit_distance
from ostinato.metrics.prediction import Prediction
from ostinato.metrics.resampling import SUMS, Numbers, Sums, Units
from ostinato.metrics.steps import edit_metrics
from ostinato.nn.modes import evaluating
from ostinato.report.data import detokenised
from ostinato.tasks.given import rows_by_given

Ids = tuple[int, ...]
Pieces = tuple[Any, ...]
"""Words, characters, or integers of subwords."""
_ROWS = 128
_SCORED = 256


@dataclass(frozen=True)
class Transcript:
    """What was written for one source, and its references.

    row: the first example of this source; sequences: the likeliest first; references: of every example of the source,
    as in the file; nearest: the one that what was written is nearest to; right, said: this one and what was
    written, cut into pieces; distance: their edits.
    """

    row: int
    sequences: tuple[Written, ...]
    references: tuple[str, ...]
    nearest: str
    right: Pieces
    said: Pieces
    distance: int

    @property
    def written(self) -> Ids:
        """The likeliest sequence."""
        return self.sequences[0].ids


def begin(model: SequenceWriter, batch: Batch) -> Writing:
    """The state before a batch is written."""
    return model.begin(batch.inputs, batch.extra)


def write(
    model: SequenceWriter,
    examples: Examples,
    rows: Offsets,
    device: torch.device,
    beam_size: int,
) -> list[list[Written]]:
    """Beam search for some rows, in their order."""
    options = model.options
    found: list[list[Written]] = [[] for _ in rows]
    with evaluating(model), torch.inference_mode():
        for batch in BucketedBatches(examples.take(rows), _ROWS).epoch(0):
            written = beam_search(
                model.tokens,
                begin(model, batch.to(device)),
                beam_size=beam_size,
                length_penalty=options.length_penalty,
                max_new_tokens=options.longest,
            )
            for row, sequences in zip(batch.rows.tolist(), written, strict=True):
                found[row] = sequences
    return found


def predictions_of(model: SequenceWriter, examples: Examples, target: object, device: torch.device) -> list[Prediction]:
    """What is written for each row, and the other sequences that beam search kept, each with its normalised ln p."""
    feature = cast("Feature", target)
    found = write(model, examples, np.arange(len(examples)), device, model.tokens.beam_size)
    return [
        Prediction(
            text=text_of(sequences[0].ids, feature),
            candidates=tuple((text_of(one.ids, feature), round(one.score, 6)) for one in sequences),
        )
        for sequences in found
    ]


def text_of(ids: Ids, target: Feature) -> str:
    """A written sequence, decoded."""
    found = target.decode(np.asarray(ids, dtype=np.int32))
    return " ".join(found) if isinstance(found, list) else str(found)


def readable(ids: Ids, target: Feature) -> str:
    """A written sequence as people write it: no blanks before the punctuation of a text."""
    text = text_of(ids, target)
    return detokenised(text) if isinstance(target, TextFeature) and target.recipe.unit == "words" else text


def transcribe(
    model: SequenceWriter,
    examples: Examples,
    target: Feature,
    device: torch.device,
    beam_size: int,
    most: int | None = None,
    *,
    pooled: bool = True,
) -> list[Transcript]:
    """The transcripts of rows; of at most so many, evenly spaced.

    pooled: rows with the same source are one, in order of first occurrence: it is written once, and any of their
    targets is right.
    """
    groups = list(rows_by_given(examples).values()) if pooled else [[row] for row in range(len(examples))]
    if most is not None and len(groups) > most:
        groups = [groups[i] for i in np.linspace(0, len(groups) - 1, most).astype(int).tolist()]
    written = write(model, examples, np.asarray([rows[0] for rows in groups]), device, beam_size)
    references = [tuple(dict.fromkeys(reference_of(examples, row, target) for row in rows)) for rows in groups]
    return compared([rows[0] for rows in groups], [tuple(one) for one in written], references, target)


def reference_of(examples: Examples, row: int, target: Feature) -> str:
    """What would have been right for a row: the text of the file."""
    stood = examples.places.target(int(examples.rows[row]))
    return text_of(tuple(examples.target_sequences.row(row).tolist()), target) if stood is None else stood


def compared(
    rows: Sequence[int],
    written: Sequence[tuple[Written, ...]],
    references: Sequence[tuple[str, ...]],
    target: Feature,
) -> list[Transcript]:
    """What was written for each of some rows, beside the reference it is nearest to."""
    cut = iter(target.pieces_of([one for several in references for one in several]))
    found: list[Transcript] = []
    for row, sequences, texts in zip(rows, written, references, strict=True):
        said = target.pieces(np.asarray(sequences[0].ids, dtype=np.int32))
        pieces = [next(cut) for _ in texts]
        distances = [edit_distance(one, said) for one in pieces]
        best = int(np.argmin(distances))
        found.append(Transcript(row, sequences, texts, texts[best], pieces[best], said, distances[best]))
    return found


def mean_nll(model: SequenceWriter, examples: Examples, device: torch.device) -> float:
    """-ln p a token of the targets, `<end>` counted, without label smoothing."""
    total, count = nll_of_rows(model, examples, device)
    return float(total.sum() / max(count.sum(), 1))


def nll_of_rows(
    model: SequenceWriter, examples: Examples, device: torch.device
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """-ln p of each row's target, (N,), and its tokens, `<end>` counted, (N,)."""
    totals = np.zeros(len(examples))
    with evaluating(model), torch.inference_mode():
        for batch in BucketedBatches(examples, _SCORED).epoch(0):
            here = batch.to(device)
            nll = model.nll(here.inputs, here.sequence_targets, here.extra)
            totals[batch.rows] = [float(row.double().sum()) for row in nll.split_rows()]
    return totals, examples.target_sequences.lengths + 1


def scores_of(found: Sequence[Transcript], features: Features) -> Metrics:
    """Error rates and, of words and subwords, BLEU; against the references as in the file."""
    metrics = edit_metrics([one.distance for one in found], [len(one.right) for one in found])
    target = features.target
    if isinstance(target, TextFeature) and target.recipe.unit != "characters":
        bleu = _bleu(found, target)
        if bleu is not None:
            metrics |= {"bleu": bleu.of("bleu"), SUMS: metrics[SUMS].beside(bleu)}
    return metrics


def _bleu(found: Sequence[Transcript], target: TextFeature) -> Sums | None:
    """Corpus BLEU in 0 to 100 (Papineni et al. 2002), as sacrebleu computes it, and what it is made of; None where the
    target is words and sacrebleu is not there."""
    try:
        from sacrebleu.metrics.bleu import BLEU, BLEUScore
    except ImportError as error:
        if target.recipe.unit == "words":
            return None
        raise MissingLibraryError(
            "BLEU needs sacrebleu, which is not installed.", hint="pip install 'ostinato[text]'"
        ) from error
    scorer = BLEU(force=True, effective_order=True)  # of one sentence; the sums below are scored as a corpus
    each: list[BLEUScore] = [scorer.sentence_score(text_of(one.written, target), one.references) for one in found]
    counts = np.asarray([[*one.counts, *one.totals, one.sys_len, one.ref_len] for one in each], dtype=np.float64)

    def corpus(sums: Numbers) -> float:
        *matches, said, there = np.rint(sums).astype(np.int64).tolist()
        orders = len(matches) // 2
        return float(BLEU.compute_bleu(matches[:orders], matches[orders:], said, there, smooth_method="exp").score)

    values = Units.rows(len(each)).sums(counts)
    return Sums(values, {"bleu": lambda sums: np.apply_along_axis(corpus, -1, sums)})
