"""What units are worth, where a surprise came from, and where a network would stand still."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import Cli
from tests.unit.exploration.conftest import planted_text

import ostinato
from ostinato.diagnostics import gradient_by_lag
from ostinato.errors import RecipeError, RunError
from ostinato.exploration import Track, ablate_run, attribute, reaching, standing_points
from ostinato.tasks.language_model.diagnosis import language_model_subject
from ostinato.tasks.streaming import Reading

OLD = Path(__file__).parents[2] / "fixtures/old_runs"


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "other.txt"
    path.write_text(planted_text(2, 1200))
    return path


@pytest.fixture(scope="module")
def track(planted: ostinato.Run, text: Path) -> Track:
    return planted.track(text, dtype="float32")


def test_a_unit_that_is_read_is_worth_most(planted: ostinato.Run, text: Path) -> None:
    """The output reads unit 11, and hardly any other."""
    weight = planted.model.output.weight
    before = weight.detach().clone()
    with torch.no_grad():
        weight.mul_(0.01)
        weight[:, 11] = before[:, 11] * 20
    try:
        found = ablate_run(planted, text, num_windows=6, num_steps=20)
        again = planted.ablate(text, num_windows=6, num_steps=20, layer=1)
    finally:
        with torch.no_grad():
            weight.copy_(before)
    assert (found.num_windows, found.num_steps, len(found.units)) == (6, 20, 16)
    assert found.units == again.units
    largest = max(found.units, key=lambda one: abs(one.change))
    assert (largest.part, largest.unit) == ("layer 1.h", 11)
    assert abs(largest.change) > 5 * max(abs(one.change) for one in found.units if one.unit != 11)
    assert [one.change for one in found.units] == sorted((one.change for one in found.units), reverse=True)


def test_an_ablation_is_that_of_an_intervention(planted: ostinato.Run, text: Path) -> None:
    found = ablate_run(planted, text, num_windows=2, num_steps=30)
    explored = planted.explore(text)
    mean = float(explored.series["layer 1.h"][:, 4].mean(dtype=np.float64))
    streaming = planted.spec.streaming(planted.model, planted.features, planted.recipe)
    held = streaming.intervened([f"layer 1.h[4] = {mean!r}"])
    steps = streaming.encode(text.read_text())
    changes = []
    for start in (1, 1 + 30 * ((len(steps) - 1) // 30 - 1)):
        (begun,) = streaming.read([Reading(steps.cut(0, start), streaming.zero(), "none")])
        read = [
            model.read([Reading(steps.cut(start, start + 30), begun.state, "each")])[0] for model in (held, streaming)
        ]
        changed, whole = (np.mean([one["nll"] for one in some.answers]) for some in read)
        changes.append(changed - whole)
    unit = next(one for one in found.units if one.unit == 4)
    assert unit.change == pytest.approx(np.mean(changes), rel=1e-3, abs=1e-6)
    assert unit.error == pytest.approx(np.std(changes, ddof=1) / np.sqrt(2), rel=1e-3, abs=1e-6)
    with pytest.raises(RecipeError, match=r"`layer` must be from 1 to 1\. Received: 2"):
        ablate_run(planted, text, layer=2)
    with pytest.raises(RecipeError, match=r"`num_windows` must be at least 2\. Received: 1"):
        ablate_run(planted, text, num_windows=1)
    with pytest.raises(RecipeError, match=r"two windows of 5000 steps were expected\. Received: 0"):
        ablate_run(planted, text, num_steps=5000)


def test_windows_are_as_short_as_rows_ask_for(planted: ostinato.Run, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("two quick foxes")
    found = ablate_run(planted, tmp_path / "short.txt")
    assert (found.num_steps, found.num_windows) == (6, 2)


def test_attributions_add_up_to_the_surprise(planted: ostinato.Run, track: Track) -> None:
    for at in (2, 40, 700):
        found = attribute(planted, track, at, num_steps=60)
        assert (found.first, len(found.values)) == (max(at - 60, 0), min(at, 60))
        assert found.loss == pytest.approx(track.exploration.columns["surprise"][at], rel=1e-4)
        assert sum(found.values) == pytest.approx(found.loss - found.without, rel=0.02, abs=0.01)
    gradient = attribute(planted, track, 40, "gradient", num_steps=60)
    assert (gradient.loss, len(gradient.values)) == (pytest.approx(gradient.loss), 40)
    with pytest.raises(RecipeError, match="a step with at least 2 before it"):
        attribute(planted, track, 1)


def test_a_network_without_memory_owes_its_surprise_to_the_last_step(planted: ostinato.Run, track: Track) -> None:
    layer = planted.model.encoder.layers[0]
    names = dict(layer.named_parameters())
    before = {name: one.detach().clone() for name, one in names.items()}
    with torch.no_grad():
        names["weight_hh_l0"].zero_()
        names["weight_ih_l0"][16:32].zero_()
        names["bias_ih_l0"][16:32] = -40.0  # every forget gate shut
    try:
        found = attribute(planted, track, 300, num_steps=30).values
    finally:
        with torch.no_grad():
            for name, one in names.items():
                one.copy_(before[name])
    assert max(abs(one) for one in found[:-1]) < 1e-6 < abs(found[-1])


def test_standing_points_of_a_run_lead_to_moments(planted: ostinato.Run, track: Track) -> None:
    found = standing_points(planted, track, token="a", num_starts=12, num_steps=150)
    assert (found.layer, found.reads, found.num_starts) == ("layer 1", "'a'", 12)
    assert len(found.points) == len(found.moments) == len(found.places)
    assert all(0 <= step < track.num_steps for steps in found.moments for step in steps)
    assert "state" not in str(found.to_dict()["points"])
    with pytest.raises(RecipeError, match=r"`layer` must be from 1 to 1\. Received: 3"):
        standing_points(planted, track, layer=3)


def test_moments_that_reach_far_back_are_those_of_the_gradients(planted: ostinato.Run, track: Track) -> None:
    found = reaching(planted, track, 5, num_tried=24, count=24)
    assert (found.layer, found.lag, found.num_tried, len(found.moments)) == ("layer 1", 5, 24, 24)
    assert all(one.at - one.step == 6 for one in found.moments)
    norms = [one.norm for one in found.moments]
    assert norms == sorted(norms, reverse=True)
    assert found.typical == pytest.approx(float(np.exp(np.log(norms).mean())))
    best = next(one for one in found.moments if one.step)
    values = track.examples(best.step, best.at + 1).sequences.values
    subject = language_model_subject(planted.model, values, 1, 6)
    before = (track.pyramids[f"layer 1.{name}"].values[best.step - 1].copy() for name in "hc")
    state = [torch.from_numpy(part)[None, None] for part in before]
    (expected,) = gradient_by_lag(replace(subject, initial=[tuple(state)]))
    assert best.norm == pytest.approx(expected.norms[5], rel=1e-3)
    assert f"[{track.tokens(best.at, best.at + 1)[0]}]" in best.around
    with pytest.raises(RecipeError, match=r"`layer` must be one of layer 1\. Received: 'layer 7'"):
        reaching(planted, track, 5, layer="layer 7", num_tried=1)
    with pytest.raises(RecipeError, match=r"`lag` must be one that a row reaches\. Received: 5000"):
        reaching(planted, track, 5000)


@pytest.mark.parametrize(("name", "layer"), [("classifier_text", "layer 1 reverse"), ("tagger_softmax", "layer 1")])
def test_answers_of_rows_reach_back_within_their_row(
    name: str, layer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(OLD / name, tmp_path / "run")
    (tmp_path / "data").symlink_to(OLD / "data")
    monkeypatch.chdir(tmp_path)
    run = ostinato.load(tmp_path / "run")
    track = run.track(num_steps=400)
    found = reaching(run, track, 2, layer=layer)
    rows, position = track.rows, track.exploration.columns["position"]
    assert all(rows[one.at] == rows[one.step] for one in found.moments)
    if layer.endswith("reverse"):  # which ends at the first step
        assert all(position[one.step] == 2 for one in found.moments)
    else:
        assert all(one.at - one.step == 2 for one in found.moments)
    other = run.track(OLD / "data" / ("words.conll" if name.startswith("tag") else "reviews.csv"), num_steps=30)
    with pytest.raises(RunError, match="must be of the run's validation data"):
        reaching(run, other, 2, layer=layer)


def test_what_a_track_does_not_keep_is_said(track: Track) -> None:
    bare = Track(track.folder, track.facts)
    bare.__dict__["_arrays"] = {name: one for name, one in track._arrays.items() if name != "encoded"}
    with pytest.raises(RunError, match="further columns, or large frames"):
        bare.examples(0, 9)


def test_the_command_ranks_units(planted: ostinato.Run, text: Path, cli: Cli) -> None:
    shown = cli("explore", planted.folder, "--data", text, "--ablate")
    assert shown.code == 0
    assert "nats a step more" in shown.out
    found = json.loads(cli("explore", planted.folder, "--data", text, "--ablate", "--json").out)
    assert (found["num_windows"], len(found["units"])) == (16, 16)
