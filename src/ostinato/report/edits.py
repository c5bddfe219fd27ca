"""The edits that turn reference sequences into the written ones, as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ostinato.data.features import Feature, TextFeature
from ostinato.metrics.edit_distance import align
from ostinato.report.data import Section, shown_token, visible

_MIXUPS = 16


Piece = int | str
"""An integer of the target's, or a word or character as it is spelled."""


def mixups_of(pairs: Sequence[tuple[Sequence[Piece], Sequence[Piece]]], target: Feature) -> list[Section]:
    """The most frequent edits between reference and written sequences: the right token, and what was written
    instead."""
    counts: Counter[tuple[Piece | None, Piece | None]] = Counter()
    for right, written in pairs:
        counts.update(edit for edit in align(right, written) if edit[0] != edit[1])
    return [
        {"right": shown_step(right, target), "written": shown_step(written, target), "count": count}
        for (right, written), count in sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))[:_MIXUPS]
    ]


def shown_step(number: Piece | None, target: Feature) -> str | None:
    """A step of a sequence made visible."""
    if number is None:
        return None
    if isinstance(number, str):
        return visible(number)
    return (
        shown_token(target, number)
        if isinstance(target, TextFeature)
        else str(target.decode(np.asarray([number], dtype=np.int32)))
    )
