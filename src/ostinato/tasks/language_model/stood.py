"""Words of the validation text as in the data, also those that the vocabulary does not hold."""

from __future__ import annotations

import numpy as np

from ostinato.arrays import Ids
from ostinato.data.dataset import Features, Prepared
from ostinato.data.loading import read_examples
from ostinato.data.rejects import BadRows
from ostinato.data.vocabulary import END_ID, UNK_ID


def words_that_stood(prepared: Prepared, start: int, count: int) -> list[str] | None:
    """Words `start` … `start + count - 1` of the validation text, read again; `<end>` is left out.

    None where nothing is unknown among them, where tokens are no words, and where the data have changed.
    """
    feature, data, values = prepared.features.text, prepared.recipe.data, prepared.validation.sequences.values
    wanted = values[start : start + count]
    if feature.recipe.unit != "words" or not (wanted == UNK_ID).any():
        return None
    share = isinstance(data.validation, float)
    text = np.concatenate([prepared.train.sequences.values, values]) if share else values
    number = _words(text[: len(text) - len(values) + start])
    reference, where = (data.train, data.where) if share else (data.validation, data.validation_where)
    rows = read_examples(
        str(reference), Features(feature), prepared.recipe, BadRows("skip"), lambda _: None, "data", where, whole=True
    )
    offsets = rows.sequences.offsets
    if offsets[-1] != _words(text):
        return None
    first, last = int(np.searchsorted(offsets, number, side="right")) - 1, number + _words(wanted)
    stop = int(np.searchsorted(offsets, last, side="left"))
    found = feature.words_of([rows.preview(row) for row in range(first, stop)])
    if len(found) != offsets[stop] - offsets[first]:  # rows are cut: `max_length`
        return None
    return found[number - int(offsets[first]) :][: _words(wanted)]


def _words(values: Ids) -> int:
    return int((values != END_ID).sum())
