"""Frames that are written: how many, drawn or the most expected, the same for a seed; what goes on after a prompt."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import ostinato
from ostinato.data.features.series import SeriesFeature
from ostinato.errors import RecipeError, RunError
from ostinato.layers.frame_decoder import FrameDecoder
from ostinato.layers.frames import Frames, NoteFrames, PictureFrames
from ostinato.recipe import build_recipe
from ostinato.recipe.kinds import SeriesRecipe
from ostinato.tasks.frames.sampling import write_frames
from ostinato.tasks.next_step.model import NextStep
from ostinato.tasks.next_step.recipe import NextStepRecipe
from ostinato.tasks.next_step.sampling import compose, next_frames
from ostinato.tasks.seq2seq.recipe import SequenceToSequenceRecipe
from ostinato.training.progress import Observer
from ostinato.types import Ragged

PAIRS = Frames(2)
FEATURE = SeriesFeature.fit(SeriesRecipe(), np.asarray([[1.0, 10.0], [3.0, 30.0], [8.0, 80.0]]))


def _decoder(hazard: float | None = None, *, frames: Frames = PAIRS, **decoder: Any) -> FrameDecoder:
    torch.manual_seed(0)
    made = FrameDecoder(SequenceToSequenceRecipe.model_validate({"hidden_size": 4, "decoder": decoder}), frames).eval()
    if hazard is not None and made.end is not None:
        nn.init.zeros_(made.end.weight)
        nn.init.constant_(made.end.bias, math.log(hazard / (1 - hazard)))
    return made


def _write(decoder: FrameDecoder, num_rows: int = 1, seed: int = 0, **options: Any) -> list[torch.Tensor]:
    writing = decoder.begin(decoder.zero_states(num_rows))
    return write_frames(decoder, writing, generator=torch.Generator().manual_seed(seed), **options)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("hazard", [0.1, 0.5])
def test_with_a_constant_hazard_lengths_are_geometric_whatever_the_temperature(
    hazard: float, temperature: float
) -> None:
    rows = _write(_decoder(hazard), 4000, max_frames=400, temperature=temperature)
    lengths = torch.tensor([len(row) for row in rows]).double()
    assert lengths.min() == 1
    assert lengths.mean().item() == pytest.approx(1 / hazard, rel=0.06)
    assert (lengths == 2).double().mean().item() == pytest.approx(hazard * (1 - hazard), rel=0.25)


@pytest.mark.parametrize("hazard", [0.02, 0.1, 0.3, 0.7])
def test_at_temperature_0_the_length_is_the_median(hazard: float) -> None:
    (row,) = _write(_decoder(hazard), max_frames=100, temperature=0.0)
    assert len(row) == next(t for t in range(1, 100) if 1 - (1 - hazard) ** t > 0.5)


def test_rows_end_each_in_their_own_time_and_are_written_as_if_alone() -> None:
    decoder = _decoder()
    assert decoder.end is not None
    nn.init.normal_(decoder.end.weight, std=4.0)
    states = [tuple(3 * torch.randn(part.shape[0], 6, part.shape[2]) for part in s) for s in decoder.zero_states(1)]
    together = write_frames(decoder, decoder.begin(states), max_frames=60, temperature=0.0)
    assert len({len(row) for row in together}) > 2
    for number, row in enumerate(together):
        own = [tuple(part[:, number : number + 1] for part in state) for state in states]
        (alone,) = write_frames(decoder, decoder.begin(own), max_frames=60, temperature=0.0)
        torch.testing.assert_close(alone, row)


def test_no_more_frames_than_asked_for_and_a_set_length_is_kept() -> None:
    assert {len(row) for row in _write(_decoder(1e-6), 5, max_frames=7)} == {7}
    for temperature in (0.0, 1.0):
        for most, length in ((9, 5), (5, 5), (2, 2)):
            rows = _write(_decoder(length=5), 3, max_frames=most, temperature=temperature)
            assert [tuple(row.shape) for row in rows] == [(length, 2)] * 3


def test_what_is_most_expected_is_told_what_it_expected() -> None:
    decoder = _decoder(length=6)
    (row,) = _write(decoder, max_frames=6, temperature=0.0)
    read = decoder.outputs(
        decoder.inputs_and_targets(Ragged.from_rows(row, [0], [6]))[0], decoder.zero_states(1), None
    )[0].values
    torch.testing.assert_close(decoder.output.sample(read, temperature=0.0), row)


def test_frames_come_as_they_are_stored() -> None:
    (picture,) = _write(_decoder(frames=PictureFrames(3), length=4), max_frames=4)
    assert (picture.dtype, picture.shape) == (torch.uint8, (4, 3))
    (notes,) = _write(_decoder(frames=NoteFrames(3), length=30), max_frames=30)
    assert set(notes.unique().tolist()) <= {0, 1}


@pytest.fixture(scope="module")
def curves(tmp_path_factory: pytest.TempPathFactory) -> ostinato.Run:
    folder = tmp_path_factory.mktemp("curves")
    random = np.random.default_rng(0)
    rows = [
        {"way": way, "curve": [float(sign * k + random.normal() / 9) for k in range(int(random.integers(4, 9)))]}
        for way, sign in (("rising", 1), ("falling", -1))
        for _ in range(20)
    ]
    (folder / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {
        "data": {"train": str(folder / "c.jsonl"), "input": "way", "target": "curve", "validation": 0.2},
        "features": {"input": {"kind": "category"}, "target": {"kind": "series"}},
        "model": {"task": "conditional", "hidden_size": 8},
        "training": {"epochs": 2, "num_threads": 1, "baselines_seconds": 0},
    }
    return ostinato.train(recipe=build_recipe(recipe), out=folder / "run", observer=Observer())


def _draw(run: ostinato.Run, given: Any = "rising", **options: Any) -> list[Any]:
    return run.generation(condition=given, **options).frames or []


def test_the_same_seed_draws_the_same_frames(curves: ostinato.Run) -> None:
    first = _draw(curves, num=3, seed=1)
    for one, again in zip(first, _draw(curves, num=3, seed=1), strict=True):
        assert np.array_equal(one, again)
    others = _draw(curves, num=3, seed=2)
    assert any(a.shape != b.shape or not np.allclose(a, b) for a, b in zip(first, others, strict=True))
    assert not np.array_equal(first[0][:1], first[1][:1])
    assert max(map(len, _draw(curves, num=20, max_new_tokens=3))) <= 3
    longest = curves.recipe.model.decoder.max_new_tokens
    assert longest == 2 * 8  # twice the longest of training
    assert max(map(len, _draw(curves, num=200))) <= longest


def test_at_temperature_0_no_seed_matters_and_what_is_given_does(curves: ostinato.Run) -> None:
    one, other = (_draw(curves, seed=seed, temperature=0.0)[0] for seed in (1, 2))
    assert np.array_equal(one, other)
    falling = _draw(curves, "falling", temperature=0.0)[0]
    assert one.shape != falling.shape or not np.allclose(one, falling)


def test_drawing_leaves_the_model_as_it_was(curves: ostinato.Run) -> None:
    model = curves.model
    for training in (True, False):
        model.train(training)
        _draw(curves)
        assert model.training == training


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num": 0}, RecipeError, r"`num` must be a positive integer\. Received: 0"),
        ({"temperature": -0.5}, RecipeError, r"`temperature` must not be negative\. Received: -0\.5"),
        ({"max_new_tokens": 0}, RecipeError, r"`max_new_tokens` must be a positive integer\. Received: 0"),
        ({"given": "risin"}, RunError, r"`way` must be one of falling, rising\. Received: 'risin'"),
    ],
)
def test_what_can_not_be_drawn_is_refused(
    curves: ostinato.Run, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        _draw(curves, **options)
    assert error is not RunError or "did you mean rising?" in str(getattr(caught.value, "hint", ""))


def _next_step(**options: Any) -> NextStep:
    torch.manual_seed(3)
    model = NextStep(NextStepRecipe.model_validate({"hidden_size": 6, "num_layers": 2, **options}), Frames(2))
    for parameter in model.output.parameters():
        nn.init.normal_(parameter, std=0.6)
    return model.eval()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_prompt_is_gone_on_with_exactly_as_if_it_had_been_drawn(cell: str) -> None:
    model = _next_step(cell=cell)
    whole = next_frames(model, FEATURE, num_frames=12, temperature=0)
    assert whole.shape == (12, 2)
    assert np.abs(np.diff(whole, axis=0)).min() > 1e-6  # no fixed point, which any state would go on from
    prompt = FEATURE.decode(whole[:5])
    gone_on = next_frames(model, FEATURE, prompt=prompt, num_frames=7, temperature=0)
    np.testing.assert_allclose(gone_on, whole, rtol=0, atol=1e-4)


def test_frames_after_a_prompt_are_those_of_the_whole_sequence() -> None:
    model = _next_step()
    values = next_frames(model, FEATURE, prompt=[[1.0, 20.0], [5.0, 40.0]], num_frames=6, temperature=0)
    whole = Ragged.from_rows(torch.from_numpy(values), [0], [8])
    with torch.no_grad():
        expected = model.output.sample(model(whole).values, temperature=0.0).numpy()
    np.testing.assert_allclose(expected[2:], values[2:], rtol=0, atol=1e-5)
    assert not np.allclose(expected[:2], values[:2], atol=0.1)


def test_numbers_come_back_on_their_own_scale() -> None:
    prompt = [[1.0, 20.0], [5.0, 40.0]]
    written = compose(_next_step(), FEATURE, prompt=prompt, num_frames=3, seed=1)
    np.testing.assert_allclose(written[:2], prompt, rtol=1e-5)
    assert len(written) == 5
    assert written == compose(_next_step(), FEATURE, prompt=prompt, num_frames=3, seed=1)
    assert written[2:] != compose(_next_step(), FEATURE, prompt=prompt, num_frames=3, seed=2)[2:]


def test_prompts_as_text_are_read_as_cells_are() -> None:
    prompt = [[1.0, 20.0], [5.0, 40.0]]
    one, other = (
        next_frames(_next_step(), FEATURE, prompt=cell, num_frames=2, temperature=0)
        for cell in (prompt, json.dumps(prompt))
    )
    assert np.array_equal(one, other)


@pytest.mark.parametrize("prompt", [[[1.0, 2.0, 3.0]], "no numbers", [[1.0, "a"]], [[1.0, float("nan")]]])
def test_a_prompt_that_is_no_cell_is_refused(prompt: Any) -> None:
    model = _next_step().train()
    with pytest.raises(RunError, match="the prompt can't be used"):
        next_frames(model, FEATURE, prompt=prompt)
    assert model.training


def test_options_out_of_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"`num_frames` must be a positive integer\. Received: -1"):
        next_frames(_next_step(), FEATURE, num_frames=-1)
    with pytest.raises(RecipeError, match="`temperature` must not be negative"):
        next_frames(_next_step(), FEATURE, temperature=-0.1)
