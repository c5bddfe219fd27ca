"""Recipes: every mistake named by its path, overrides, and what is written reads back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ostinato.errors import RecipeError
from ostinato.recipe import (
    Recipe,
    apply_overrides,
    build_recipe,
    dump_recipe,
    load_recipe,
    read_recipe,
    ready_recipes,
    recipe_schema,
)
from ostinato.recipe.auto import for_task
from ostinato.recipe.model import WriterRecipe
from ostinato.recipe.sections import entries


def _refused(mapping: dict[Any, Any]) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        build_recipe(mapping)
    return caught.value


@pytest.mark.parametrize(
    ("mapping", "message", "hint"),
    [
        ({"modle": {}}, "unknown key `modle` in the recipe.", "did you mean model?"),
        ({"model": {"hiden_size": 3}}, "unknown key `model.hiden_size` in the recipe.", "did you mean hidden_size?"),
        ({"features": {"input": {"max_sze": 3}}}, "unknown key `features.input.max_sze` in", "did you mean max_size?"),
        (
            {"features": {"input": {"transpose": 3}}},
            "unknown key `features.input.transpose` in the recipe.",
            "it is a key of kind notes: --set features.input.kind=notes",
        ),
        ({"features": {"zzz": 3}}, "unknown key `features.zzz` in the recipe.", "keys: input, target"),
        ({"data": {"shuffle": 3}}, "unknown key `data.shuffle` in the recipe.", "keys: train, validation, test"),
        ({"data": {"float": 3}}, "unknown key `data.float` in the recipe.", "did you mean format?"),
        ({"model": {"decoder": {"brige": 3}}}, "unknown key `model.decoder.brige` in", "did you mean bridge?"),
        (
            {"model": {"task": "tagging", "delya": 3}},
            "unknown key `model.delya` in the recipe.",
            "did you mean delay?",
        ),
        (
            {"model": {"task": "tagging", "tie_embeddings": True}},
            "`model.tie_embeddings` does not apply to a tagger. Received: True.",
            "only a conditional or language model or seq2seq uses it: --set model.task=conditional",
        ),
        (
            {"model": {"task": "conditional", "decoder": {"bridge": "sum"}}},
            "`model.decoder.bridge` does not apply to a conditional. Received: 'sum'.",
            "only a seq2seq uses it: --set model.task=seq2seq",
        ),
        (
            {"model": {"task": "tagging", "decoder": {"bridge": "sum"}}},
            "`model.decoder.bridge` does not apply to a tagger. Received: 'sum'.",
            "only a conditional or seq2seq uses it",
        ),
        ({"model": {"kind": "tagger"}}, "unknown key `model.kind` in the recipe.", "it is `model.task: tagging` now"),
        (
            {"model": {"forecast": {"lookback": 3, "time": "date"}}},
            "unknown key `model.forecast` in the recipe.",
            "it is `model.lookback`, `data.time` now",
        ),
        (
            {"model": {"next_step": {"output": "nade"}}},
            "unknown key `model.next_step` in the recipe.",
            "it is `model.notes.output` now",
        ),
        ({"model": {"task": "tagger"}}, "`model.task` must be one of 'auto', 'cl", "it is `model.task: tagging` now"),
    ],
)  # fmt: skip
def test_unknown_keys(mapping: dict[str, Any], message: str, hint: str) -> None:
    error = _refused(mapping)
    assert error.message.startswith(message)
    assert error.hint is not None
    assert error.hint.startswith(hint)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"model": {"hidden_size": -3}}, "`model.hidden_size` must be a positive integer. Received: -3."),
        ({"model": {"hidden_size": "big"}}, "`model.hidden_size` must be an integer. Received: 'big'."),
        ({"training": {"epochs": 2.5}}, "`training.epochs` must be an integer. Received: 2.5."),
        ({"training": {"epochs": True}}, "`training.epochs` must be a number. Received: true."),
        ({"training": {"learning_rate": True}}, "`training.learning_rate` must be a number. Received: true."),
        ({"training": {"learning_rate": 0.0}}, "`training.learning_rate` must be a positive number. Received: 0.0."),
        ({"training": {"learning_rate": float("inf")}}, "`training.learning_rate` must be a finite number."),
        ({"training": {"warmup_steps": -1}}, "`training.warmup_steps` must be greater than or equal to 0."),
        ({"training": {"label_smoothing": 1.0}}, "`training.label_smoothing` must be less than 1.0. Received: 1.0."),
        (
            {"training": {"clip": None}},
            "`training.clip` must be one of 'norm', 'value', 'group', 'adaptive' or 'none'. Received: None.",
        ),
        ({"training": {"device": "tpu"}}, "`training.device` must be a string that matches"),
        ({"model": {"bidirectional": "maybe"}}, "`model.bidirectional` must be true or false. Received: 'maybe'."),
        (
            {"model": {"output": "top"}},
            "`model.output` must be one of 'mse', 'mae', 'huber', 'quantiles', 'gaussian', 'student_t' or "
            "'negative_binomial' or one of 'softmax', 'crf' or 'ctc'. Received: 'top'.",
        ),
        ({"model": {"pooling": "last"}}, "`model.pooling` must be a list. Received: 'last'."),
        ({"model": {"pooling": []}}, "`model.pooling` must be a list of at least one item. Received: []."),
        ({"model": {"pooling": ["top"]}}, "`model.pooling` must be one of 'last', 'mean', 'max' or 'attention'. R"),
        ({"model": {"zoneout": [0.1] * 3}}, "`model.zoneout` must be a list of at most 2 items. Received: [0.1, 0.1"),
        ({"model": {"zoneout": [1.0]}}, "`model.zoneout` must be less than 1.0. Received: 1.0."),
        ({"model": {"zoneout": 0.1}}, "`model.zoneout` must be a list. Received: 0.1."),
        ({"model": {"recurrent_dropout": 1.0}}, "`model.recurrent_dropout` must be less than 1.0. Received: 1.0."),
        ({"model": {"weight_dropout": -0.1}}, "`model.weight_dropout` must be greater than or equal to 0.0."),
        ({"model": {"proj_size": 128}}, "`model.proj_size` must be below hidden_size (128). Received: 128."),
        ({"model": {"task": "language_model", "bidirectional": True}}, "`model.bidirectional` must be false for a"),
        ({"model": None}, "`model` must be a mapping of keys to values. Received: None."),
        ({"data": {"train": 3}}, "`data.train` must be a string. Received: 3."),
        ({"data": {"validation": 2.0}}, "`data.validation` must be less than 1.0 or a string. Received: 2.0."),
        ({"data": {"validation": [1]}}, "`data.validation` must be a number or a string. Received: [1]."),
        ({"name": ""}, "`name` must name a folder below `runs`"),
        ({"name": "a/b"}, "`name` must name a folder below `runs`"),
        ({5: 3}, "a key of a recipe must be a string. Received: 5."),
    ],
)  # fmt: skip
def test_wrong_values(mapping: dict[Any, Any], message: str) -> None:
    assert _refused(mapping).message.startswith(message)


def test_several_mistakes_are_all_named() -> None:
    error = _refused({"model": {"hidden_size": 0, "num_layrs": 2}, "training": {"epochs": "x"}})
    assert len(error.message.splitlines()) == 3
    assert error.hint == "did you mean num_layers?"


def test_a_recipe_is_frozen() -> None:
    with pytest.raises(ValidationError):
        Recipe().model.hidden_size = 3  # type: ignore[misc]


def test_set() -> None:
    mapping = {"model": {"hidden_size": 3}}
    settings_ = ["model.hidden_size=8", "training.epochs=3", "model.pooling=[last, max]", "data.target=null"]
    settings_ += ["training.learning_rate=1e-3", " name = x=y "]
    result = apply_overrides(mapping, settings_)
    assert result == {
        "model": {"hidden_size": 8, "pooling": ["last", "max"]},
        "training": {"epochs": 3, "learning_rate": "1e-3"},
        "data": {"target": None},
        "name": "x=y",
    }
    assert mapping == {"model": {"hidden_size": 3}}
    recipe = build_recipe(result)
    assert recipe.training.learning_rate == 1e-3
    assert recipe.model.pooling == ("last", "max")


def test_set_by_name_takes_values_as_they_are() -> None:
    given = {"model.hidden_size": 8, "training.learning_rate": 1e-5, "data.input": "3"}
    assert apply_overrides({"model": {"hidden_size": 3}}, given) == {
        "model": {"hidden_size": 8},
        "training": {"learning_rate": 1e-5},
        "data": {"input": "3"},
    }


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epochs", "`--set` needs key=value. Received: 'epochs'."),
        ("=3", "`--set` needs key=value. Received: '=3'."),
        ("a.b=[1", "`--set a.b` has a value that can't be read. Received: '[1'."),
        ("name.x=3", "`name.x` can't be set: `name` is a value, not a group of keys."),
    ],
)
def test_set_that_can_not_be_done(setting: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        apply_overrides({"name": "run"}, [setting])
    assert caught.value.message == message


SOME_RECIPES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(min_size=1, max_size=9).filter(lambda s: not set(s) & set("/\\\0") and s not in (".", "..")),
        "data": st.fixed_dictionaries(
            {"validation": st.floats(0.01, 0.99) | st.sampled_from(["v.csv", "0.2"])},
            optional={"target": st.none() | st.text(max_size=5)},
        ),
        "training": st.fixed_dictionaries({"learning_rate": st.floats(1e-9, 10), "patience": st.none() | st.just(2)}),
        "model": st.fixed_dictionaries(
            {"pooling": st.lists(st.sampled_from(["last", "mean"]), min_size=1), "bidirectional": st.booleans()}
        ),
    },
)


@settings(max_examples=50, deadline=None)
@given(SOME_RECIPES)
def test_what_is_written_reads_back_equal(mapping: dict[str, Any]) -> None:
    recipe = build_recipe(mapping)
    assert build_recipe(yaml.safe_load(dump_recipe(recipe))) == recipe


@pytest.mark.parametrize("name", ["a\x85b", "\u2028", "a\u2029"])
def test_line_breaks_of_unicode_survive(name: str) -> None:
    assert yaml.safe_load(dump_recipe(build_recipe({"name": name})))["name"] == name


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("model:\n  hidden_size: 8\n", encoding="utf-8")
    assert load_recipe(path, ["model.num_layers=2"]).model.num_layers == 2
    path.write_text("")
    assert load_recipe(path) == Recipe()
    for content, message in (
        ("- a\n", "must hold a mapping of keys to values. Received: list."),
        ("a: [1\n", "is not a YAML file: "),
        ("a: !!python/object:os.system x\n", "is not a YAML file: "),
        ("model:\n  hidden_size: 8\n  hidden_size: 9\n", "the key hidden_size occurs twice"),
    ):
        path.write_text(content)
        with pytest.raises(RecipeError) as caught:
            read_recipe(path)
        assert message in caught.value.message
    path.write_bytes(b"name: caf\xe9\n")
    with pytest.raises(RecipeError, match="is not a YAML file"):
        read_recipe(path)


def test_a_name_that_is_no_file_gets_the_nearest_ready_one() -> None:
    with pytest.raises(RecipeError) as caught:
        read_recipe("imbd")
    assert caught.value.message == "no recipe file `imbd`."
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("did you mean imdb? Ready recipes: ")


@pytest.mark.parametrize("name", ready_recipes())
def test_ready_recipes_are_valid(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.data.train is not None
    assert build_recipe(recipe.model_dump()) == recipe


def test_there_are_ready_recipes() -> None:
    assert {"imdb", "imdb-textbook", "island"} <= set(ready_recipes())


def test_schema_names_every_key_with_its_default() -> None:
    schema = json.loads(json.dumps(Recipe.model_json_schema()))
    assert set(schema["properties"]) == set(Recipe.model_fields)
    text = schema["$defs"]["TextRecipe"]
    assert text["additionalProperties"] is False
    assert text["properties"]["min_frequency"]["default"] == 1


def test_schema_tells_sections_apart_by_task() -> None:
    model = recipe_schema()["properties"]["model"]
    assert model["discriminator"]["propertyName"] == "task"
    assert set(model["discriminator"]["mapping"]) == {"auto", *entries()}
    tagging = recipe_schema()["$defs"]["TaggingRecipe"]
    assert tagging["additionalProperties"] is False
    assert "delay" in tagging["properties"]
    assert "pooling" not in tagging["properties"]


def test_an_open_section_keeps_what_was_given_until_the_task_is_known() -> None:
    recipe = build_recipe({"model": {"pooling": ["max"], "decoder": {"attention": "none"}, "hidden_size": 8}})
    given = {"task": "auto", "pooling": ["max"], "decoder": {"attention": "none"}, "hidden_size": 8}
    assert recipe.model_dump(mode="json")["model"] == given
    known = build_recipe({"model": for_task(recipe.model, "seq2seq")})
    assert isinstance(known.model, WriterRecipe)
    assert (known.model.pooling, known.model.hidden_size) == (("max",), 8)
    with pytest.raises(RecipeError, match=r"`model\.decoder\.attention` does not apply to a classifier"):
        build_recipe({"model": for_task(recipe.model, "classification")})


def test_validating_recipes_loads_no_torch() -> None:
    code = """
import sys
from ostinato.recipe import build_recipe, ready_recipes, load_recipe
[load_recipe(name) for name in ready_recipes()]
build_recipe({"model": {"hidden_size": 3}})
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("data.input=Yes", "Yes"),
        ("data.target=1", "1"),
        ("data.session=2021-01-01", "2021-01-01"),
        ("data.time=#", "#"),
        ("features.target.separator=|", "|"),
        ("data.input='a b'", "a b"),
        ("data.target=null", None),
        ("data.channels=[1, No, null]", ["1", "No", None]),
        ("data.validation=0.2", 0.2),
        ("data.stratify=yes", True),
        ("training.epochs=3", 3),
    ],
)
def test_what_is_typed_for_a_text_is_taken_as_typed(setting: str, value: object) -> None:
    found: object = apply_overrides({}, [setting])
    for key in setting.partition("=")[0].split("."):
        assert isinstance(found, dict)
        found = found[key]
    assert found == value


@pytest.mark.parametrize("name", ["base64", "rot13", "cp99999", ""])
def test_an_encoding_must_be_a_codec_of_texts(name: str) -> None:
    with pytest.raises(RecipeError, match=r"`data.encoding` must be auto or a codec of Python"):
        build_recipe({"data": {"encoding": name}})
