"""The portfolio of a classifier: a configuration by the shape of its data, each with its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ostinato.recipe import Recipe
from ostinato.tasks.plan import ANNEALED, FEW, Plan, Shape

_SERIES: dict[str, Any] = {
    **ANNEALED,
    "model.cell": "gru",
    "model.hidden_size": 16,
    "model.bidirectional": True,
    "model.pooling": ["last", "max", "mean"],
    "model.convolution.channels": [64, 128, 64],
    "training.batch_size": 16,
}
"""Vectors a step: 18 UCR sets, see docs/results.md."""

_TOKENS: dict[str, Any] = {
    **ANNEALED,
    "model.bidirectional": True,
    "model.pooling": ["max", "mean"],
    "model.hidden_dropout": 0.3,
}
"""Words and letters. Everything below was chosen on a third held out of training parts (`benchmarks/auto.py --folds 3`,
its first fold), in %."""

_WORDS: dict[str, Any] = {
    **_TOKENS,
    "features.input.punctuation": "keep",
    "model.hidden_size": 64,
    "model.word_dropout": 0.3,
    "model.head_dropout": 0.5,
    "model.ngrams": 2,
    "model.ngram_letters": 5,
}
"""Sentences (6,384 of `polarity`) 77.4, NB-SVM 76.9; 3,333 of `genres` 71.1, of `subjects` 50.4, the better of TF-IDF
and NB-SVM 68.0 and 48.0. With an earlier form of the n-grams sentences 77.7, without words seen once 76.0, labels
smoothed by 0.2 76.6."""

_LETTERS: dict[str, Any] = {
    **_TOKENS,
    "model.embedding_dim": 48,
    "model.embedding_std": 0.5,
    "model.head_dropout": 0.3,
    "model.ngrams": 4,
}
"""Names (10,795 of 18 languages) 82.0, TF-IDF of letters 79.3."""

_NUCLEOTIDES: dict[str, Any] = {**_SERIES, "model.input_dropout": 0.2, "model.head_dropout": 0.3}
"""With k-mers and their places: splice sites (1,804) 95.9, `_SERIES` alone 76.3; promoters (2,304) 92.9, 92.6, TF-IDF
of letters 90.6."""

_CLIPS: dict[str, Any] = {
    **ANNEALED,
    "features.input.size": [16, 16],
    "model.cell": "gru",
    "model.hidden_size": 32,
    "model.bidirectional": True,
    "model.pooling": ["mean", "max"],
    "model.frames.channels": [8, 16],
    "model.frames.output_size": 32,
    "model.frames.dropout": 0.3,
    "model.head_dropout": 0.5,
    "training.batch_size": 16,
    "training.optimizer": "adamw",
    "training.weight_decay": 0.05,
}
"""Video. With motion alone, 172 clips of fights, on 59 of other scenes: 69.5 %, motion and pixels of 32 × 32 66.1, a
budget alone (pixels of 64 × 64; two minutes do 62 steps of 500) 59.3; a standard error is 6 points."""

_LEAST_KERNELS, _MOST_SUMS = 840, 20_000_000_000
_MOST_MEMBERS, _MEMBERS_S = 3, 90.0
"""Of six UCR sets on a third held out of the training part, the recurrent path alone: one network 81.0 %, the mean of
two 82.7, of three 83.1. Text does not gain: sentences 77.9 and, of three, 77.7, subjects 48.8 and 49.4."""
_STEP_S, _VALUE_S = 0.008, 8.5e-6
"""Seconds of a step, and more for each value of a row in it."""
_KMER = 3
_MOST_PLACES = 64
_MOST_WEIGHTS = 1 << 22


def _buckets(shape: Shape) -> int:
    """Some for each token, a power of two; fewer where each has a weight for many classes."""
    outputs = shape.classes if shape.classes > 2 else 1
    wanted, most = 8 * shape.steps, _MOST_WEIGHTS // outputs
    return 1 << max(10, min(wanted, most).bit_length() - 1)


def plan(shape: Shape, recipe: Recipe) -> Plan:
    """By what a step is, and how many rows there are."""
    last = FEW if shape.is_small else {}
    source = recipe.features.input
    if source.kind == "text":
        name, options = ("words", _WORDS) if source.unit == "words" else ("letters", _LETTERS)
        return Plan(name, {**options, "model.ngram_buckets": _buckets(shape), **last}, reread=source.unit == "words")
    if source.kind == "dna":
        return _dna(shape, last)
    if source.kind == "video":
        motion = {"features.input.motion": "only"} if shape.shortest > 1 else {}
        return Plan("clips", {**_CLIPS, **motion, **last}, reread=True)
    if shape.form == "vectors":
        kernels = {"model.random_kernels": _kernels(shape)} if shape.classes else {}
        steps = 500 + 50 * shape.classes
        return Plan("series", {**_SERIES, **kernels, **_members(shape, steps), **last}, steps=steps)
    return Plan("rows", {**ANNEALED, **last})


def _members(shape: Shape, steps: int) -> dict[str, Any]:
    """As many networks, up to three, as a quiet core trains in a minute and a half, twice where rows are few."""
    each = steps * (_STEP_S + _SERIES["training.batch_size"] * shape.typical * _VALUE_S)
    count = min(_MOST_MEMBERS, int(_MEMBERS_S / (each * (2 if shape.is_small else 1))))
    return {"model.members": count} if count > 1 else {}


def _kernels(shape: Shape) -> int:
    """As many random convolutions as their source has, fewer of many rows: the ridge takes their number cubed, and all
    are found for each row."""
    usual, few = 9_996, 2_520
    most = few if shape.rows > few else usual
    return max(_LEAST_KERNELS, min(most, _MOST_SUMS // max(shape.steps, 1)))


def _dna(shape: Shape, last: Mapping[str, Any]) -> Plan:
    """K-mers, where every row has one; with their places in windows, which are all as long."""
    kmers: dict[str, Any] = {"features.input.k": _KMER} if shape.shortest >= _KMER else {}
    windows = shape.shortest == shape.longest >= 2 * _KMER
    places: dict[str, Any] = {"features.input.positions": min(_MOST_PLACES, shape.longest // 2)} if windows else {}
    return Plan(
        "windows of nucleotides" if windows else "nucleotides", {**_NUCLEOTIDES, **kmers, **places, **last}, reread=True
    )
