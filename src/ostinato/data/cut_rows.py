"""Long rows cut into shorter ones, for training."""

from __future__ import annotations

import numpy as np

from ostinato.data.dataset import Examples
from ostinato.data.sequences import Sequences, within
from ostinato.errors import DataError


def cut_rows(examples: Examples, max_length: int) -> Examples:
    """Rows of at most `max_length` steps: a longer one becomes as few as possible, of nearly equal length.

    Nothing is copied, and each part is still named by the place of its row.

    Args:
        examples: without targets and further columns.
        max_length: steps, >= 1.

    Raises:
        DataError: for examples with targets or further columns, which would have to be cut, too.
    """
    if examples.targets is not None or examples.extra:
        raise DataError("rows with targets or further columns can't be cut into shorter ones.")
    sequences = examples.sequences
    lengths = sequences.lengths
    parts = np.maximum(-(-lengths // max_length), 1)
    of_row = np.repeat(np.arange(len(lengths)), parts)
    ends = sequences.offsets[of_row] + (within(parts) + 1) * lengths[of_row] // parts[of_row]
    offsets = np.concatenate([sequences.offsets[:1], ends]).astype(np.int64)
    return Examples(Sequences(sequences.values, offsets), None, examples.places, examples.rows[of_row])
