"""Clipping of gradients: each kind's defining property, and what is told about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ostinato.recipe import TrainingRecipe, build_recipe
from ostinato.report import head as report_head
from ostinato.storage.log import read_log
from ostinato.training.clipping import Clipper, parameter_groups
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe


def _model(*values: list[float]) -> nn.ParameterList:
    parameters = nn.ParameterList([nn.Parameter(torch.zeros(len(v))) for v in values])
    for parameter, value in zip(parameters, values, strict=True):
        parameter.grad = torch.tensor(value)
    return parameters


def _gradients(model: nn.Module) -> list[float]:
    return torch.cat([p.grad for p in model.parameters() if p.grad is not None]).tolist()


def test_by_norm_scales_all_gradients_together() -> None:
    model = _model([3.0, 0.0], [4.0])
    found = Clipper(model, TrainingRecipe(clip="norm", max_norm=1.0))()
    assert (found.norm, found.threshold, found.groups) == (pytest.approx(5.0), 1.0, ("all",))
    assert _gradients(model) == pytest.approx([0.6, 0.0, 0.8])
    assert found.event() == {"gradient_norm": pytest.approx(5.0), "clipped": True, "clip_threshold": 1.0}


def test_small_gradients_are_left_alone() -> None:
    model = _model([0.3, 0.4])
    found = Clipper(model, TrainingRecipe(clip="norm", max_norm=1.0))()
    assert (found.norm, found.groups) == (pytest.approx(0.5), ())
    assert _gradients(model) == pytest.approx([0.3, 0.4])


def test_by_value_and_none() -> None:
    model = _model([3.0, -0.5])
    nothing = Clipper(model, TrainingRecipe(clip="none"))()
    assert (nothing.norm, nothing.threshold, nothing.groups) == (pytest.approx(9.25**0.5), None, ())
    assert Clipper(model, TrainingRecipe(clip="value", max_norm=1.0))().groups == ("all",)
    assert _gradients(model) == [1.0, -0.5]
    assert Clipper(model, TrainingRecipe(clip="value", max_norm=1.0))().groups == ()


def test_by_group_each_part_by_its_own_norm() -> None:
    model = nn.ModuleDict(
        {"embedding": nn.Linear(1, 2, bias=False), "layers": nn.ModuleList([nn.Linear(1, 1, bias=False)])}
    )
    model["output"] = nn.Linear(1, 1, bias=False)
    for parameter, value in zip(model.parameters(), ([[3.0], [4.0]], [[0.5]], [[20.0]]), strict=True):
        parameter.grad = torch.tensor(value)
    assert list(parameter_groups(model)) == ["embedding", "layer 1", "head"]
    found = Clipper(model, TrainingRecipe(clip="group", max_norm=1.0))()
    assert found.groups == ("embedding", "head")
    flat = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).tolist()
    assert flat == pytest.approx([0.6, 0.8, 0.5, 1.0])
    assert found.event()["clipped_groups"] == ["embedding", "head"]
    assert found.event()["group_norms"] == pytest.approx({"embedding": 5.0, "layer 1": 0.5, "head": 20.0})


def test_adaptive_clips_to_a_quantile_of_the_recent_norms() -> None:
    norms = np.random.default_rng(0).lognormal(size=400)
    clipper = Clipper(_model([1.0]), TrainingRecipe(clip="adaptive", clip_quantile=0.8, clip_history=50))
    shares = []
    for step, norm in enumerate(norms):
        model = _model([float(norm)])
        clipper._groups = parameter_groups(model)
        found = clipper()
        expected = float(np.quantile(norms[max(0, step - 49) : step + 1], 0.8))
        assert found.threshold == pytest.approx(expected, rel=1e-6)
        assert _gradients(model)[0] == pytest.approx(min(norm, expected), rel=1e-5)
        shares.append(bool(found.groups))
    assert np.mean(shares) == pytest.approx(0.2, abs=0.06)
    again = Clipper(_model([1.0]), TrainingRecipe(clip="adaptive", clip_quantile=0.8, clip_history=50))
    again.restore(clipper.tensors())
    assert again.history == clipper.history


def test_what_is_not_finite_is_left_for_its_norm_to_tell() -> None:
    model = _model([torch.inf, 1.0])
    clipper = Clipper(model, TrainingRecipe(clip="adaptive"))
    assert clipper().norm == torch.inf
    assert not clipper.history
    assert _gradients(model) == [torch.inf, 1.0]


def test_parameters_without_a_gradient_are_passed_over() -> None:
    model = _model([3.0])
    model.append(nn.Parameter(torch.zeros(2)))
    assert Clipper(model, TrainingRecipe())().norm == pytest.approx(3.0)


@pytest.mark.parametrize("clip", ["norm", "value", "group", "adaptive", "none"])
def test_every_step_of_a_run_tells_what_was_clipped(clip: str, polarity: Path, tmp_path: Path) -> None:
    training: dict[str, Any] = {"epochs": 1, "clip": clip, "num_threads": 1}
    if clip not in ("adaptive", "none"):
        training["max_norm"] = 0.05
    recipe = build_recipe(
        {
            "data": {"train": str(polarity), "input": "text", "target": "label"},
            "model": {"embedding_dim": 4, "hidden_size": 5},
            "training": training,
        }
    )
    folder = train_recipe(recipe, tmp_path / "run", Observer())
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    steps = [event for event in events if event["kind"] == "step"]
    assert all(("clip_threshold" in event) == (clip != "none") for event in steps)
    assert any(event["clipped"] for event in steps) == (clip != "none")
    named = {name for event in steps for name in event.get("clipped_groups", ())}
    assert named <= {"embedding", "layer 1", "head"}
    assert bool(named) == (clip == "group")
    curves = report_head.curves(*read_log(folder / "log.jsonl"), recipe.training, (1.0, "nats"))
    assert curves is not None
    assert (curves["clipped"] is not None) == (clip != "none")
    assert {name for name, _ in curves["clipped_groups"]} == named
    assert ("clipped above" in curves["gradient"]) == (clip in ("norm", "adaptive"))
