"""Cleaning and splitting: each switch, Unicode, and one string = one row of a column."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data import text as text_module
from ostinato.data.text import TextPipeline, codepoints, resolve_text
from ostinato.recipe import TextRecipe


def _pipeline(unit: str, **switches: Any) -> TextPipeline:
    return TextPipeline(resolve_text(TextRecipe(**switches), unit))


def _words(text: str, **switches: Any) -> list[str]:
    return list(_pipeline("words", **switches).words(pl.Series([text])).values)


def _text(text: str, unit: str = "characters", **switches: Any) -> str:
    return str(_pipeline(unit, **switches).text(pl.Series([text]))[0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A <b>film</b><br /><br/>to see", "a film to see"),
        ("one<br>two", "one two"),
        ("<!-- no <b> of > this -->yes", "yes"),
        ("<p\nclass='x'>in</p>", "in"),
        ("5 < 6 and a<3 b", "5 6 and a <3 b"),
        ("fish &amp; chips &eacute;t&eacute; &#233; &#x65E5;", "fish chips été é 日"),
        ("&lt;b&gt; stays", "b stays"),
        ("I won't, you'll", "i won t you ll"),
        ("snake_case and CamelCase", "snake case and camelcase"),
        ("12 monkeys, 3.5 stars, 1990s", "12 monkeys 3 5 stars 1990s"),
        ("Ünïcödé CAFÉ ΑΣ", "ünïcödé café ας"),
        ("e\u0301te\u0301", "e\u0301te\u0301"),
        ("日本語 の テキスト", "日本語 の テキスト"),
        ("हिन्दी العربية", "हिन्दी العربية"),
        ("great😀 👨‍👩‍👧 👍🏽❤️ 🇫🇷🇩🇪", "great 😀 👨‍👩‍👧 👍🏽 ❤️ 🇫🇷 🇩🇪"),
        ("© 2001 Film™", "2001 film"),
        ("Fellini's 8½, x²", "fellini s 8½ x²"),
        ("...", ""),
        ("", ""),
    ],
)
def test_words(text: str, words: str) -> None:
    assert _words(text) == words.split()


@pytest.mark.parametrize(
    ("text", "emoticons"),
    [
        (":) :-) ;) ;-) =) :( :-( :D :-D :P", ":) :) ;) ;) =) :( :( :d :d :p"),
        (":'( :'-( :| :-/ :\\ :] :[ :* <3 ;o", ":'( :'( :| :/ :\\ :] :[ :* <3 ;o"),
        (":)))) :-((", ":)))) :(("),
        ("http://a.b", ""),
        ("ratio 3:4, note: Do it; Perhaps", ""),
        ("range:-definitely", ""),
    ],
)
def test_emoticons(text: str, emoticons: str) -> None:
    words = _words(text, emoticons="drop")
    assert _words(text, emoticons="append") == words + emoticons.split()
    assert [w for w in _words(text) if not w.isalnum()] == emoticons.split()
    assert all(word.isalnum() for word in words)


def test_emoticons_keep_their_place_move_or_go() -> None:
    text = "good :-) and bad :( end"
    assert _words(text) == ["good", ":)", "and", "bad", ":(", "end"]
    assert _words(text, emoticons="append") == ["good", "and", "bad", "end", ":)", ":("]
    assert _words(text, emoticons="drop") == ["good", "and", "bad", "end"]


def test_each_switch_of_words() -> None:
    text = "<i>Don't</i> pay $5_0 &amp; don’t go2 :)"
    assert _words(text, markup="keep") == ["i", "don", "t", "i", "pay", "5", "0", "amp", "don", "t", "go2", ":)"]
    assert _words(text, case="keep")[0] == "Don"
    assert _words(text, digits="remove") == ["don", "t", "pay", "don", "t", "go", ":)"]
    assert _words(text, contractions="keep") == ["don't", "pay", "5", "0", "don't", "go2", ":)"]
    kept = ["don", "'", "t", "pay", "$", "5", "_", "0", "&", "don", "’", "t", "go2", ":)"]
    assert _words(text, punctuation="keep") == kept
    assert _words("8½ ½ x2 !", digits="remove", punctuation="keep") == ["x", "!"]
    everything = _words(text, punctuation="keep", digits="remove", contractions="keep", emoticons="drop")
    assert everything == ["don't", "pay", "$", "_", "&", "don't", "go"]


def test_characters_are_untouched_by_default() -> None:
    text = " <b>A</b> &amp;\tB-c :-)\r\n\n é😀 "
    assert _text(text) == text
    assert _text(text, "subwords") == text


def test_each_switch_of_characters() -> None:
    text = "  <b>A</b> &amp;\n don't -- 12 :-) é!"
    assert _text(text, case="fold") == text.lower()
    assert _text(text, markup="remove") == "   A  &\n don't -- 12 :-) é!"
    assert _text(text, markup="remove", punctuation="remove") == " A don t 12 :) é"
    assert _text(text, digits="remove", markup="remove") == " A & don ' t - - :) é !"
    assert _text("a.b", punctuation="remove") == "a b"
    assert _text("...", punctuation="remove") == ""


def test_defaults_of_each_unit_are_written_out_and_what_was_said_wins() -> None:
    words = resolve_text(TextRecipe(), "words")
    assert (words.unit, words.markup, words.case) == ("words", "remove", "fold")
    assert (words.punctuation, words.max_size) == ("remove", None)
    characters = resolve_text(TextRecipe(case="fold"), "characters")
    assert (characters.unit, characters.markup, characters.case) == ("characters", "keep", "fold")
    assert resolve_text(TextRecipe(), "subwords").max_size == 8000
    assert resolve_text(TextRecipe(unit="subwords", max_size=300), "words").max_size == 300
    assert resolve_text(words, "characters") == words


TEXTS = st.text(
    st.sampled_from("aB9_ .,:;-()'’<>&/é日😀\u0301\u200d\n\tΣß") | st.characters(codec="utf-8"), max_size=40
)
SWITCHES = st.fixed_dictionaries(
    {},
    optional={
        "markup": st.sampled_from(["remove", "keep"]),
        "case": st.sampled_from(["fold", "keep"]),
        "emoticons": st.sampled_from(["in_place", "append", "drop"]),
        "punctuation": st.sampled_from(["remove", "keep"]),
        "digits": st.sampled_from(["keep", "remove"]),
        "contractions": st.sampled_from(["split", "keep"]),
    },
)


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=6), st.sampled_from(["words", "characters"]), SWITCHES, st.booleans())
def test_one_string_is_one_row_of_a_column(texts: list[str], unit: str, switches: dict[str, Any], large: bool) -> None:
    pipeline = _pipeline(unit, **switches)
    before = text_module._LARGE_BYTES
    text_module._LARGE_BYTES = 0 if large else before  # the way a large column takes
    try:
        tokens, cleaned = pipeline.words(pl.Series(texts)), pipeline.text(pl.Series(texts))
    finally:
        text_module._LARGE_BYTES = before
    singles = [pipeline.words(pl.Series([text])) for text in texts]
    assert tokens.values.to_list() == [word for single in singles for word in single.values]
    assert tokens.lengths.tolist() == [len(single.values) for single in singles]
    assert cleaned.to_list() == [pipeline.text(pl.Series([text]))[0] for text in texts]


@settings(max_examples=80, deadline=None)
@given(st.lists(TEXTS, max_size=6))
def test_code_points(texts: list[str]) -> None:
    points, lengths = codepoints(pl.Series(texts, dtype=pl.String))
    assert [chr(point) for point in points] == list("".join(texts))
    assert lengths.tolist() == [len(text) for text in texts]


def test_no_rows() -> None:
    tokens = _pipeline("words").words(pl.Series([], dtype=pl.String))
    assert (tokens.values.to_list(), tokens.lengths.tolist()) == ([], [])
