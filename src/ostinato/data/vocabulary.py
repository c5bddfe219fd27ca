"""Tokens and their integers: `<pad>` 0, `<unk>` 1, then by frequency.

A *builder* gives every new token a provisional integer in order of appearance, so that a file is read and split once;
when all is read, one table turns provisional integers into final ones (most frequent first, rare ones into `<unk>`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from ostinato.arrays import Codepoints, Ids, Offsets
from ostinato.errors import DataError

PAD, UNK, END = "<pad>", "<unk>", "<end>"
PAD_ID, UNK_ID, END_ID = 0, 1, 2
SPECIAL = (PAD, UNK, END)
_FEW_TOKENS = 20_000


class Vocabulary:
    """Final tokens in order of their integers, with how often training data held each.

    Args:
        tokens: `<pad>`, `<unk>`, `<end>`, then by frequency (ties: alphabetical).
        counts: occurrences in the training data; `<unk>` holds those of all rarer tokens.
    """

    def __init__(self, tokens: Sequence[str], counts: Sequence[int]) -> None:
        self.tokens = list(tokens)
        self.counts = np.asarray(counts, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def ids(self) -> dict[str, int]:
        """The integer of each token but the special ones, which no text may spell."""
        return {token: number for number, token in enumerate(self.tokens) if token not in SPECIAL}

    @cached_property
    def _enum(self) -> pl.Enum:
        return pl.Enum(self.tokens)

    @cached_property
    def _table(self) -> Ids:
        """The integer of each code point, up to one beyond the highest known."""
        points = [ord(token) for token in self.tokens[len(SPECIAL) :]]
        table = np.full(max(points, default=0) + 2, UNK_ID, dtype=np.int32)
        table[points] = np.arange(len(SPECIAL), len(self.tokens), dtype=np.int32)
        return table

    def encode_words(self, tokens: pl.Series) -> Ids:
        """Integers of a column of tokens; unknown ones are `<unk>`."""
        if len(tokens) < _FEW_TOKENS:  # polars would hash the whole vocabulary again for one sentence
            known = self.ids
            return np.asarray([known.get(token, UNK_ID) for token in tokens.to_list()], dtype=np.int32)
        ids = tokens.cast(self._enum, strict=False).to_physical().cast(pl.Int32).fill_null(UNK_ID).to_numpy()
        return np.where(ids < len(SPECIAL), np.int32(UNK_ID), ids)

    def encode_codepoints(self, points: Codepoints) -> Ids:
        """Integers of single characters given as code points."""
        return self._table[np.minimum(points, len(self._table) - 1)]

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
        return tokens.cast(self._anchor.dtype).to_physical().to_numpy().astype(np.int32)

    @staticmethod
    def add_codepoints(points: Codepoints) -> Ids:
        """A character's provisional integer is its code point."""
        return points.astype(np.int32)

    def finish(self, counts: Offsets, *, min_frequency: int, max_size: int | None) -> tuple[Vocabulary, Ids]:
        """The vocabulary, and the table from provisional to final integers.

        Args:
            counts: occurrences of each provisional integer in the training part of the data.
            min_frequency: tokens that occur less often become `<unk>`.
            max_size: how many tokens to keep at most, beside the three special ones.
        """
        if self.unit == "words":
            names = self._categories.to_series()
        else:
            names = pl.Series([chr(point) if n else "" for point, n in enumerate(counts.tolist())], dtype=pl.String)
        counts = np.pad(counts, (0, max(0, len(names) - len(counts))))  # tokens that only validation data holds
        ranked = (
            pl.DataFrame({"token": names, "count": counts})
            .with_row_index("provisional")
            # A text that spells a special token must not become it: it is left to <unk>.
            .filter((pl.col("count") >= min_frequency) & ~pl.col("token").is_in(SPECIAL))
            .sort(["count", "token"], descending=[True, False])
            .head(len(names) if max_size is None else max_size)
        )
        if not len(ranked):
            raise DataError(
                "no token is left for the vocabulary.",
                hint=f"give more text, or lower `min_frequency` of the feature (now {min_frequency}): "
                "--set features.input.min_frequency=1",
            )
        table = np.full(len(counts), UNK_ID, dtype=np.int32)
        table[ranked["provisional"].to_numpy()] = np.arange(len(SPECIAL), len(SPECIAL) + len(ranked), dtype=np.int32)
        unknown = int(counts.sum()) - int(ranked["count"].sum())
        return Vocabulary([*SPECIAL, *ranked["token"]], [0, unknown, 0, *ranked["count"]]), table


def train_subwords(texts: Sequence[str], *, max_size: int, min_frequency: int) -> Tokenizer:
    """A byte-level BPE tokenizer (Hugging Face `tokenizers`) of at most `max_size` subwords; it can spell any text."""
    tokenizer = Tokenizer(models.BPE())
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
    return plain_text_only(tokenizer)


def plain_text_only(tokenizer: Tokenizer) -> Tokenizer:
    """`tokenizer`, set up so that a text which spells `<pad>` means these five characters, not the special token."""
    tokenizer.encode_special_tokens = True
    return tokenizer
