"""Every change that advice proposes can be made to the recipe of the run it is proposed for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import ostinato
from ostinato.diagnostics import rules_recurrence, rules_training
from ostinato.diagnostics.changes import completed
from ostinato.recipe import apply_overrides, build_recipe
from ostinato.tasks.prepare import prepare
from ostinato.tasks.registry import task_of
from ostinato.training.progress import Observer

POLARITY = Path(__file__).parents[2] / "data" / "polarity.csv"
CLASSIFIER = {"data.train": str(POLARITY), "data.input": "text", "data.target": "label", "model.hidden_size": 8}
CHANGES = (
    "--set model.forget_bias=1",
    "--set model.cell=lstm --set model.forget_bias=1",
    "--set model.recurrent_init=orthogonal",
    "--set model.recurrent_init=orthogonal --set training.clip=norm --set training.max_norm=1",
    "--set model.chrono=40",
    "--set model.cell=elman_layer_norm",
    "--set model.cell=elman",
    "--set model.cell=gru",
    "--set model.hidden_size=4",
    "--set model.decoder.hidden_size=4",
    "--set model.bidirectional=false",
    "--set model.lookback=20",
    "--set features.input.max_length=20",
    "--set training.max_norm=0.2",
    "--set training.clip=norm --set training.max_norm=0.2",
    "--set training.bptt=16",
    "--set training.bptt.window=16",
    "--set training.bptt.backprop=64",
    "--set training.bptt.window=8 --set training.bptt.backprop=16",
    "--set training.bptt.carry_state=true",
)
RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "adaptive clipping": {"training.clip": "adaptive", "training.clip_quantile": 0.3, "training.clip_history": 7},
    "no clipping": {"training.clip": "none"},
    "a gate's bias": {"model.forget_bias": 2.0},
    "gates over distances": {"model.chrono": 9},
    "projection, two states": {"model.proj_size": 5, "model.zoneout": [0.1, 0.2]},
    "weights left out": {"model.weight_dropout": 0.2},
    "windows": {"training.bptt": {"window": 20, "backprop": 60, "truncation": "random"}},
    "both directions": {"model.bidirectional": True},
}


def test_these_are_all_keys_that_advice_sets() -> None:
    source = "".join(Path(str(rules.__file__)).read_text() for rules in (rules_recurrence, rules_training))
    proposed = set(
        re.findall(r"--set ([\w.]+)=", source.replace("{'decoder.' if diagnosis.name == 'decoder' else ''}", ""))
    )
    listed = set(re.findall(r"--set ([\w.]+)=", " ".join(CHANGES)))
    assert proposed <= listed


@pytest.mark.parametrize("options", RECIPES.values(), ids=RECIPES)
def test_a_change_that_is_proposed_can_be_made(options: dict[str, Any]) -> None:
    prepared = prepare(build_recipe(apply_overrides({}, {**CLASSIFIER, **options})))
    written = prepared.recipe.model_dump(mode="json")
    for change in CHANGES:
        found = completed(change, prepared.recipe, prepared.features)
        if found is None:
            continue
        assert found.startswith(change)
        changed = build_recipe(apply_overrides(written, found.split("--set ")[1:]))
        assert changed != prepared.recipe
        again = prepare(changed)
        task_of(again.recipe).build(again.recipe, again.features)


def test_what_a_change_takes_back_is_part_of_it() -> None:
    prepared = prepare(
        build_recipe(
            apply_overrides(
                {}, {**CLASSIFIER, **RECIPES["adaptive clipping"], **RECIPES["a gate's bias"], "model.proj_size": 3}
            )
        )
    )
    assert completed("--set training.clip=norm --set training.max_norm=2", prepared.recipe, prepared.features) == (
        "--set training.clip=norm --set training.max_norm=2 --set training.clip_quantile=0.9 "
        "--set training.clip_history=100"
    )
    assert completed("--set model.chrono=40", prepared.recipe, prepared.features) == (
        "--set model.chrono=40 --set model.forget_bias=null"
    )
    assert completed("--set model.cell=elman", prepared.recipe, prepared.features) == (
        "--set model.cell=elman --set model.forget_bias=null --set model.proj_size=0"
    )
    assert completed("--set training.max_norm=2", prepared.recipe, prepared.features) is None  # adaptive reads none
    assert completed("--set model.forget_bias=2", prepared.recipe, prepared.features) is None  # it is so already
    assert completed("--set model.hidden_size=3", prepared.recipe, prepared.features) is None  # the projection's


def test_a_run_clipped_at_a_low_quantile_is_told_what_its_recipe_takes(tmp_path: Path) -> None:
    settings = {**RECIPES["adaptive clipping"], "model.hidden_size": 6, "training.epochs": 2, "training.num_threads": 1}
    run = ostinato.train(
        POLARITY, input="text", target="label", settings=settings, out=tmp_path / "run", observer=Observer()
    )
    (advice,) = (one for one in run.diagnose(num_rows=8).advice if one.kind == "clipping")
    assert advice.change is not None
    assert advice.change.startswith("--set training.clip=norm --set training.max_norm=")
    assert "threshold a quantile of recent norms" in advice.evidence[1]
    changed = build_recipe(apply_overrides(run.recipe.model_dump(mode="json"), advice.change.split("--set ")[1:]))
    assert changed.training.clip == "norm"
