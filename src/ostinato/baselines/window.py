"""What surrounds each step, as columns of a linear model."""

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.arrays import Array
from ostinato.baselines.counting import token_rows
from ostinato.data.sequences import Sequences

_REACH = 2
_WIDTH = 1 << 18


def around(sequences: Sequences) -> Any:
    """(sum L, F), what is within two steps of each step: numbers and notes as they are; of tokens, sparse, a hashed
    column for each at each distance."""
    from scipy.sparse import csr_array

    at = np.arange(len(sequences.values))
    begins = np.repeat(sequences.offsets[:-1], sequences.lengths)
    ends = np.repeat(sequences.offsets[1:], sequences.lengths)
    shifts = range(-_REACH, _REACH + 1)
    places = np.stack([at + shift for shift in shifts], axis=1)
    inside = (places >= begins[:, None]) & (places < ends[:, None])
    if sequences.values.ndim == 2 and (sequences.values.dtype.kind == "f" or sequences.values.dtype == np.uint8):
        near = sequences.values[np.clip(places, 0, len(at) - 1)] * inside[:, :, None]
        return np.asarray(near.reshape(len(at), -1))
    columns = _columns(token_rows(sequences).values, sequences.values, places, inside)
    rows = np.repeat(at, columns.shape[1]).astype(np.int32)  # scikit-learn takes no wider ones
    return csr_array(
        (np.ones(columns.size, dtype=np.float32), (rows, columns.astype(np.int32).ravel())), (len(at), _WIDTH)
    )


def _columns(tokens: Array, values: Array, places: Array, inside: Array) -> Array:
    near = np.where(inside, tokens[np.clip(places, 0, len(tokens) - 1)], -1).astype(np.int64) + 1
    keys = near * 31 + np.arange(near.shape[1])
    if values.ndim == 2:  # words with their characters: the ends of the word, too
        letters = values[:, 1:].astype(np.int64)
        lengths = (letters > 0).sum(axis=1)
        tail = [letters[np.arange(len(letters)), np.maximum(lengths - k, 0)] for k in (1, 2, 3)]
        ends = [tail[0], tail[0] * 1009 + tail[1], (tail[0] * 1009 + tail[1]) * 1009 + tail[2]]
        heads = [letters[:, 0], letters[:, 0] * 1009 + letters[:, min(1, letters.shape[1] - 1)]]
        extra = [key * 31 + 11 + number for number, key in enumerate([*ends, *heads])]
        keys = np.concatenate([keys, np.stack(extra, axis=1)], axis=1)
    return np.asarray((keys * 2654435761 >> 7) % _WIDTH)
