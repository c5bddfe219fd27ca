"""What a recipe without epochs leaves open is planned from its data; what is set stands; a budget of steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import Cli

import ostinato
from ostinato.api import resume
from ostinato.recipe import Recipe, described, read_recipe
from ostinato.storage.log import read_log
from ostinato.tasks.plan import Shape
from ostinato.tasks.prepare import prepare
from ostinato.tasks.registry import task_of
from ostinato.training.denormals import flushed_denormals
from ostinato.training.progress import Observer

BRIEF = {"training.baselines_seconds": 0, "training.num_threads": 1}


@pytest.fixture
def waves(tmp_path: Path) -> Path:
    """40 rows of 12 numbers, of two kinds."""
    draw = np.random.default_rng(0)
    path = tmp_path / "waves.csv"
    rows = [(np.sin(np.arange(12) * (1 + k % 2) / 2) + 0.1 * draw.normal(size=12)).round(2).tolist() for k in range(40)]
    path.write_text("x,y\n" + "".join(f'"{row}",{"ab"[k % 2]}\n' for k, row in enumerate(rows)))
    return path


def _recipe(path: Path, **settings: Any) -> Recipe:
    return described(path, input="x", target="y", settings={key.replace("__", "."): v for key, v in settings.items()})


def test_what_is_open_is_planned_and_said(waves: Path) -> None:
    said: list[str] = []
    prepared = prepare(_recipe(waves), said.append)
    recipe: Any = prepared.recipe
    assert (recipe.model.cell, recipe.model.bidirectional, recipe.model.pooling) == (
        "gru",
        True,
        ("last", "max", "mean"),
    )
    assert recipe.training.steps >= 500
    assert recipe.training.max_minutes == 2
    assert recipe.training.keep == "last"  # four rows choose no epoch
    assert said[-2:] == prepared.notes[-2:]
    assert said[-2] == f"plan: {recipe.training.plan}" == "plan: series: 36 rows of 12 steps, 2 classes"
    assert said[-1].startswith(f"budget: {recipe.training.steps} steps, at most 2 minutes; --minutes M gives more")


def test_what_a_user_sets_stands(waves: Path) -> None:
    recipe: Any = prepare(_recipe(waves, model__hidden_size=5, model__cell="lstm", training__keep="best")).recipe
    assert (recipe.model.hidden_size, recipe.model.cell, recipe.training.keep) == (5, "lstm", "best")
    assert recipe.model.bidirectional
    usual: Any = prepare(_recipe(waves, model__bidirectional=False)).recipe  # as it is when nothing is said, and said
    assert not usual.model.bidirectional


def test_what_contradicts_a_user_is_left_out(waves: Path) -> None:
    recipe: Any = prepare(_recipe(waves, training__bptt=5)).recipe
    assert not recipe.model.bidirectional
    assert not recipe.model.convolution.channels
    assert recipe.model.cell == "gru"


def test_epochs_are_no_plan(waves: Path) -> None:
    recipe: Any = prepare(_recipe(waves, training__epochs=3)).recipe
    assert (recipe.model.cell, recipe.training.steps, recipe.training.plan) == ("lstm", None, None)


def test_more_minutes_are_more_steps(waves: Path) -> None:
    two, eight, brief = (
        prepare(_recipe(waves, **({"training__max_minutes": minutes} if minutes else {}))).recipe.training
        for minutes in (None, 8, 0.5)
    )
    assert eight.steps == 4 * (two.steps or 0)
    assert (brief.steps, brief.max_minutes) == (two.steps, 0.5)


def test_many_rows_choose_their_epoch(waves: Path) -> None:
    recipe = prepare(_recipe(waves)).recipe
    many = Shape(rows=5000, steps=60_000, typical=12, longest=12, width=1, classes=2, form="vectors")
    assert many.is_small is False
    assert "training.keep" not in task_of(recipe).plan(many, recipe).options
    assert str(Shape(5000, 60_000, 12, 15, 3, 0, "vectors")) == "5,000 rows of about 12 steps, 3 channels"


def test_the_saved_recipe_trains_the_same_again(waves: Path, tmp_path: Path, cli: Cli) -> None:
    options = [part for key, value in {**BRIEF, "training.steps": 7}.items() for part in ("--set", f"{key}={value}")]
    done = cli("train", waves, "--input", "x", "--target", "y", "--out", tmp_path / "a", *options)
    assert done.code == 0
    assert "training.steps = 7 reached · 7 steps" in done.err
    assert "plan: series" in done.err
    assert cli("train", "--recipe", tmp_path / "a" / "recipe.yaml", "--out", tmp_path / "b").code == 0
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
    assert first == second
    assert read_recipe(tmp_path / "a" / "recipe.yaml") == read_recipe(tmp_path / "b" / "recipe.yaml")


def test_a_budget_of_steps_is_scored_now_and_then_and_can_grow(waves: Path, tmp_path: Path) -> None:
    settings = {**BRIEF, "training.schedule": "constant", "model.hidden_size": 3, "model.convolution.channels": []}
    runs: dict[str, Any] = {}
    for name, steps in (("whole", 50), ("half", 25)):
        wanted = {**settings, "training.steps": steps}
        observer = Observer()
        runs[name] = ostinato.train(
            waves, input="x", target="y", settings=wanted, out=tmp_path / name, observer=observer
        )
    resume(tmp_path / "half", {"training.steps": 50}, Observer())
    assert (tmp_path / "half" / "model.safetensors").read_bytes() == (
        tmp_path / "whole" / "model.safetensors"
    ).read_bytes()
    steps = [one["step"] for one in read_log(tmp_path / "whole" / "log.jsonl")[1]]
    assert len(steps) <= 21
    assert steps[-1] == 50
    assert json.loads((tmp_path / "whole" / "summary.json").read_text())["steps"] == 50


def test_a_budget_of_nothing(waves: Path, cli: Cli) -> None:
    refused = cli("train", waves, "--input", "x", "--target", "y", "--minutes", "0")
    assert refused.code == 1
    assert "`training.max_minutes` must be a positive number. Received: 0.0." in refused.err


def test_tiny_numbers_are_zero_while_training_and_only_then() -> None:
    tiny = torch.tensor(1e-39)
    with flushed_denormals():
        assert float(tiny * 0.5) == 0
    assert float(tiny * 0.5) > 0
