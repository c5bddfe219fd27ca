"""Tokens and their integers: `<pad>` 0, `<unk>` 1, then by frequency.

A *builder* gives every new token a provisional integer in order of appearance, so that a file is read and split once; when
all is read, one table turns provisional integers into final ones (most frequent first, rare ones into `<unk>`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import polars as pl
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from ostinato.errors import DataError

PAD, UNK, END = "<pad>", "<unk>", "<end>"
PAD_ID, UNK_ID, END_ID = 0, 1, 2
SPECIAL = (PAD, UNK, END)
Ids = np.ndarray[tuple[int], np.dtype[np.int32]]
Counts = np.ndarray[tuple[int], np.dtype[np.int64]]
_CODEPOINTS = 0x110000


class Vocabulary:
    """Final tokens in order of their integers, with how often training data held each.

    Args:
        tokens: `<pad>`, `<unk>`, `<end>`, then by frequency (ties: alphabetical).
        counts: occurrences in the training data; `<unk>` holds those of all rarer tokens.
    """

    def __init__(self, tokens: Sequence[str], counts: Sequence[int]) -> None:
        self.tokens = list(tokens)
        self.counts = np.asarray(counts, dtype=np.int64)
        self._enum = pl.Enum(self.tokens)

    def __len__(self) -> int:
        return len(self.tokens)

    def encode_words(self, tokens: pl.Series) -> Ids:
        """Integers of a column of tokens; unknown ones are `<unk>`."""
        ids = tokens.cast(self._enum, strict=False).to_physical().cast(pl.Int32).fill_null(UNK_ID)
        return cast("Ids", ids.to_numpy())

    def encode_codepoints(self, points: np.ndarray[tuple[int], np.dtype[np.uint32]]) -> Ids:
        """Integers of single characters given as code points."""
        table = np.full(_CODEPOINTS, UNK_ID, dtype=np.int32)
        for number, token in enumerate(self.tokens[len(SPECIAL) :], start=len(SPECIAL)):
            table[ord(token)] = number
        return cast("Ids", table[points])

    def to_dict(self) -> dict[str, Any]:
        """What `features.json` holds."""
        return {"tokens": self.tokens, "counts": self.counts.tolist()}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Vocabulary:
        """The inverse of `to_dict`."""
        return cls(saved["tokens"], saved["counts"])


class VocabularyBuilder:
    """Provisional integers while reading. `unit` is "words" (a token is a string) or "characters" (a code point)."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self._categories = pl.Categories.random()
        # Polars forgets the mapping once no column of it is left; between two blocks this one holds it.
        self._anchor = pl.Series([], dtype=pl.Categorical(self._categories))

    def add_words(self, tokens: pl.Series) -> Ids:
        """Provisional integers of a column of tokens."""
        return cast("Ids", tokens.cast(self._anchor.dtype).to_physical().to_numpy().astype(np.int32))

    @staticmethod
    def add_codepoints(points: np.ndarray[tuple[int], np.dtype[np.uint32]]) -> Ids:
        """A character's provisional integer is its code point."""
        return cast("Ids", points.astype(np.int32))

    def finish(self, counts: Counts, *, min_frequency: int, max_size: int | None) -> tuple[Vocabulary, Ids]:
        """The vocabulary, and the table from provisional to final integers.

        Args:
            counts: occurrences of each provisional integer in the training part of the data.
            min_frequency: tokens that occur less often become `<unk>`.
            max_size: how many tokens to keep at most, beside the three special ones.
        """
        if self.unit == "words":
            names = self._categories.to_series().to_list()
        else:
            names = [chr(point) if n else "" for point, n in enumerate(counts.tolist())]
        counts = np.pad(counts, (0, max(0, len(names) - len(counts))))
        # A text that spells a special token must not become it: it is left to <unk>.
        eligible = [i for i in np.flatnonzero(counts >= min_frequency).tolist() if names[i] not in SPECIAL]
        ranked = sorted(eligible, key=lambda i: (-int(counts[i]), names[i]))[:max_size]
        if not ranked:
            raise DataError(
                "no token is left for the vocabulary.",
                hint=f"lower `features.input.min_frequency` (now {min_frequency}) or give more text",
            )
        table = np.full(len(counts), UNK_ID, dtype=np.int32)
        table[ranked] = np.arange(len(SPECIAL), len(SPECIAL) + len(ranked), dtype=np.int32)
        unknown = int(counts.sum() - counts[ranked].sum())
        vocabulary = Vocabulary([*SPECIAL, *(names[i] for i in ranked)], [0, unknown, 0, *counts[ranked].tolist()])
        return vocabulary, cast("Ids", table)


def train_subwords(texts: Sequence[str], *, max_size: int, min_frequency: int) -> Tokenizer:
    """A byte-level BPE tokenizer (Hugging Face `tokenizers`) of at most `max_size` subwords; no text is unknown to it."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=max(max_size, 256 + len(SPECIAL)),
        min_frequency=min_frequency,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
