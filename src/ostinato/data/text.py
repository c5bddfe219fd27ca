"""Text to tokens, column-wise: the same code for a training column and for one string.

Steps, each switchable in the recipe (`features.input`): markup and entities removed · case folded · emoticons kept in
place, appended or dropped · punctuation and digits removed · split into words, characters or subwords.

Words come from one pass of one regular expression that matches what is kept (emoticons and words); what it does not
match, punctuation and the like, is thereby removed.
"""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
import polars as pl

from ostinato.arrays import Codepoints, Offsets
from ostinato.recipe import TextRecipe

COMMENT, TAG = r"(?s:<!--.*?-->)", r"</?[A-Za-z!?][^<>]*>"
"""`<3` and `a < b` are left alone. One after the other: together, comments without an end take quadratic time."""

ENTITY = r"&#?\w+;"

EMOJI = (
    r"[\p{Extended_Pictographic}--[©®™‼⁉]][\u{FE0F}\p{Emoji_Modifier}]?"
    r"(?:\u{200D}\p{Extended_Pictographic}[\u{FE0F}\p{Emoji_Modifier}]?)*|\p{Regional_Indicator}{2}"
)
"""One picture: with its colour, and joined ones (a family) as one; or a flag."""

EMOTICON = rf"(?:[:;=]['^]?-?(?:[()\[\]|*]+|[dDpPoO]\b)|\B[:;=]['^]?-?[/\\]|<3|{EMOJI})"
"""Eyes, an optional tear or nose, a mouth; or an emoji. A slash counts only where it is not an address's (`http://`)."""

_NOSE = r"([:;=]['^]?)-([()\[\]|*/\\]|[dDpPoO]\b)"
_WORD = r"[[\w\p{N}]--_]+"
_WORD_WITHOUT_DIGITS = r"[\p{Alphabetic}\p{M}]+"
_LARGE_BYTES = 1 << 18

_UNIT_DEFAULTS = {
    "words": {"markup": "remove", "case": "fold", "punctuation": "remove"},
    "characters": {"markup": "keep", "case": "keep", "punctuation": "keep"},
    "subwords": {"markup": "keep", "case": "keep", "punctuation": "keep"},
}
_DEFAULT_SUBWORDS = 8_000
AS_IT_STANDS = {"markup": "keep", "case": "keep", "punctuation": "keep", "digits": "keep", "emoticons": "in_place"}
"""Options with which nothing is cleaned."""


def resolve_text(recipe: TextRecipe, unit: str) -> TextRecipe:
    """`recipe` with nothing left to infer: the unit, and the unit's defaults for what was not said."""
    unit = recipe.unit or unit
    usual = {**_UNIT_DEFAULTS[unit], **({"max_size": _DEFAULT_SUBWORDS} if unit == "subwords" else {})}
    unsaid = {key: value for key, value in usual.items() if getattr(recipe, key) is None}
    return recipe.model_copy(update={"unit": unit, **unsaid})


@dataclass(frozen=True)
class Tokens:
    """The tokens of a column, one after the other, and how many each row has."""

    values: pl.Series
    lengths: Offsets


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
            word = rf"{word}(?:'{word})*"
        kept = [word] if recipe.emoticons != "in_place" else [EMOTICON, word]
        if recipe.punctuation == "keep":
            kept.append(r"[^\w\s\p{N}]|_")
        self._pattern = "|".join(kept)
        self.removes = (recipe.punctuation, recipe.digits, recipe.emoticons) != ("keep", "keep", "in_place")

    def words(self, column: pl.Series) -> Tokens:
        """The words (and emoticons) of each row."""
        text = self._without_markup(column)
        lists = _evaluate(self._word_lists(self._folded(pl.col("text"))), text)
        lengths = lists.list.len().to_numpy().astype(np.int64)
        return Tokens(lists.filter(lists.list.len() > 0).explode(), lengths)

    def text(self, column: pl.Series) -> pl.Series:
        """The cleaned text of each row, for characters and subwords: untouched if nothing is to be removed.

        Otherwise each run of white space and of what is removed becomes one space (none at the row's end).
        """
        text = self._without_markup(column)
        folded = self._folded(pl.col("text"))
        if not self.removes:
            return _evaluate(folded, text)
        joined = self._word_lists(folded).list.join(" ")
        leading = pl.col("text").str.contains(r"^\s") & (joined != "")  # a later block of a document begins with one
        return _evaluate(pl.when(leading).then(" " + joined).otherwise(joined), text)

    def _without_markup(self, column: pl.Series) -> pl.Series:
        if self.recipe.markup == "keep":
            return column
        text = _evaluate(pl.col("text").str.replace_all(COMMENT, " ").str.replace_all(TAG, " "), column)
        with_entity = text.str.contains(ENTITY)
        if with_entity.any():
            unescaped = [html.unescape(row) for row in text.filter(with_entity)]
            text = text.scatter(with_entity.arg_true(), pl.Series(unescaped, dtype=pl.String))
        return text

    def _folded(self, text: pl.Expr) -> pl.Expr:
        return text.str.to_lowercase() if self.recipe.case == "fold" else text

    def _word_lists(self, text: pl.Expr) -> pl.Expr:
        text = text.str.replace_all(_NOSE, "${1}${2}")
        if self.recipe.contractions == "keep":
            text = text.str.replace_all("’", "'", literal=True)
        if self.recipe.emoticons == "in_place":
            return text.str.extract_all(self._pattern)
        words = text.str.replace_all(EMOTICON, " ").str.extract_all(self._pattern)
        if self.recipe.emoticons == "drop":
            return words
        return pl.concat_list(words, text.str.extract_all(EMOTICON))


def _evaluate(expression: pl.Expr, column: pl.Series) -> pl.Series:
    """An expression of `pl.col("text")`; for much text on all cores: the streaming engine shares out the rows."""
    frame = column.rename("text").to_frame()
    if column.str.len_bytes().sum() < _LARGE_BYTES:
        return frame.select(expression).to_series()
    return frame.lazy().select(expression).collect(engine="streaming").to_series()


def codepoints(column: pl.Series) -> tuple[Codepoints, Offsets]:
    """The Unicode code points of a column, one row after the other, and how many each row has."""
    joined = "".join(column.to_list())
    points = np.frombuffer(joined.encode("utf-32-le"), dtype=np.uint32)
    return points, column.str.len_chars().to_numpy().astype(np.int64)
