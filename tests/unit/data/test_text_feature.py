"""A text column as integers and back; what is saved encodes the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ostinato.data.dataset import Features
from ostinato.data.features import TextFeature, TextFeatureBuilder, TrainingPart
from ostinato.data.sequences import Sequences
from ostinato.data.targets import ClassTarget
from ostinato.data.text import resolve_text
from ostinato.errors import DataError, RunError
from ostinato.recipe import TextRecipe

TEXTS = ["The cat sat on the mat.", "A dog :-) barked at the cat!", "<b>Été</b> the 日本 film", "the <unk> end"]


def _fit(
    texts: list[str], unit: str, part: TrainingPart | None = None, **switches: Any
) -> tuple[TextFeature, Sequences]:
    builder = TextFeatureBuilder(resolve_text(TextRecipe(unit=unit, **switches), unit))
    for start in range(0, len(texts), 2):  # in blocks
        draft = builder.draft(pl.Series(texts[start : start + 2]))
        builder.add(draft, draft.lengths > 0)
    return builder.finish(part or TrainingPart())


def _rows(sequences: Sequences) -> list[list[int]]:
    return [sequences.row(i).tolist() for i in range(len(sequences))]


UNITS: list[tuple[str, dict[str, Any]]] = [
    ("words", {}),
    ("words", {"max_length": 3, "truncate": "head"}),
    ("characters", {}),
    ("characters", {"case": "fold"}),
    ("subwords", {"max_size": 300}),
]


@pytest.mark.parametrize(("unit", "switches"), UNITS)
def test_training_rows_are_encoded_as_the_fitted_feature_encodes_them(unit: str, switches: dict[str, Any]) -> None:
    feature, sequences = _fit(TEXTS, unit, **switches)
    assert _rows(feature.encode(pl.Series(TEXTS))) == _rows(sequences)
    assert [feature.encode(pl.Series([text])).values.tolist() for text in TEXTS] == _rows(sequences)
    assert sequences.values.dtype == np.int32


@pytest.mark.parametrize(("unit", "switches"), UNITS)
def test_saved_and_read_back(tmp_path: Path, unit: str, switches: dict[str, Any]) -> None:
    feature, sequences = _fit(TEXTS, unit, **switches)
    target = ClassTarget("label", classes=("neg", "pos"))
    Features(feature, target, documents=True).save(tmp_path / "features.json")
    again = Features.load(tmp_path / "features.json")
    assert again.input.recipe == feature.recipe
    assert again.documents
    assert again.target is not None
    assert again.target.classes == ("neg", "pos")
    assert _rows(again.input.encode(pl.Series(TEXTS))) == _rows(sequences)
    for index in range(4):
        assert again.input.decode(sequences.row(index)) == feature.decode(sequences.row(index))


def test_decoding() -> None:
    feature, sequences = _fit(TEXTS, "characters")
    assert feature.decode(sequences.row(2)) == TEXTS[2]
    words, sequences = _fit(TEXTS, "words")
    assert words.decode(sequences.row(1)) == "a dog :) barked at the cat"
    subwords, sequences = _fit(TEXTS, "subwords", max_size=300)
    assert [subwords.decode(sequences.row(i)) for i in range(4)] == TEXTS


def test_only_the_training_part_shapes_the_vocabulary() -> None:
    feature, sequences = _fit(TEXTS, "words", TrainingPart(rows=np.asarray([0, 3])))
    assert set(feature.vocabulary.tokens[3:]) == {"the", "cat", "sat", "on", "mat", "end"}
    assert feature.vocabulary.tokens[3] == "the"
    assert feature.decode(sequences.row(1)) == "<unk> <unk> <unk> <unk> <unk> the cat"
    feature, _ = _fit(["abcd", "efgh"], "characters", TrainingPart(share=0.5))
    assert feature.vocabulary.tokens[3:] == list("abcd")


def test_tokens_a_text_holds_and_the_vocabulary_does_not() -> None:
    characters, _ = _fit(TEXTS, "characters")
    assert characters.unseen("the zoo, the z!") == ["z", ","]
    words, _ = _fit(TEXTS, "words")
    assert words.unseen("The Dog, a fox. FOX") == ["fox"]
    subwords, _ = _fit(TEXTS, "subwords", max_size=300)
    assert subwords.unseen("日本語") == []


def test_no_tokens_at_all() -> None:
    builder = TextFeatureBuilder(resolve_text(TextRecipe(), "words"))
    draft = builder.draft(pl.Series(["...", "!!"]))
    assert draft.lengths.tolist() == [0, 0]
    builder.add(draft, np.asarray([True, True]))
    with pytest.raises(DataError, match="there are no tokens in the training data"):
        builder.finish(TrainingPart())


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": 1}', "null", '{"format": "x"}', "\x00"])
def test_damaged_features(tmp_path: Path, content: str) -> None:
    (tmp_path / "features.json").write_text(content)
    with pytest.raises(RunError, match=r"features.json` can't be read"):
        Features.load(tmp_path / "features.json")


def test_features_of_a_newer_version(tmp_path: Path) -> None:
    (tmp_path / "features.json").write_text('{"format": 99}')
    with pytest.raises(RunError, match="written by a newer Ostinato"):
        Features.load(tmp_path / "features.json")


def test_features_missing(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="FileNotFoundError"):
        Features.load(tmp_path / "features.json")


def test_a_damaged_tokenizer_is_a_value_error_like_other_damage() -> None:
    subwords, _ = _fit(TEXTS, "subwords", max_size=300)
    saved = subwords.to_dict()
    saved["tokenizer"] = saved["tokenizer"].replace('"content"', '"contents"', 1)
    with pytest.raises(ValueError, match=r"its tokenizer can't be read: missing field `content`"):
        TextFeature.from_dict(saved)
