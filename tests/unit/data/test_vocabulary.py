"""Order, limits, special tokens, unknown tokens."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data import vocabulary as module
from ostinato.data.vocabulary import SPECIAL, UNK_ID, Vocabulary, VocabularyBuilder, train_subwords
from ostinato.errors import DataError


def _build(
    words: list[str], *, blocks: int = 1, min_frequency: int = 1, max_size: int | None = None
) -> tuple[Vocabulary, list[int]]:
    builder = VocabularyBuilder("words")
    parts = [builder.add_words(pl.Series(words[i::blocks], dtype=pl.String)) for i in range(blocks)]
    provisional = np.concatenate(parts)
    vocabulary, table = builder.finish(np.bincount(provisional), min_frequency=min_frequency, max_size=max_size)
    return vocabulary, table[provisional].tolist()


WORDS = st.lists(st.sampled_from(["a", "b", "bb", "é", "日", ":)", "z", "<pad>", "<unk>", "<end>"]), min_size=1)


@settings(max_examples=100, deadline=None)
@given(WORDS, st.integers(1, 3), st.integers(1, 4), st.none() | st.integers(1, 5))
def test_by_frequency_then_alphabetically(words: list[str], blocks: int, least: int, most: int | None) -> None:
    counts = Counter(words)
    ranked = sorted((w for w in counts if counts[w] >= least and w not in SPECIAL), key=lambda w: (-counts[w], w))[
        :most
    ]
    if not ranked:
        with pytest.raises(DataError, match="no token is left for the vocabulary"):
            _build(words, min_frequency=least, max_size=most)
        return
    vocabulary, ids = _build(words, blocks=blocks, min_frequency=least, max_size=most)
    assert vocabulary.tokens == [*SPECIAL, *ranked]
    unknown = len(words) - sum(counts[w] for w in ranked)
    assert vocabulary.counts.tolist() == [0, unknown, 0, *(counts[w] for w in ranked)]
    order = [word for i in range(blocks) for word in words[i::blocks]]
    expected = [ranked.index(w) + len(SPECIAL) if w in ranked else UNK_ID for w in order]
    assert ids == expected
    assert vocabulary.encode_words(pl.Series(order)).tolist() == expected


def test_both_ways_to_encode_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary, _ = _build(["b", "a", "b", "é"])
    tokens = pl.Series(["é", "new", "b", "a", ""])
    few = vocabulary.encode_words(tokens)
    monkeypatch.setattr(module, "_FEW_TOKENS", 0)
    many = vocabulary.encode_words(tokens)
    assert few.tolist() == many.tolist() == [5, UNK_ID, 3, 4, UNK_ID]
    assert few.dtype == many.dtype == np.int32
    assert vocabulary.encode_words(pl.Series([], dtype=pl.String)).tolist() == []


def test_characters_beyond_the_highest_known_are_unknown() -> None:
    builder = VocabularyBuilder("characters")
    points = np.asarray([ord(c) for c in "abba c"], dtype=np.uint32)
    vocabulary, table = builder.finish(np.bincount(builder.add_codepoints(points)), min_frequency=1, max_size=None)
    assert vocabulary.tokens == [*SPECIAL, "a", "b", " ", "c"]
    assert table[points].tolist() == [3, 4, 4, 3, 5, 6]
    unseen = np.asarray([ord(c) for c in "a\0d\U0010ffff日c"], dtype=np.uint32)
    assert vocabulary.encode_codepoints(unseen).tolist() == [3, UNK_ID, UNK_ID, UNK_ID, UNK_ID, 6]


def test_nothing_frequent_enough_says_what_to_change() -> None:
    with pytest.raises(DataError) as caught:
        _build(["a", "b"], min_frequency=2)
    assert caught.value.hint == (
        "give more text, or lower `min_frequency` of the feature (now 2): --set features.input.min_frequency=1"
    )


def test_saved_and_read_back() -> None:
    vocabulary, _ = _build(["b", "a", "b", "é"])
    again = Vocabulary.from_dict(vocabulary.to_dict())
    assert again.tokens == vocabulary.tokens
    assert again.counts.tolist() == vocabulary.counts.tolist()


def test_subwords_spell_anything_and_special_tokens_in_a_text_are_text() -> None:
    tokenizer = train_subwords(["hello <pad> world"] * 5, max_size=300, min_frequency=1)
    for text in ("hello world", "<pad><unk><end>", "é日😀", " a\n\tb "):
        ids = tokenizer.encode(text).ids
        assert not set(ids) & {0, 1, 2}
        assert tokenizer.decode(ids) == text
