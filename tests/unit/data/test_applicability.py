"""Every option that was changed is read by something, or refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ostinato.data.inference.applicability import _RULES, applies, refuse_inapplicable, saved_recipe
from ostinato.errors import RecipeError
from ostinato.recipe import Component, Recipe, apply_overrides, build_recipe
from ostinato.recipe.sections import sections
from ostinato.tasks.prepare import inferred

POLARITY = Path(__file__).parents[2] / "data" / "polarity.csv"
OF_KIND: dict[str, dict[str, Any]] = {
    "classification": {"data.target": "y"},
    "language_model": {},
    "tagging": {"data.target": "y", "features.target.kind": "tags"},
    "seq2seq": {"data.target": "y", "features.target.kind": "text"},
    "conditional": {"data.target": "y", "features.target.kind": "text", "features.input.kind": "category"},
    "next_step": {"features.input.kind": "notes"},
    "forecasting": {},
}


def _recipe(kind: str, **options: Any) -> Recipe:
    given = {"model.task": kind, **OF_KIND[kind], **options}
    return build_recipe(apply_overrides({}, [f"{key}={json.dumps(value)}" for key, value in given.items()]))


def _series() -> dict[str, Any]:
    return {"features.input.kind": "series"}


@pytest.mark.parametrize("kind", OF_KIND)
def test_a_recipe_in_which_nothing_was_changed_is_fine(kind: str) -> None:
    refuse_inapplicable(_recipe(kind))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("forecasting", {"data.extra": ["a"]}, r"`data\.extra` does not apply to a forecaster. Received: \('a',\)"),
        ("forecasting", {"data.distinct": True}, r"`data\.distinct` does not apply to a forecaster"),
        ("forecasting", {"data.session": "a", "data.time": "t"}, r"`data\.session` does not apply to a forecaster"),
        ("forecasting", {"data.where": "a = 1"}, r"`data\.where` does not apply to a forecaster"),
        ("forecasting", {"features.input.unit": "words"}, r"`features\.input\.unit` does not apply to a forecaster"),
        ("forecasting", {"features.input.kind": "audio"}, r"`features\.input\.kind` does not apply to a forecaster"),
        ("forecasting", {"model.embedding_dim": 8}, r"`model\.embedding_dim` does not apply to a forecaster"),
        ("forecasting", {"model.input_noise": 0.1}, r"`model\.input_noise` does not apply to a forecaster"),
        ("forecasting", {"data.sort": True}, r"`data\.sort` only applies with a column of ti"),
        ("forecasting", {"data.test_continues": True}, "only applies with `data.test`"),
        (
            "classification",
            {"data.validation": "v.csv", "training.refit": "all"},
            r"`training\.refit` only applies with a `data\.validation` that is a share",
        ),
        (
            "forecasting",
            {"data.validation": 0.2, "data.split": "last"},
            r"`data\.validation` only applies with `data\.split: null`",
        ),
        ("seq2seq", {"model.decoder.condition": "state"}, r"`model\.decoder\.condition` does not apply to a seq2seq"),
        ("seq2seq", {"model.pooling": ["max"]}, r"`model\.pooling` only applies with a further column"),
        (
            "seq2seq",
            {"model.numbers.components": 2},
            r"`model\.numbers\.components` only applies with frames of nu",
        ),
        ("seq2seq", {"model.decoder.length": 5}, r"`model\.decoder\.length` only applies with frames to write"),
        (
            "classification",
            {"model.numbers.components": 2},
            r"`model\.numbers\.components` does not apply to a classifier",
        ),
        *(
            (
                "seq2seq",
                {"features.target.kind": "series", option: value},
                f"`{option}` only applies with tokens to",
            )
            for option, value in (
                ("model.decoder.beam_size", 3),
                ("model.tie_embeddings", True),
                ("training.label_smoothing", 0.1),
            )
        ),
        (
            "seq2seq",
            {"features.target.kind": "notes", "model.numbers.components": 2},
            r"`model\.numbers\.components` only applies with frames of numbers",
        ),
        (
            "seq2seq",
            {"features.target.kind": "series", "model.notes.output": "nade"},
            r"`model\.notes\.output` only applies with frames of notes",
        ),
        (
            "seq2seq",
            {"features.target.kind": "notes", "model.recurrence": "note"},
            r"`model\.recurrence` does not apply to a seq2seq",
        ),
        (
            "tagging",
            {"features.target.kind": "notes", "features.target.transpose": 2},
            r"`features\.target\.transpose` does not apply to a tagger",
        ),
        ("conditional", {"model.decoder.attention": "none"}, "attention` does not apply to a conditional"),
        ("conditional", {"model.decoder.score": "dot"}, r"`model\.decoder\.score` does not apply to a conditional"),
        ("conditional", {"model.bidirectional": True}, r"`model\.bidirectional` only applies with a sequence"),
        ("conditional", {"model.pooling": ["max"]}, r"`model\.pooling` only applies with a further column"),
        ("language_model", {"data.extra": ["a"]}, r"`data\.extra` does not apply to a language model"),
        ("language_model", {"data.stratify": True}, r"`data\.stratify` does not apply to a language model"),
        ("language_model", {"data.fold": [1, 3]}, r"`data\.fold` does not apply to a language model"),
        ("language_model", {"features.target.kind": "text"}, r"`features\.target\.kind` does not apply to a language"),
        ("next_step", {"model.embedding_std": 1.0}, r"`model\.embedding_std` only applies with a column read as"),
        ("next_step", {"model.input_scale": 0.1}, r"`model\.input_scale` only applies with a column that is read"),
        ("tagging", {"data.stratify": True}, r"`data\.stratify` does not apply to a tagger"),
        ("tagging", {"model.tie_embeddings": True}, r"`model\.tie_embeddings` does not apply to a tagger"),
        (
            "classification",
            _series() | {"model.ngrams": 2},
            r"`model\.ngrams` only applies with a text, or letters",
        ),
        ("classification", _series() | {"training.adversarial": 1.0}, "only applies with an input whose vectors"),
        (
            "classification",
            {"features.target.kind": "number", "training.label_smoothing": 0.1},
            r"`training\.label_smoothing` only applies with classes or labels",
        ),
        ("classification", {"features.target.kind": "class", "features.target.separator": ";"}, "a target of labels"),
    ],
)
def test_what_nothing_would_read_is_refused(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        refuse_inapplicable(_recipe(kind, **options))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("classification", _series() | {"model.input_noise": 0.1, "model.head_size": 3}),
        ("classification", {"features.input": {"kind": "protein", "encoding": "shares"}, "model.input_noise": 0.1}),
        ("classification", _series() | {"features.extra": {"a": {"kind": "category"}}, "model.embedding_dim": 3}),
        ("conditional", {"features.extra": {"a": {"kind": "text"}}, "model.bidirectional": True}),
        ("conditional", {"model.decoder.condition": "state", "model.embedding_dim": 3}),
        ("seq2seq", {"features.input.kind": "series", "model.embedding_dim": 3}),
        ("forecasting", {"data.time": "t", "data.sort": True, "data.validation": 0.2}),
        ("classification", {"data.validation": "v.csv", "data.fold": [1, 3], "training.refit": "all"}),
        ("classification", {"features.target.kind": "auto", "features.target.separator": ";"}),
    ],
)
def test_what_something_reads_is_let_through(kind: str, options: dict[str, Any]) -> None:
    refuse_inapplicable(_recipe(kind, **options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"training.clip_quantile": 0.5}, r"`training\.clip_quantile` only applies with `clip: adaptive`"),
        ({"training.clip": "none", "training.max_norm": 5}, r"`training\.max_norm` only applies with `clip`"),
        ({"training.rollback_factor": 0.1}, r"`training\.rollback_factor` only applies with `on_divergence"),
        ({"training.bptt": {"window": 5, "max_bias": 0.2}}, r"`training\.bptt\.max_bias` only applies with"),
        ({"model.ngram_buckets": 99}, r"`model\.ngram_buckets` only applies with `ngrams`"),
        ({"model.ngram_letters": 3}, r"`model\.ngram_letters` only applies with `ngrams`"),
        ({"model.notes.output_size": 9}, r"`model\.notes\.output_size` only applies with `output: nade"),
        ({"model.segment": 9}, r"`model\.segment` only applies with `strategy: segment`"),
        ({"model.quantiles": [0.5]}, r"`model\.quantiles` only applies with `output`"),
        ({"model.num_samples": 9}, r"`model\.num_samples` only applies with `strategy: auto"),
        ({"features.input.truncate": "head"}, r"`features\.input\.truncate` only applies with `max_length`"),
        (
            {"features.input": {"unit": "characters", "contractions": "keep"}},
            r"`features\.input\.contractions` only applies with `unit: words`",
        ),
        (
            {"features.extra": {"a": {"kind": "tokens", "max_word_length": 9}}},
            r"`features\.extra\.a\.max_word_length` only applies with `characters: true`",
        ),
        (
            {"features.input": {"kind": "audio", "representation": "raw", "num_mels": 9}},
            r"`features\.input\.num_mels` only applies with `representation: log_mel` or `mfcc`",
        ),
        ({"data.test_where": "a = 1"}, r"`data\.test_where` only applies with `test`"),
        ({"data.validation_where": "a = 1"}, r"`data\.validation_where` only applies with a `validation` that"),
        ({"data.validation": "v.csv", "data.split_seed": 2}, r"`data\.split_seed` only applies with a `valida"),
    ],
)
def test_what_needs_another_option_is_refused_without_it(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build_recipe(apply_overrides({}, [f"{key}={json.dumps(value)}" for key, value in options.items()]))


def test_a_target_found_to_be_numbers_is_checked_again(tmp_path: Path) -> None:
    from ostinato.tasks.prepare import prepare

    path = tmp_path / "x.csv"
    path.write_text("text,y\n" + "".join(f"some words {i},{i / 7}\n" for i in range(40)))
    data = {"train": str(path), "input": "text", "target": "y"}
    with pytest.raises(RecipeError, match=r"`training\.label_smoothing` only applies with classes or labels"):
        prepare(build_recipe({"data": data, "training": {"label_smoothing": 0.1}}))


def test_vectors_of_letters_without_a_target_have_nothing_to_learn(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"x": ["a", "b", "c"]}\n' * 5)
    with pytest.raises(RecipeError, match="`x` is read as tokens, so there must be a column to predict") as caught:
        inferred(build_recipe({"data": {"train": str(path), "input": "x"}}))
    assert "--set model.task=forecasting" in str(caught.value.hint)


def test_input_and_channels_of_a_forecaster_must_agree(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "1,2\n" * 50)
    data = {"train": str(path), "input": "a", "channels": ["b"]}
    with pytest.raises(RecipeError, match=r"give one. Received: a and b"):
        inferred(build_recipe({"data": data, "model": {"task": "forecasting"}}))
    resolved = inferred(build_recipe({"data": {"train": str(path), "input": "a"}, "model": {"task": "forecasting"}}))
    assert inferred(resolved).data.channels == ("a",)  # a resolved recipe says both


def test_a_forecaster_reads_no_windows_of_windows(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a\n" + "1\n" * 50)
    mapping = {"data": {"train": str(path)}, "model": {"task": "forecasting"}, "training": {"bptt": 5}}
    with pytest.raises(RecipeError, match=r"`model.task` needs whole rows, but `training.bptt` reads windows of 5"):
        inferred(build_recipe(mapping))


def test_every_rule_is_about_an_option_there_is() -> None:
    known = {path for one in sections() for path in _paths(Recipe(model=one.recipe()))}
    kinds = {"features.input.transpose", "features.target.transpose", "features.extra"}
    assert {key for _, keys in _RULES for key in keys} <= known | kinds


def test_every_need_is_about_an_option_there_is() -> None:
    for component in _subclasses(Component):
        assert set(component.needs) <= set(component.model_fields), component


def test_what_means_nothing_is_left_out_of_a_new_recipe() -> None:
    recipe = inferred(build_recipe({"data": {"train": str(POLARITY), "input": "text", "target": "label"}}))
    assert applies("model.pooling", recipe)
    assert not applies("model.characters", recipe)
    assert "decoder" not in type(recipe.model).model_fields


def _paths(component: BaseModel, path: str = "") -> Iterator[str]:
    for name in type(component).model_fields:
        value = getattr(component, name)
        yield f"{path}{name}"
        if isinstance(value, BaseModel):
            yield from _paths(value, f"{path}{name}.")


def _subclasses(of: type[Component]) -> Iterator[type[Component]]:
    for one in of.__subclasses__():
        yield one
        yield from _subclasses(one)


def test_of_a_saved_recipe_what_nothing_reads_is_left_out_and_told() -> None:
    mapping = _recipe("tagging").model_dump(mode="json")
    assert saved_recipe(mapping) == (_recipe("tagging"), {})
    mapping["model"]["tie_embeddings"] = True
    mapping["model"]["ngram_buckets"] = 99
    mapping["training"]["clip_quantile"] = 0.5
    recipe, left_out = saved_recipe(mapping)
    assert recipe == _recipe("tagging")
    assert left_out == {
        "model.tie_embeddings": True,
        "model.ngram_buckets": 99,
        "training.clip_quantile": 0.5,
    }
    with pytest.raises(RecipeError, match="hidden_size"):
        saved_recipe({**mapping, "model": {"hidden_size": -1}})
