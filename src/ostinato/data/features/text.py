"""A text column becomes sequences: fitted on training rows, saved with the run, and used unchanged after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from tokenizers import Tokenizer

from ostinato.arrays import Array, Ids, Mask, Offsets
from ostinato.data.features.base import Draft, Feature, FeatureBuilder, TrainingPart
from ostinato.data.io.spool import Spool
from ostinato.data.sequences import Sequences
from ostinato.data.text import AS_IT_STANDS, TextPipeline, codepoints
from ostinato.data.vocabulary import (
    END_ID,
    PAD_ID,
    SPECIAL,
    UNK_ID,
    Vocabulary,
    VocabularyBuilder,
    plain_text_only,
    train_subwords,
)
from ostinato.errors import DataError
from ostinato.recipe import TextRecipe


class TextFeature(Feature):
    """Text to sequences of integers and back, with a fixed vocabulary.

    Args:
        recipe: the resolved text recipe.
        vocabulary: tokens in order of their integers.
        tokenizer: for subwords, the trained tokenizer.
    """

    form = "ids"
    recipe_type = TextRecipe
    cell_type = str
    predicted, ngrams = True, True
    empty = "nothing is left of it after cleaning"

    @classmethod
    def builder(cls, recipe: TextRecipe) -> FeatureBuilder:
        """A `TextFeatureBuilder`."""
        return TextFeatureBuilder(recipe)

    def __init__(self, recipe: TextRecipe, vocabulary: Vocabulary, tokenizer: Tokenizer | None = None) -> None:
        self.recipe = recipe
        self.vocabulary = vocabulary
        self.tokenizer = tokenizer
        self._pipeline = TextPipeline(recipe)

    @property
    def vocab_size(self) -> int:
        """Number of integers, special tokens included."""
        return len(self.vocabulary)

    @property
    def step_noun(self) -> str:
        """A word, a character, or a subword."""
        return (self.recipe.unit or "words").removesuffix("s")

    @property
    def longest_ngram(self) -> int:
        """Two words, or five characters."""
        return 5 if self.recipe.unit == "characters" else 2

    @property
    def counts(self) -> Offsets:
        """How often training data held each token."""
        return self.vocabulary.counts

    def draft(self, cells: pl.Series) -> Draft:
        """Cells cut into tokens; none is beyond reading."""
        sequences = self.encode(cells)
        return Draft(sequences.lengths, sequences)

    def encode(self, column: pl.Series) -> Sequences:
        """Each row as integers, cut to `max_length` as the recipe says."""
        if self.recipe.unit == "words":
            tokens = self._pipeline.words(column)
            sequences = Sequences.from_lengths(self.vocabulary.encode_words(tokens.values), tokens.lengths)
        else:
            text = self._pipeline.text(column)
            if self.tokenizer is not None:
                sequences = _encode_subwords(self.tokenizer, text)
            else:
                points, lengths = codepoints(text)
                sequences = Sequences.from_lengths(self.vocabulary.encode_codepoints(points), lengths)
        return sequences.truncate(self.recipe.max_length, self.recipe.truncate)

    @property
    def whole_row_reason(self) -> str | None:
        """Of what cuts a row."""
        if self.recipe.max_length is None or self.recipe.truncate == "tail":
            return None
        return f"`features.input.truncate: {self.recipe.truncate}` needs to know how long a row is"

    def unseen(self, text: str) -> list[str]:
        """The tokens of `text` that the vocabulary does not hold, each once, in order."""
        if self.tokenizer is not None:
            return []
        words = self.recipe.unit == "words"
        tokens = self.words_of([text]) if words else list(self._pipeline.text(pl.Series([text], dtype=pl.String))[0])
        return list(dict.fromkeys(token for token in tokens if token not in self.vocabulary.ids))

    def words_of(self, texts: Sequence[str]) -> list[str]:
        """The words of texts one after the other, cleaned, whether the vocabulary holds them or not."""
        return list(self._pipeline.words(pl.Series(texts, dtype=pl.String)).values.to_list())

    def decode(self, ids: Ids) -> str:
        """The text of a sequence; words are joined by spaces."""
        kept = [int(i) for i in ids if i not in (PAD_ID, END_ID)]
        if self.tokenizer is not None:
            return str(self.tokenizer.decode(kept, skip_special_tokens=False))
        tokens = [self.vocabulary.tokens[i] for i in kept]
        return (" " if self.recipe.unit == "words" else "").join(tokens)

    def pieces(self, values: Array) -> tuple[Any, ...]:
        """Words or characters; subwords as their integers."""
        if self.tokenizer is not None:
            return super().pieces(values)
        return tuple(self.vocabulary.tokens[int(number)] for number in values)

    def pieces_of(self, texts: Sequence[str]) -> list[tuple[Any, ...]]:
        """Words, characters or subwords of texts as written: with their case, punctuation, digits and markup."""
        column = pl.Series(texts, dtype=pl.String)
        if self.recipe.unit == "words":
            found = TextPipeline(self.recipe.model_copy(update=AS_IT_STANDS)).words(column)
            words, ends = found.values.to_list(), np.cumsum(found.lengths)
            return [tuple(words[end - length : end]) for end, length in zip(ends, found.lengths, strict=True)]
        if self._pipeline.removes:  # which leaves one space of each run of white space
            column = pl.Series([" ".join(text.split()) for text in texts], dtype=pl.String)
        if self.tokenizer is None:
            return [tuple(text) for text in column]
        rows = _encode_subwords(self.tokenizer, column)
        return [tuple(rows.row(row).tolist()) for row in range(len(rows))]

    def to_dict(self) -> dict[str, Any]:
        """What `features.json` holds."""
        saved: dict[str, Any] = {"recipe": self.recipe.model_dump(mode="json"), "vocabulary": self.vocabulary.to_dict()}
        if self.tokenizer is not None:
            saved["tokenizer"] = self.tokenizer.to_str()
        return saved

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> TextFeature:
        """The inverse of `to_dict`."""
        tokenizer = _tokenizer_of(saved["tokenizer"]) if "tokenizer" in saved else None
        return cls(TextRecipe.model_validate(saved["recipe"]), Vocabulary.from_dict(saved["vocabulary"]), tokenizer)


def _tokenizer_of(saved: str) -> Tokenizer:
    try:
        return plain_text_only(Tokenizer.from_str(saved))
    except Exception as error:  # the library raises no class of its own
        if type(error) is not Exception:
            raise
        raise ValueError(f"its tokenizer can't be read: {error}") from error


class TextFeatureBuilder(FeatureBuilder):
    """Reads and splits text once: `draft` a block, `add` the rows of it that are good, then `finish`."""

    def __init__(self, recipe: TextRecipe) -> None:
        self.recipe = recipe
        self._pipeline = TextPipeline(recipe)
        self._vocabulary = VocabularyBuilder(recipe.unit or "words")
        self._spool = Spool()
        self._lengths: list[Offsets] = []
        self._texts: list[pl.Series] = []

    def draft(self, column: pl.Series) -> Draft:
        """Clean and split a column, with the number of tokens (subwords: of characters) in each row."""
        if self.recipe.unit == "words":
            tokens = self._pipeline.words(column)
            return Draft(
                tokens.lengths, Sequences.from_lengths(self._vocabulary.add_words(tokens.values), tokens.lengths)
            )
        text = self._pipeline.text(column)
        if self.recipe.unit == "characters":
            points, lengths = codepoints(text)
            return Draft(lengths, Sequences.from_lengths(self._vocabulary.add_codepoints(points), lengths))
        return Draft(text.str.len_chars().to_numpy().astype(np.int64), text)

    def add(self, draft: Draft, keep: Mask) -> None:
        """Take the rows of `draft` where `keep` is true."""
        if isinstance(draft.content, pl.Series):
            self._texts.append(draft.content.filter(pl.Series(keep)))
            return
        rows = draft.content if keep.all() else draft.content.take(np.flatnonzero(keep))
        rows = rows.truncate(self.recipe.max_length, self.recipe.truncate)
        self._spool.add(rows.values)
        self._lengths.append(rows.lengths)

    def finish(self, part: TrainingPart) -> tuple[TextFeature, Sequences]:
        """The feature, fitted on `part`, and all rows added, as final integers."""
        if self.recipe.unit == "subwords":
            return self._finish_subwords(part)
        raw = Sequences.from_lengths(self._spool.finish(), np.concatenate(self._lengths))
        counts = _count(part.values(raw))
        vocabulary, table = self._vocabulary.finish(
            counts, min_frequency=self.recipe.min_frequency, max_size=self.recipe.max_size
        )
        top = int(raw.values.max(initial=0))
        table = np.pad(table, (0, max(0, top + 1 - len(table))), constant_values=UNK_ID)
        return TextFeature(self.recipe, vocabulary), Sequences(self._spool.finish(table), raw.offsets)

    def _finish_subwords(self, part: TrainingPart) -> tuple[TextFeature, Sequences]:
        texts = pl.concat(self._texts)
        tokenizer = train_subwords(
            part.texts(texts), max_size=self.recipe.max_size or len(SPECIAL), min_frequency=self.recipe.min_frequency
        )
        sequences = _encode_subwords(tokenizer, texts).truncate(self.recipe.max_length, self.recipe.truncate)
        by_id = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        counts = np.pad(_count(part.values(sequences)), (0, len(by_id)))[: len(by_id)]
        return TextFeature(self.recipe, Vocabulary([t for t, _ in by_id], counts.tolist()), tokenizer), sequences


def _encode_subwords(tokenizer: Tokenizer, text: pl.Series) -> Sequences:
    encodings = tokenizer.encode_batch_fast(text.to_list(), add_special_tokens=False)
    lengths = np.asarray([len(e.ids) for e in encodings], dtype=np.int64)
    values = np.concatenate([np.asarray(e.ids, dtype=np.int32) for e in encodings] or [np.empty(0, dtype=np.int32)])
    return Sequences.from_lengths(values, lengths)


def _count(values: Ids) -> Offsets:
    counts = np.zeros(int(values.max(initial=0)) + 1, dtype=np.int64)
    for start in range(0, len(values), 1 << 24):
        part = np.bincount(values[start : start + (1 << 24)])
        counts[: len(part)] += part
    if not counts.any():
        raise DataError("there are no tokens in the training data.")
    return counts
