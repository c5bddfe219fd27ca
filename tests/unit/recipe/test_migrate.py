"""Recipes of version 0.1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ostinato.data.inference.applicability import saved_recipe
from ostinato.recipe import apply_overrides, migrated, read_recipe
from ostinato.recipe.sections import section

OLD_RUNS = sorted((Path(__file__).parents[2] / "fixtures" / "old_runs").glob("*/recipe.yaml"))


def _old(**model: Any) -> dict[str, Any]:
    return {"data": {"train": "t.csv", "time": None}, "model": model, "training": {"epochs": 3}}


def test_options_go_to_their_new_places() -> None:
    forecast = {"time": "date", "channels": ["a"], "lookback": 8, "output": "mae"}
    old = _old(kind="forecaster", hidden_size=4, forecast=forecast, tagger={"output": "softmax"})
    assert migrated(old) == {
        "data": {"train": "t.csv", "time": "date", "channels": ["a"]},
        "model": {"task": "forecasting", "hidden_size": 4, "lookback": 8, "output": "mae"},
        "training": {"epochs": 3},
    }
    old = _old(kind="tagger", tagger={"output": "crf", "delay": 2}, forecast=forecast)
    assert migrated(old)["model"] == {"task": "tagging", "output": "crf", "delay": 2}
    old = _old(kind="next_step", next_step={"recurrence": "note", "output": "autoregressive", "output_size": 3})
    notes = {"output": "autoregressive", "output_size": 3}
    assert migrated(old)["model"] == {"task": "next_step", "recurrence": "note", "notes": notes}


def test_a_recipe_of_today_stays_as_it_is() -> None:
    mapping = {"model": {"task": "tagging", "output": "crf"}}
    assert migrated(mapping) == mapping


def test_what_was_changed_for_nothing_is_told_and_the_rest_left_out() -> None:
    mapping = migrated(_old(kind="tagger", pooling=["last"], ngrams=0, members=3, decoder={"beam_size": 5}))
    recipe, unread = saved_recipe(mapping)
    assert recipe.model == section("tagging").recipe()
    assert unread == {"model.members": 3}


@pytest.mark.parametrize("path", OLD_RUNS, ids=lambda path: path.parent.name)
def test_every_old_run_has_a_recipe_of_today(path: Path) -> None:
    recipe, unread = saved_recipe(migrated(read_recipe(path)))
    assert unread == {}
    assert saved_recipe(recipe.model_dump(mode="json")) == (recipe, {})


@pytest.mark.parametrize(
    ("setting", "section", "key", "value"),
    [
        ("model.kind=forecaster", "model", "task", "forecasting"),
        ("model.forecast.on_gap=fill", "data", "on_gap", "fill"),
        ("model.forecast.series=[store, item]", "data", "series", ["store", "item"]),
        ("model.forecast.time=No", "data", "time", "No"),
        ("model.forecast.horizon=3", "model", "horizon", 3),
        ("model.tagger.output=crf", "model", "output", "crf"),
    ],
)
def test_settings_by_old_names_are_taken_and_said(
    setting: str, section: str, key: str, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert apply_overrides({}, [setting]) == {section: {key: value}}
    assert f"`{setting.partition('=')[0]}` is `{section}.{key}` now" in caplog.text


def test_a_group_that_is_no_group_is_an_option_like_any_other() -> None:
    """A damaged recipe of before: `tagger:` without anything in it."""
    assert migrated({"model": {"kind": "tagger", "tagger": None}})["model"]["tagger"] is None


def test_old_ngrams_have_no_ends() -> None:
    old = migrated({"model": {"task": "classification", "ngrams": 2, "ngram_dropout": 0.5}})["model"]
    assert old == {"task": "classification", "ngrams": 2, "ngram_edges": False, "calibration": "none"}
    assert (
        "ngram_edges" not in migrated({"model": {"task": "classification", "ngrams": 0, "ngram_dropout": 0.5}})["model"]
    )
