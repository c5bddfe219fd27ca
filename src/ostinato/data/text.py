"""Text to tokens, column-wise: the same code for a training column and for one string.

Steps, each switchable in the recipe (`features.input`): markup and entities removed · case folded · emoticons kept in
place, appended or dropped · punctuation and digits removed · split into words, characters or subwords.

Words come from one pass of one regular expression that matches what is kept (emoticons and words); what it does not match,
punctuation and the like, is thereby removed.
"""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
import polars as pl

from ostinato.recipe import TextRecipe

MARKUP = r"</?[A-Za-z!][^<>]*>"
"""A tag or comment; `<3` and `a < b` are left alone."""

ENTITY = r"&#?\w+;"

EMOTICON = r"(?:[:;=]['^]?-?(?:[()\[\]|*]+|[dDpPoO]\b)|\B[:;=]['^]?-?[/\\]|<3)"
"""Eyes, an optional tear or nose, a mouth. A slash counts only where it does not belong to an address (`http://`)."""

_NOSE = r"([:;=]['^]?)-([()\[\]|*dDpPoO/\\])"
_WORD = r"[\w--_]+"
_WORD_WITHOUT_DIGITS = r"[\p{Alphabetic}\p{M}]+"

_UNIT_DEFAULTS = {
    "words": {"markup": "remove", "case": "fold", "punctuation": "remove"},
    "characters": {"markup": "keep", "case": "keep", "punctuation": "keep"},
    "subwords": {"markup": "keep", "case": "keep", "punctuation": "keep"},
}
_DEFAULT_SUBWORDS = 8_000


def resolve_text(recipe: TextRecipe, unit: str) -> TextRecipe:
    """`recipe` with nothing left to infer: the unit, and the unit's defaults for what was not said."""
    unit = recipe.unit or unit
    said = recipe.model_dump(exclude_none=True)
    sizes = {"max_size": _DEFAULT_SUBWORDS} if unit == "subwords" else {}
    return TextRecipe.model_validate({"unit": unit, **_UNIT_DEFAULTS[unit], **sizes, **said})


@dataclass(frozen=True)
class Tokens:
    """The tokens of a column, one after the other, and how many each row has."""

    values: pl.Series
    lengths: np.ndarray[tuple[int], np.dtype[np.int64]]


class TextPipeline:
    """Cleaning and splitting as a resolved `TextRecipe` says.

    Example:
        >>> pipeline = TextPipeline(resolve_text(TextRecipe(), "words"))
        >>> pipeline.words(pl.Series(["A <b>film</b> I won't forget :-)"])).values.to_list()
        ['a', 'film', 'i', 'won', 't', 'forget', ':)']
    """

    def __init__(self, recipe: TextRecipe) -> None:
        self.recipe = recipe
        word = _WORD_WITHOUT_DIGITS if recipe.digits == "remove" else _WORD
        if recipe.contractions == "keep":
            word = rf"{word}(?:['’]{word})*"
        kept = [word] if recipe.emoticons != "in_place" else [EMOTICON, word]
        if recipe.punctuation == "keep":
            kept.append(r"[^\w\s]|_")
        self._pattern = "|".join(kept)

    def words(self, column: pl.Series) -> Tokens:
        """The words (and emoticons) of each row."""
        lists = self._word_lists(self._cleaned(column))
        lengths = lists.list.len().to_numpy().astype(np.int64)
        return Tokens(lists.filter(lists.list.len() > 0).explode(), lengths)

    def text(self, column: pl.Series) -> pl.Series:
        """The cleaned text of each row, for characters and subwords: untouched if nothing is to be removed."""
        cleaned = self._cleaned(column)
        if self.recipe.punctuation == "keep" and self.recipe.digits == "keep" and self.recipe.emoticons == "in_place":
            return cleaned
        return self._word_lists(cleaned).list.join(" ")

    def _cleaned(self, column: pl.Series) -> pl.Series:
        text = column
        if self.recipe.markup == "remove":
            text = text.str.replace_all(MARKUP, " ")
            with_entity = text.str.contains(ENTITY)
            if with_entity.any():
                unescaped = [html.unescape(row) for row in text.filter(with_entity)]
                text = text.scatter(with_entity.arg_true(), pl.Series(unescaped, dtype=pl.String))
        return text.str.to_lowercase() if self.recipe.case == "fold" else text

    def _word_lists(self, text: pl.Series) -> pl.Series:
        text = text.str.replace_all(_NOSE, "${1}${2}")
        if self.recipe.emoticons == "in_place":
            return text.str.extract_all(self._pattern)
        words = text.str.replace_all(EMOTICON, " ").str.extract_all(self._pattern)
        if self.recipe.emoticons == "drop":
            return words
        emoticons = text.str.extract_all(EMOTICON)
        both = pl.DataFrame({"words": words, "emoticons": emoticons}).select(pl.concat_list("words", "emoticons"))
        return both.to_series()


def codepoints(
    column: pl.Series,
) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint32]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """The Unicode code points of a column, one row after the other, and how many each row has."""
    joined = "".join(column.to_list())
    return np.frombuffer(joined.encode("utf-32-le"), dtype=np.uint32), column.str.len_chars().to_numpy().astype(
        np.int64
    )
