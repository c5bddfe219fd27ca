"""The report's section on data: counts, classes, lengths, vocabulary, rejected rows."""

from __future__ import annotations

import re
from typing import Any, cast

import numpy as np

from ostinato.arrays import Ids, Integers
from ostinato.data.dataset import Examples, Prepared
from ostinato.data.features import TextFeature
from ostinato.data.forecasting.windows import Windows, as_windows
from ostinato.data.targets import NamesTarget, NumberTarget
from ostinato.data.vocabulary import END, END_ID, SPECIAL, UNK_ID

Section = dict[str, Any]
MOST_CLASSES = 30
_MOST_TOKENS = 20
_MOST_REJECTED = 20
_VISIBLE = {" ": "␣", "\n": "↵", "\r": "␍", "\t": "⇥"}
_CHUNK = 1 << 24


def data_card(prepared: Prepared, notes: list[str], noun: str = "rows") -> Section:
    """The data section's facts.

    Args:
        prepared: the run's encoded data.
        notes: what was auto-detected when the run was trained.
        noun: what the rows are: rows, documents, windows.
    """
    from ostinato.report import plots

    lengths = _lengths(prepared, noun == "documents")
    card: Section = {
        "counts": _counts(prepared, noun == "documents"),
        "num_characters": 0 if prepared.features.input.suffixes else prepared.num_characters,  # cells name files
        "classes": _class_balance(prepared),
        "numbers": _number_balance(prepared),
        "notes": list(dict.fromkeys([*notes, *prepared.notes])),
        "num_rejected": prepared.num_rejected,
        "rejected": prepared.bad_rows.rows[:_MOST_REJECTED],
        "lengths": None,
        "noun": noun,
        "unit": prepared.features.input.step_noun + "s",
        "vocabulary": _vocabulary(prepared) if isinstance(prepared.features.input, TextFeature) else None,
    }
    if lengths is not None and len(lengths):
        limit = getattr(prepared.recipe.features.input, "max_length", None)
        card["lengths"] = _length_facts(lengths, limit)
        differ = lengths.min() < lengths.max()
        median, high = card["lengths"]["median"], card["lengths"]["high"]
        card["lengths"]["plot"] = (
            plots.lengths(lengths.astype(np.float64), median, high, _per_sequence(prepared)) if differ else None
        )
    return card


def token_counts(values: Ids, size: int) -> Integers:
    """How often each integer occurs; large mapped files are read in pieces."""
    counts = np.zeros(size, dtype=np.int64)
    for start in range(0, len(values), _CHUNK):
        counts += np.bincount(values[start : start + _CHUNK], minlength=size)
    return counts


def shown_token(feature: TextFeature, number: int) -> str:
    """A token made visible: spaces and line ends as symbols, subwords as their text."""
    token = feature.vocabulary.tokens[number]
    if token in SPECIAL:
        return "∎" if token == END else token
    if feature.tokenizer is not None:
        text = feature.decode(cast("Ids", np.asarray([number], dtype=np.int32)))
        token = token if not text or "\ufffd" in text else text
    return visible(token)


def detokenised(text: str) -> str:
    """Words that stand apart as people write them: `" hi , you ( 2 ) "` as `"hi, you (2)"`."""
    text = re.sub(r" +([,.;:!?%)\]}’”…]+(?= |$)|n't\b|['’](?:s|m|d|t|re|ve|ll)\b)", r"\1", text)
    text = re.sub(r"(^| )([(\[{‘“$£€#]) +", r"\1\2", text)
    return re.sub(r"(^| )\" ([^\"]*?) \"(?=[ ,.;:!?)]|$)", r'\1"\2"', text)


def visible(text: str) -> str:
    """A text whose spaces and line ends are signs."""
    return "".join(_VISIBLE.get(c, c if c.isprintable() else f"U+{ord(c):04X}") for c in text)


def class_targets(examples: Examples) -> Integers:
    """The classes of examples as integers."""
    return cast("Integers", examples.targets)


def _counts(prepared: Prepared, text: bool) -> list[Section]:
    rows = []
    for name, part in (("training", prepared.train), ("validation", prepared.validation)):
        values, count = part.sequences.values, len(part)
        if text:  # documents that end here, where there are some
            ended = int((values == END_ID).sum()) if prepared.features.documents else None
        told = prepared.features.input.ragged and not isinstance(part, Windows)  # windows read the same steps again
        rows.append({"name": name, "rows": ended if text else count, "tokens": len(values) if told else None})
    return rows


def _class_balance(prepared: Prepared) -> Section | None:
    target = prepared.features.target
    if not isinstance(target, NamesTarget):
        return None
    train, validation = prepared.train, prepared.validation
    counts = [target.rows_of_each(np.asarray(part.targets)) for part in (train, validation)]
    order = np.argsort(-counts[0], kind="stable")[:MOST_CLASSES] if len(target.classes) > MOST_CLASSES else None
    rows = [
        {
            "name": target.classes[k],
            "train": int(counts[0][k]),
            "train_share": counts[0][k] / max(len(train), 1),
            "validation": int(counts[1][k]),
            "validation_share": counts[1][k] / max(len(validation), 1),
        }
        for k in (range(len(target.classes)) if order is None else order.tolist())
    ]
    return {"rows": rows, "num_left_out": len(target.classes) - len(rows), "noun": target.noun}


def _number_balance(prepared: Prepared) -> list[Section] | None:
    target = prepared.features.target
    if not isinstance(target, NumberTarget):
        return None
    rows = []
    for name, part in (("training", prepared.train), ("validation", prepared.validation)):
        numbers = target.original(np.asarray(part.targets))
        quartiles = np.quantile(numbers, [0.0, 0.25, 0.5, 0.75, 1.0]).tolist()
        rows.append({"name": name, "mean": float(numbers.mean()), "std": float(numbers.std()), "quartiles": quartiles})
    return rows


def _lengths(prepared: Prepared, text: bool) -> Integers | None:
    """Tokens in each row or document, all data together; None for one running text, or one value a row."""
    if not prepared.features.input.ragged:
        return None
    if isinstance(prepared.train, Windows):
        series = as_windows(prepared.validation).sequences.lengths
        return series if len(series) > 1 else None
    if not text:
        return np.concatenate([prepared.train.sequences.lengths, prepared.validation.sequences.lengths])
    if not prepared.features.documents:
        return None
    stream = np.concatenate([prepared.train.sequences.values, prepared.validation.sequences.values])
    ends = np.flatnonzero(stream == END_ID)
    return np.diff(ends, prepend=-1) - 1


def _per_sequence(prepared: Prepared) -> str:
    """What a length counts: words, or frames of 10 ms."""
    feature = prepared.features.input
    return feature.timed_noun.replace(feature.step_noun, feature.step_noun + "s", 1)


def _length_facts(lengths: Integers, limit: int | None) -> Section:
    return {
        "median": float(np.median(lengths)),
        "high": float(np.quantile(lengths, 0.95)),
        "max": int(lengths.max()),
        "mean": float(lengths.mean()),
        "limit": limit,
        "share_at_limit": float((lengths >= limit).mean()) if limit else 0.0,
    }


def _vocabulary(prepared: Prepared) -> Section:
    from ostinato.report import plots

    feature = prepared.features.text
    counts = feature.vocabulary.counts.copy()
    total = max(int(counts.sum()), 1)
    counts[: len(SPECIAL)] = 0
    order = np.argsort(-counts, kind="stable")
    seen = order[counts[order] > 0]
    shares = np.cumsum(counts[seen]) / total
    validation = prepared.validation.sequences.values
    unknown = sum(
        int((validation[start : start + _CHUNK] == UNK_ID).sum()) for start in range(0, len(validation), _CHUNK)
    )

    def listed(ids: Integers) -> list[Section]:
        return [{"token": shown_token(feature, int(i)), "count": int(counts[i])} for i in ids]

    steps = [k for k in (10, 100, 1000, 10_000, 100_000) if k < len(seen)]
    return {
        "unit": feature.recipe.unit,
        "size": len(feature.vocabulary),
        "num_once": int((counts == 1).sum()),
        "unknown_training": int(feature.vocabulary.counts[UNK_ID]) / total,
        "unknown_validation": unknown / max(len(validation), 1),
        "covered": [{"tokens": k, "share": float(shares[k - 1])} for k in steps],
        "most": listed(seen[:_MOST_TOKENS]),
        "least": listed(_rarest(seen[_MOST_TOKENS:], counts)),
        "plot": plots.coverage(shares) if len(seen) > 1 else None,
    }


def _rarest(seen: Integers, counts: Integers) -> Integers:
    """Some of the rarest tokens; evenly picked where more are equally rare than can be shown."""
    equal = seen[counts[seen] == counts[seen[-1]]] if len(seen) else seen
    if len(equal) <= _MOST_TOKENS:
        return seen[-_MOST_TOKENS:]
    picked: Integers = equal[np.linspace(0, len(equal) - 1, _MOST_TOKENS).astype(int)]
    return picked
