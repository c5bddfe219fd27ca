"""What models that write a sequence write for rows of data: beam search, batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import torch

from ostinato.arrays import Offsets
from ostinato.data.batching import Batch, BucketedBatches
from ostinato.data.dataset import Examples
from ostinato.data.features import Feature
from ostinato.layers.beam_search import Written, beam_search
from ostinato.layers.decoder import Writing
from ostinato.nn.modes import evaluating
from ostinato.tasks.conditional.model import Conditional
from ostinato.tasks.prediction import Prediction
from ostinato.tasks.seq2seq.model import Seq2Seq

Ids = tuple[int, ...]
Begin = Callable[[Batch], Writing]
"""From the batch that is read or given to where its sequences begin."""
_ROWS = 128


def write(
    model: Seq2Seq | Conditional,
    begin: Begin,
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
                begin(batch.to(device)),
                beam_size=beam_size,
                length_penalty=options.length_penalty,
                max_new_tokens=options.longest,
            )
            for row, sequences in zip(batch.rows.tolist(), written, strict=True):
                found[row] = sequences
    return found


def predictions_of(
    model: Seq2Seq | Conditional, begin: Begin, examples: Examples, target: object, device: torch.device
) -> list[Prediction]:
    """What is written for each row, and the other sequences that beam search kept, each with its normalised ln p."""
    feature = cast("Feature", target)
    found = write(model, begin, examples, np.arange(len(examples)), device, model.tokens.beam_size)
    return [
        Prediction(
            text=text_of(sequences[0].ids, feature),
            candidates=tuple((text_of(one.ids, feature), round(one.score, 6)) for one in sequences),
        )
        for sequences in found
    ]


def text_of(ids: Ids, target: Feature) -> str:
    """A written sequence as a user knows it."""
    return str(target.decode(np.asarray(ids, dtype=np.int32)))
