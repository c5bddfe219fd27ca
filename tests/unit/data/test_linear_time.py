"""Hostile text takes time in proportion to its length: twenty times as much takes no hundred times as long."""

from __future__ import annotations

import time
from collections.abc import Callable

import polars as pl
import pytest

from ostinato.data.readers.fasta import header_pairs
from ostinato.data.text import TextPipeline, resolve_text
from ostinato.recipe import TextRecipe

PIECES = ("<", "<!--", "<!--<b>", "<a ", "&a", "&#", ":'", ":-", "a'", "(", "_", "👨\u200d", "\u0301", "a=", "a ", " ")
WORDS = TextPipeline(resolve_text(TextRecipe(contractions="keep", emoticons="append"), "words"))
LETTERS = TextPipeline(resolve_text(TextRecipe(markup="remove", punctuation="remove", case="fold"), "characters"))
PARSERS: dict[str, Callable[[str], object]] = {
    "words": lambda text: WORDS.words(pl.Series([text])),
    "characters": lambda text: LETTERS.text(pl.Series([text])),
    "FASTA headers": header_pairs,
}
SHORT, TIMES = 5_000, 20


def _seconds(parse: Callable[[str], object], text: str) -> float:
    """The fastest of three."""
    found = []
    for _ in range(3):
        start = time.process_time()
        parse(text)
        found.append(time.process_time() - start)
    return min(found)


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("name", PARSERS)
def test_linear(name: str, piece: str) -> None:
    parse = PARSERS[name]
    short, long = (_seconds(parse, (piece * length)[:length]) for length in (SHORT, TIMES * SHORT))
    assert long < 5 * TIMES * max(short, 0.0005)
