"""Spans of words (chunks, names) written as tags a word: B-NP I-NP O …; scored as the program conlleval does."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ostinato.metrics.classification import f1_of, precision_recall
from ostinato.metrics.resampling import SUMS, Sums, Units, ratio

_TAG = re.compile(r"^([BIESLUMW])(?:[-_](.+))?$")
_SAME_AS = {"L": "E", "U": "S", "M": "I", "W": "S"}
"""Last, unit (BILOU), middle and whole (BMES, BMEWO) in the letters of IOBES."""
_OUTSIDE = "O"
_UNTYPED = "span"


class Span(NamedTuple):
    """Words `start` to `end` (not included) are a span of a type."""

    type: str
    start: int
    end: int


def are_span_tags(names: Iterable[str]) -> bool:
    """Whether tags look like spans, `B-PER`, or `B` where there are no types.

    All are O or begin with a letter of IOB, IOBES, BILOU, BMES or BMEWO, and one at least says its scheme: with B, I or
    U beside a type; without types, with B among others with I, M, E or L.
    """
    read = {name: _read(name) for name in names}
    if any(prefix == _OUTSIDE and name != _OUTSIDE for name, (prefix, _) in read.items()):
        return False
    prefixes = {prefix for prefix, _ in read.values()}
    if any(type == _UNTYPED for _, type in read.values()):
        return "B" in prefixes and bool(prefixes & {"I", "E"})
    return bool(prefixes & {"B", "I"}) or any(name.startswith("U") for name in read)


def _read(tag: str) -> tuple[str, str]:
    """The tag as one of IOBES, and its type; O for what is no tag of a span."""
    match = _TAG.match(tag)
    if match is None:
        return _OUTSIDE, ""
    return _SAME_AS.get(match[1], match[1]), match[2] or _UNTYPED


def spans_of(tags: Sequence[str]) -> list[Span]:
    """The spans of a sentence, in order.

    As conlleval has it, any sequence of tags is one of spans: an I- that follows O, or another type, begins a span as a
    B- would (so IOB1, IOB2 and IOBES files are all read), and a span ends where its type changes. BILOU's L and U, and
    M and W of BMES and BMEWO, are read as E, S, I and S of IOBES.

    Source: E. Tjong Kim Sang, conlleval.pl (CoNLL-2000 shared task), `startOfChunk` and `endOfChunk`; S- as in its
    later versions.

    Example:
        >>> spans_of(["B-NP", "I-NP", "B-NP", "O", "I-PP"])
        [Span(type='NP', start=0, end=2), Span(type='NP', start=2, end=3), Span(type='PP', start=4, end=5)]
        >>> spans_of(["U-PER", "O", "B-ORG", "L-ORG"])
        [Span(type='PER', start=0, end=1), Span(type='ORG', start=2, end=4)]
    """
    found: list[Span] = []
    begun, before, before_type = 0, _OUTSIDE, ""
    for place, tag in enumerate([*tags, _OUTSIDE]):
        prefix, type = _read(tag)
        if before != _OUTSIDE and (prefix in "OBS" or before in "ES" or type != before_type):
            found.append(Span(before_type, begun, place))
        if prefix != _OUTSIDE and (prefix in "BS" or before in "OES" or type != before_type):
            begun = place
        before, before_type = prefix, type
    return found


def span_scores(truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Precision, recall and F1 of spans over all sentences, and of each type; right are start, end and type together.

    Returns `precision`, `recall`, `f1`, `num_spans`, and `per_span`: rows of name, precision, recall, f1, support; and
    the sums that they are made of.
    """
    right: Counter[str] = Counter()
    said: Counter[str] = Counter()
    there: Counter[str] = Counter()
    by_row = np.zeros((3, len(truth)))
    for row, (tags, guesses) in enumerate(zip(truth, predicted, strict=True)):
        wanted, found = spans_of(tags), spans_of(guesses)
        both = set(wanted) & set(found)
        there.update(span.type for span in wanted)
        said.update(span.type for span in found)
        right.update(span.type for span in both)
        by_row[:, row] = len(both), len(found), len(wanted)
    rows = [
        {"name": type, **precision_recall(right[type], said[type], there[type]), "support": there[type]}
        for type in sorted({*there, *said})
    ]
    return {
        **precision_recall(right.total(), said.total(), there.total()),
        "num_spans": there.total(),
        "per_span": rows,
        SUMS: Sums(
            Units.rows(len(truth)).sums(*by_row),
            {"precision": ratio(0, 1), "recall": ratio(0, 2), "f1": f1_of(0, 1, 2)},
        ),
    }
