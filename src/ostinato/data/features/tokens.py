"""Words that somebody has split already: each an integer and, if the recipe says so, its characters beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from ostinato.arrays import Array, Ids
from ostinato.data.features.base import Draft
from ostinato.data.features.named import NamedFeature
from ostinato.data.sequences import Sequences
from ostinato.data.tables.list_cells import json_list
from ostinato.data.tables.list_columns import words_of
from ostinato.data.vocabulary import PAD_ID, SPECIAL, UNK_ID, Vocabulary
from ostinato.errors import DataError
from ostinato.recipe.kinds import TokensRecipe

_DIGIT = re.compile(r"\d")


class TokensFeature(NamedFeature):
    """Lists of words, or texts with blanks between words, to integers: `<pad>`, `<unk>`, `<end>`, then by frequency.

    Args:
        recipe: of the feature.
        vocabulary: the words of training rows, as case and digits leave them.

    Example:
        >>> feature = TokensFeature.fit(TokensRecipe(), np.asarray(["The", "cat", "the"], dtype=object))
        >>> feature.encode(pl.Series([["THE", "dog"]])).values
        array([3, 1], dtype=int32)
    """

    form = "ids"
    recipe_type = TokensRecipe
    predicted = True

    @classmethod
    def form_of(cls, recipe: TokensRecipe) -> str:
        """Words, where their characters are read."""
        return "words" if recipe.characters else "ids"

    def __init__(self, recipe: TokensRecipe, vocabulary: Vocabulary) -> None:
        self.recipe, self.vocabulary = recipe, vocabulary

    @property
    def vocab_size(self) -> int:
        """Words and special tokens."""
        return len(self.vocabulary)

    @property
    def counts(self) -> Array:
        """(V,): how often training rows held each word."""
        return self.vocabulary.counts

    @property
    def step_noun(self) -> str:
        """A word."""
        return "word"

    @property
    def longest_ngram(self) -> int:
        """Two words."""
        return 2

    @classmethod
    def read(cls, recipe: TokensRecipe, cells: pl.Series) -> Draft:
        """The words as they are."""
        return read_lists(cells, characters=False)

    @classmethod
    def fit_names(cls, recipe: TokensRecipe, names: list[str], counts: list[int]) -> TokensFeature:
        """All words of training rows that are frequent enough. Raises `DataError` where none is left."""
        vocabulary = _vocabulary([_normal(word, recipe) for word in names], counts, recipe)
        if not recipe.characters:
            return TokensFeature(recipe, vocabulary)
        letters: dict[str, int] = {}
        for word, count in zip(names, counts, strict=True):
            for letter in word:
                letters[letter] = letters.get(letter, 0) + count
        return SpelledTokensFeature(recipe, vocabulary, _ranked(letters))

    def transform(self, values: Array) -> Array:
        """(sum L,) int32."""
        words, index = _distinct(values)
        return self.encode_words(words)[index]

    def encode_words(self, words: list[str]) -> Ids:
        """The integer of each word."""
        ids = self.vocabulary.ids
        return np.asarray([ids.get(_normal(word, self.recipe), UNK_ID) for word in words], dtype=np.int32)

    def decode(self, values: Array) -> list[str]:
        """The words of a row, as the vocabulary has them."""
        return [self.vocabulary.tokens[int(number)] for number in values]

    def pieces(self, values: Array) -> tuple[Any, ...]:
        """The words."""
        return tuple(self.decode(values))

    def pieces_of(self, texts: Sequence[str]) -> list[tuple[Any, ...]]:
        """The words as they are."""
        found = read_lists(pl.Series(texts, dtype=pl.String), characters=False).encoded
        return [tuple(found.row(row).tolist()) for row in range(len(found))]

    def to_dict(self) -> dict[str, Any]:
        """The vocabulary."""
        return {"recipe": self.recipe.model_dump(mode="json"), "vocabulary": self.vocabulary.to_dict()}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> TokensFeature:
        """The inverse of `to_dict`."""
        recipe, vocabulary = TokensRecipe.model_validate(saved["recipe"]), Vocabulary.from_dict(saved["vocabulary"])
        if "characters" not in saved:
            return TokensFeature(recipe, vocabulary)
        return SpelledTokensFeature(recipe, vocabulary, Vocabulary.from_dict(saved["characters"]))


class SpelledTokensFeature(TokensFeature):
    """Words with their characters: values (sum L, 1 + max_word_length) int32, the word's integer, then a character's
    integer each, then zeros. A word longer than `max_word_length` keeps its first and last characters, half each.

    Args:
        recipe: of the feature.
        vocabulary: the words of training rows.
        characters: the characters of training rows; neither case nor digits are folded in them.
    """

    form = "words"

    def __init__(self, recipe: TokensRecipe, vocabulary: Vocabulary, characters: Vocabulary) -> None:
        super().__init__(recipe, vocabulary)
        self.characters = characters

    @property
    def value_shape(self) -> tuple[int, ...]:
        """(1 + max_word_length,)."""
        return (1 + self.recipe.max_word_length,)

    def transform(self, values: Array) -> Array:
        """(sum L, 1 + max_word_length) int32."""
        words, index = _distinct(values)
        limit, ids = self.recipe.max_word_length, self.characters.ids
        table = np.full((len(words), 1 + limit), PAD_ID, dtype=np.int32)
        table[:, 0] = self.encode_words(words)
        for row, word in enumerate(words):
            letters = word if len(word) <= limit else word[: limit - limit // 2] + word[-(limit // 2) :]
            table[row, 1 : 1 + len(letters)] = [ids.get(letter, UNK_ID) for letter in letters]
        return table[index]

    def decode(self, values: Array) -> list[str]:
        """The words of a row, as the vocabulary has them; others as they are spelled."""
        words, letters = super().decode(values[:, 0]), self.characters.tokens
        return [
            "".join(letters[int(letter)] for letter in row[1:] if letter != PAD_ID) if row[0] == UNK_ID else word
            for word, row in zip(words, values, strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Both vocabularies."""
        return {**super().to_dict(), "characters": self.characters.to_dict()}


def read_lists(cells: pl.Series, *, characters: bool) -> Draft:
    """Cells that are lists of strings, JSON lists of strings, or texts, as sequences of strings.

    Args:
        cells: the column.
        characters: whether a text is cut into its characters; else at blanks.
    """
    whole = words_of(cells)
    if whole is not None and "" not in whole[0]:
        return Draft(whole[1], Sequences.from_lengths(*whole))
    rows, problems = [], {}
    for number, cell in enumerate(cells.to_list()):
        row = _words(cell, characters)
        if row is None:
            problems[number] = f"not a list of words: {str(cell)[:60]!r}"
        elif not all(row):
            problems[number] = f"word {row.index('') + 1} of {len(row)} is empty"
        rows.append([] if row is None or number in problems else row)
    lengths = np.asarray([len(row) for row in rows], dtype=np.int64)
    values = np.empty(int(lengths.sum()), dtype=object)
    values[:] = [word for row in rows for word in row]
    return Draft(lengths, Sequences.from_lengths(values, lengths), problems)


def _words(cell: Any, characters: bool) -> list[str] | None:
    if isinstance(cell, str):
        found = _listed_words(cell)
        if found is not None:
            return found
        return list(cell.strip()) if characters else cell.split()
    if isinstance(cell, list) and all(isinstance(word, str) for word in cell):
        return cell
    return None


def _listed_words(cell: str) -> list[str] | None:
    """The words of a JSON list, as a JSONL file holds them, whole numbers as text; nothing where there is no list."""
    found = json_list(cell)
    if found is None or not all(isinstance(word, str) or type(word) is int for word in found):
        return None
    return [str(word) for word in found]


def _normal(word: str, recipe: TokensRecipe) -> str:
    word = word.lower() if recipe.case == "fold" else word
    return _DIGIT.sub("0", word) if recipe.digits == "zero" else word


def _distinct(values: Array) -> tuple[list[str], Ids]:
    """Each word once, in order of appearance, and for each value the number of its word."""
    numbers: dict[str, int] = {}
    index = [numbers.setdefault(word, len(numbers)) for word in values.tolist()]
    return list(numbers), np.asarray(index, dtype=np.int64)


def _vocabulary(words: list[str], counts: list[int], recipe: TokensRecipe) -> Vocabulary:
    totals: dict[str, int] = {}
    for word, count in zip(words, counts, strict=True):
        totals[word] = totals.get(word, 0) + count
    found = _ranked(totals, recipe.min_frequency, recipe.max_size)
    if len(found) == len(SPECIAL):
        raise DataError(
            "no word is left for the vocabulary.",
            hint=f"give more text, or lower `min_frequency` of the feature (now {recipe.min_frequency}): "
            "--set features.input.min_frequency=1",
        )
    return found


def _ranked(totals: dict[str, int], min_frequency: int = 1, max_size: int | None = None) -> Vocabulary:
    """The most frequent first (ties: alphabetical); `<unk>` holds the count of what is left out."""
    ranked = sorted(
        ((token, count) for token, count in totals.items() if count >= min_frequency and token not in SPECIAL),
        key=lambda item: (-item[1], item[0]),
    )[:max_size]
    left_out = sum(totals.values()) - sum(count for _, count in ranked)
    return Vocabulary([*SPECIAL, *(token for token, _ in ranked)], [0, left_out, 0, *(count for _, count in ranked)])
