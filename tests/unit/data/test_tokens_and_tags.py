"""Words and tags as sequences, and rows in which they don't go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ostinato.data.dataset import Examples
from ostinato.data.features import Draft, TagsFeature, TokensFeature, load_feature
from ostinato.data.features.tokens import SpelledTokensFeature
from ostinato.data.inference.aligned import misfits
from ostinato.data.loading import load_examples
from ostinato.data.sequences import Sequences
from ostinato.errors import DataError, RecipeError
from ostinato.recipe import build_recipe
from ostinato.recipe.kinds import TagsRecipe, TokensRecipe
from ostinato.tasks.prepare import prepare

WORDS = np.asarray(["The", "cat", "the", "1984", "cat", "THE", "1985"], dtype=object)


def _tokens(**options: Any) -> TokensFeature:
    return TokensFeature.fit(TokensRecipe(**options), WORDS)


def test_words_by_frequency_then_alphabet() -> None:
    feature = _tokens()
    assert feature.vocabulary.tokens[3:] == ["the", "cat", "1984", "1985"]
    assert feature.counts[3:].tolist() == [3, 2, 1, 1]
    assert feature.encode(pl.Series([["THE", "dog", "1984"]])).values.tolist() == [3, 1, 5]
    assert feature.decode(np.asarray([3, 4])) == ["the", "cat"]


def test_case_digits_and_rare_words() -> None:
    assert _tokens(case="keep").vocabulary.tokens[3:] == ["cat", "1984", "1985", "THE", "The", "the"]
    assert _tokens(digits="zero").vocabulary.tokens[3:] == ["the", "0000", "cat"]
    rare = _tokens(min_frequency=2)
    assert rare.vocabulary.tokens[3:] == ["the", "cat"]
    assert rare.counts[1] == 2
    assert _tokens(max_size=1).vocabulary.tokens[3:] == ["the"]
    with pytest.raises(DataError, match="no word is left"):
        _tokens(min_frequency=9)


def test_characters_keep_case_and_both_ends_of_a_long_word() -> None:
    feature = _tokens(characters=True, max_word_length=3)
    assert isinstance(feature, SpelledTokensFeature)
    assert feature.form == "words"
    assert feature.value_shape == (4,)
    names = feature.characters.tokens
    [the, long, unknown] = feature.encode(pl.Series([["The", "1985", "zt"]])).values.tolist()
    assert the[0] == 3
    assert [names[k] for k in the[1:]] == ["T", "h", "e"]
    assert [names[k] for k in long[1:]] == ["1", "9", "5"]
    assert unknown == [1, 1, names.index("t"), 0]
    assert feature.decode(np.asarray([the, long, unknown])) == ["the", "1985", "<unk>t"]


@pytest.mark.parametrize("characters", [False, True])
def test_tokens_are_saved(characters: bool) -> None:
    feature = _tokens(characters=characters, min_frequency=2)
    loaded = load_feature(feature.to_dict())
    cells = pl.Series([["The", "cat", "new"], ["cat"]])
    assert type(loaded) is type(feature)
    np.testing.assert_array_equal(loaded.encode(cells).values, feature.encode(cells).values)


def test_cells_are_lists_texts_or_json() -> None:
    feature = _tokens()
    assert feature.encode(pl.Series(["the  cat"])).values.tolist() == [3, 4]
    assert feature.encode(pl.Series(['["the", "cat"]'])).values.tolist() == [3, 4]
    assert feature.encode(pl.Series(["[ the cat ]"])).values.tolist() == [1, 3, 4, 1]
    draft = feature.draft(pl.Series([["the", ""], ["cat"]]))
    assert draft.problems == {0: "word 2 of 2 is empty"}
    assert draft.lengths.tolist() == [0, 1]
    assert feature.draft(pl.Series([[1, 2]])).problems == {0: "not a list of words: '[1, 2]'"}


def test_a_word_that_spells_a_special_token_is_unknown() -> None:
    feature = TokensFeature.fit(TokensRecipe(), np.asarray(["<pad>", "a", "<pad>"], dtype=object))
    assert feature.vocabulary.tokens == ["<pad>", "<unk>", "<end>", "a"]
    assert feature.encode(pl.Series([["<pad>"]])).values.tolist() == [1]


def _tags(**options: Any) -> TagsFeature:
    return TagsFeature.fit(TagsRecipe(**options), np.asarray(["O", "B-X", "-", "O"], dtype=object))


def test_tags_are_numbered_by_the_alphabet_and_saved() -> None:
    feature = _tags()
    assert feature.names == ("-", "B-X", "O")
    loaded = load_feature(feature.to_dict())
    assert loaded.encode(pl.Series([["O", "B-X"]])).values.tolist() == [2, 1]
    assert loaded.decode(np.asarray([1, 2])) == ["B-X", "O"]


def test_ignored_tags_are_no_classes() -> None:
    feature = _tags(ignore=["-"])
    assert feature.names == ("B-X", "O")
    assert feature.encode(pl.Series([["O", "-"]])).values.tolist() == [1, -1]
    with pytest.raises(DataError, match="at least two tags"):
        _tags(ignore=["-", "B-X"])


def test_letters_are_tags_if_the_recipe_says_so() -> None:
    feature = _tags(split="characters", ignore=["-", "B-X"][:1])
    assert feature.encode(pl.Series(["OO-"])).values.tolist() == [1, 1, -1]


def test_a_tag_never_seen_is_a_problem_of_its_row_or_wrong() -> None:
    draft = _tags().draft(pl.Series([["O"], ["O", "B-Y"]]))
    assert draft.problems == {1: "tag 'B-Y' at step 2 does not occur in the training data: -, B-X, O"}
    lenient = _tags(unseen="wrong")
    draft = lenient.draft(pl.Series([["I-Y"], ["O", "B-Y"]]))
    assert draft.problems == {}
    assert isinstance(draft.content, Sequences)
    assert (draft.content.values < -1).tolist() == [True, False, True]
    assert lenient.decode(draft.content.values) == ["I-Y", "O", "B-Y"]


def _recipe(folder: Path, **sections: Any) -> dict[str, Any]:
    return {
        "name": "t",
        "data": {"train": str(folder / "train.conll"), "validation": str(folder / "validation.conll")},
        **sections,
    }


def _files(folder: Path, train: str, validation: str) -> None:
    (folder / "train.conll").write_text(train, encoding="utf-8")
    (folder / "validation.conll").write_text(validation, encoding="utf-8")


def test_everything_is_inferred_from_a_conll_file(tmp_path: Path) -> None:
    _files(tmp_path, "a DT O\nb NN B-X\n\nc NN O\n", "a DT B-X\n")
    data = {**_recipe(tmp_path)["data"], "extra": ["pos"]}
    prepared = prepare(build_recipe({"name": "t", "data": data}))
    recipe = prepared.recipe
    assert (recipe.data.input, recipe.data.target, recipe.model.task) == ("form", "chunk", "tagging")
    assert recipe.features.input.kind == "tokens"
    assert recipe.features.extra["pos"].kind == "tokens"
    assert isinstance(recipe.features.target, TagsRecipe)
    assert recipe.features.target.split == "blanks"


def test_a_target_with_a_tag_a_word_makes_its_text_words(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,tags\nA cat.,D N\nThe dog,D N\na b c,D D N\n", encoding="utf-8")
    data = {"train": str(tmp_path / "x.csv"), "input": "text", "target": "tags", "validation": 0.3}
    prepared = prepare(build_recipe({"name": "t", "data": data, "features": {"target": {"kind": "tags"}}}))
    assert prepared.recipe.features.input.kind == "tokens"
    assert prepared.recipe.model.task == "tagging"


def test_unequal_lengths_are_bad_rows_named_by_line(tmp_path: Path) -> None:
    rows = ["text,tags", "a b,D N", "a b c,D N", "a b,D N", "a,D N", "a c,D N"]
    (tmp_path / "x.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    data = {"train": str(tmp_path / "x.csv"), "input": "text", "target": "tags", "validation": 0.3}
    mapping = {"name": "t", "data": data, "features": {"target": {"kind": "tags"}}}
    with pytest.raises(DataError) as caught:
        prepare(build_recipe(mapping))
    assert "x.csv:3: unequal lengths: `text` has 3 steps, `tags` has 2" in str(caught.value)
    assert "x.csv:5: unequal lengths: `text` has 1 steps, `tags` has 2" in str(caught.value)
    prepared = prepare(build_recipe({**mapping, "data": {**data, "on_bad_row": "skip"}}))
    assert prepared.num_rejected == 2
    assert isinstance(prepared.train, Examples)
    assert isinstance(prepared.validation, Examples)
    assert len(prepared.train) + len(prepared.validation) == 3


def test_tags_of_another_file_that_training_never_showed_are_bad_rows(tmp_path: Path) -> None:
    _files(tmp_path, "a O\nb B-X\n", "a O\n\nb B-Y\n")
    with pytest.raises(
        DataError, match=r"validation\.conll:3: tag 'B-Y' at step 1 does not occur in the training data: B-X, O"
    ):
        prepare(build_recipe(_recipe(tmp_path)))
    lenient = {"target": {"kind": "tags", "unseen": "wrong"}}
    prepared = prepare(build_recipe(_recipe(tmp_path, features=lenient)))
    examples = load_examples(str(tmp_path / "validation.conll"), prepared.features, prepared.recipe)
    assert isinstance(examples.targets, Sequences)
    assert prepared.features.target is not None
    assert examples.targets.values.tolist()[0] == 1
    assert examples.targets.values.tolist()[1] < -1


def test_an_empty_sentence_is_a_bad_row(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(
        '{"w": ["a"], "t": ["X"]}\n{"w": [], "t": []}\n{"w": ["b"], "t": ["Y"]}\n', encoding="utf-8"
    )
    data = {"train": str(tmp_path / "x.jsonl"), "input": "w", "target": "t", "validation": 0.4}
    with pytest.raises(DataError, match=r"x\.jsonl:2: "):
        prepare(build_recipe({"name": "t", "data": data, "features": {"target": {"kind": "tags"}}}))


def test_other_files_of_a_run_are_read_as_its_training_file_was(tmp_path: Path) -> None:
    for name in ("train.txt", "dev.txt"):
        (tmp_path / name).write_text("a O\nb B-X\n", encoding="utf-8")
    data = {"train": str(tmp_path / "train.txt"), "validation": str(tmp_path / "dev.txt"), "format": "conll"}
    prepared = prepare(build_recipe({"name": "t", "data": data}))
    assert isinstance(prepared.validation, Examples)
    assert len(prepared.validation) == 1


def test_ctc_needs_a_step_a_label_and_one_between_equal_ones() -> None:
    def draft(rows: list[list[str]]) -> Draft:
        lengths = np.asarray([len(row) for row in rows], dtype=np.int64)
        values = np.asarray([value for row in rows for value in row], dtype=object)
        return Draft(lengths, Sequences.from_lengths(values, lengths))

    recipe = build_recipe(
        {
            "data": {"input": "x", "target": "y"},
            "features": {"target": {"kind": "tags"}},
            "model": {"task": "tagging", "output": "ctc"},
        }
    )
    inputs = draft([["."] * 3, ["."] * 3, ["."] * 3, ["."] * 3])
    labels = draft([["a", "a"], ["b", "a", "a"], ["a", "b", "a"], []])
    assert misfits(recipe, {"x": inputs, "y": labels}) == {1: ("3 labels need 4 steps, and `x` has 3", "y")}


def _check(mapping: dict[str, Any]) -> None:
    recipe = build_recipe(mapping)
    recipe.model.check_resolved(recipe)


@pytest.mark.parametrize(
    ("model", "features", "training", "message"),
    [
        ({"delay": 2, "bidirectional": True}, {}, {}, "delay` does not apply here: a bidirectional"),
        ({"delay": 2, "output": "ctc"}, {}, {}, "delay` does not apply here: ctc"),
        ({"beam_size": 2}, {}, {}, "`model.beam_size` only applies with `output: ctc`"),
        ({"output": "crf"}, {}, {"label_smoothing": 0.1}, "label_smoothing` does not apply with crf"),
        ({"output": "crf"}, {"target": {"kind": "notes"}}, {}, "must be tags for .* Received: notes"),
        ({}, {"input": {"unit": "subwords"}}, {}, "must be words or characters"),
        ({}, {"input": {"max_length": 3}}, {}, "max_length` does not apply to a tagger"),
        ({"unknown_words": 0.5}, {"input": {"unit": "characters"}}, {}, "unknown_words` needs words"),
        ({"output": "ctc"}, {"target": {"kind": "tags", "ignore": ["-"]}}, {}, "ignore` does not apply"),
    ],
)
def test_what_a_tagger_has_no_use_for_is_refused(
    model: dict[str, Any], features: dict[str, Any], training: dict[str, Any], message: str
) -> None:
    mapping = {
        "model": {"task": "tagging", **model},
        "features": {"target": {"kind": "tags"}, **features},
        "training": training,
    }
    with pytest.raises(RecipeError, match=message):
        _check(mapping)


def test_options_of_characters_without_characters_are_refused(tmp_path: Path) -> None:
    _files(tmp_path, "a O\nb B-X\n", "a O\n")
    with pytest.raises(RecipeError, match=r"`model\.characters\.hidden_size` only applies with a column whose words"):
        prepare(build_recipe(_recipe(tmp_path, model={"characters": {"hidden_size": 3}})))
