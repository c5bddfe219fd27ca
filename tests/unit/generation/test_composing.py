"""Music written by a model of frames, and a run of one from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from tests.unit.data.test_music import save_rolls
from typer.testing import CliRunner

import ostinato
from ostinato.cli.app import app
from ostinato.data.features.notes import NotesFeature, roll_text
from ostinato.errors import DataError, RecipeError, RunError
from ostinato.layers.frame_decoder import previous_frames
from ostinato.media.midi import read_midi, write_midi
from ostinato.recipe import build_recipe
from ostinato.recipe.kinds import NotesRecipe
from ostinato.tasks.next_step.model import NextStep
from ostinato.tasks.next_step.recipe import NextStepRecipe
from ostinato.tasks.next_step.sampling import compose
from ostinato.training.progress import Observer
from ostinato.types import Ragged

FEATURE = NotesFeature(NotesRecipe(lowest=60, highest=67))


def _model(output: str = "independent", recurrence: str = "frame") -> NextStep:
    torch.manual_seed(0)
    notes = {"output": output} if output == "independent" else {"output": output, "output_size": 4}
    given = {"hidden_size": 6, "recurrence": recurrence, "notes": notes}
    return NextStep(NextStepRecipe.model_validate(given), 8)


@pytest.mark.parametrize("recurrence", ["frame", "note"])
def test_a_prompt_is_gone_on_with_from_its_states(recurrence: str) -> None:
    """As if its frames had been drawn: music of 12 frames, and of 7 after the first 5 of them."""
    model = _model("autoregressive", recurrence)
    whole = compose(model, FEATURE, num_frames=12, temperature=0)
    assert compose(model, FEATURE, prompt=whole[:5], num_frames=7, temperature=0) == whole


@pytest.mark.parametrize(
    ("output", "recurrence"),
    [
        ("independent", "frame"),
        ("nade", "frame"),
        ("autoregressive", "frame"),
        ("independent", "note"),
        ("autoregressive", "note"),
    ],
)
def test_the_same_seed_writes_the_same_music_within_the_range(output: str, recurrence: str) -> None:
    model = _model(output, recurrence)
    torch.nn.init.zeros_(next(p for n, p in model.named_parameters() if n.endswith("bias") and "output" in n))
    frames = compose(model, FEATURE, num_frames=20, seed=3)
    assert frames == compose(model, FEATURE, num_frames=20, seed=3)
    assert frames != compose(model, FEATURE, num_frames=20, seed=4)
    assert len(frames) == 20
    assert {pitch for frame in frames for pitch in frame} <= set(range(60, 68))
    assert compose(model, FEATURE, num_frames=5, seed=1, temperature=0) == compose(
        model, FEATURE, num_frames=5, seed=2, temperature=0
    )


def test_each_frame_is_drawn_as_the_whole_sequence_says() -> None:
    model = _model().eval()
    torch.nn.init.zeros_(model.output.logits.bias)  # type: ignore[arg-type, union-attr]
    prompt = [[60, 64], [62]]
    frames = compose(model, FEATURE, prompt=prompt, num_frames=6, temperature=0)
    assert frames[:2] == prompt
    roll = torch.from_numpy(FEATURE.draft(_cells(frames)).content.values)  # type: ignore[union-attr, arg-type]
    whole = Ragged.from_rows(roll, [0], [8])
    assert previous_frames(whole, torch.float32).values[0].sum() == 0
    with torch.no_grad():
        expected = model.output.sample(model(whole).values, temperature=0.0)
    assert torch.equal(expected[2:], roll[2:])


def test_music_is_written_for_what_is_given(tmp_path: Path) -> None:
    """Tunes go up from the first note or down from the last, as a further column says; nothing else tells them."""
    ways = {"up": list(range(60, 68)), "down": list(range(67, 59, -1))}
    rows = [{"tune": [[pitch] for pitch in ways[way]], "way": way} for way in ("up", "down") for _ in range(24)]
    path = tmp_path / "tunes.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {
        "name": "tunes",
        "data": {"train": str(path), "input": "tune", "extra": ["way"], "validation": 0.25},
        "features": {"input": {"kind": "notes", "lowest": 60, "highest": 67}},
        "model": {"task": "next_step", "hidden_size": 16},
        "training": {"epochs": 40, "batch_size": 12, "learning_rate": 0.02, "num_threads": 1, "baselines_seconds": 0},
    }
    run = ostinato.train(recipe=build_recipe(recipe), out=tmp_path / "run", observer=Observer())
    model = cast("NextStep", run.model)
    assert model.is_given
    feature, covariates = cast("NotesFeature", run.features.input), run.features.extra
    for way, pitches in ways.items():
        frames = compose(model, feature, given={"way": way}, covariates=covariates, num_frames=8, temperature=0)
        assert frames == [[pitch] for pitch in pitches]
        gone_on = compose(
            model, feature, given={"way": way}, covariates=covariates, prompt=frames[:3], num_frames=5, temperature=0
        )
        assert gone_on == frames
    assert run.evaluate(path)["nats_per_frame"] < 0.5
    found = CliRunner().invoke(
        app, ["generate", str(run.folder), "--condition", "down", "--max-new-tokens", "3", "--json"]
    )
    assert json.loads(found.stdout)["condition"] == {"way": "down"}
    assert "from those before it and <code>way</code>" in (run.folder / "report.html").read_text()
    for arguments, message in (
        (["--condition", "sideways"], "`way` must be one of down, up. Received: 'sideways'"),
        ([], "writes for a given way. Received: nothing"),
    ):
        refused = CliRunner().invoke(app, ["generate", str(run.folder), *arguments])
        assert refused.exit_code == 1
        assert message in str(refused.exception)
    for key, value, message in (
        ("training.bptt", 4, "`data.extra` needs whole rows"),
        ("model.recurrence", "note", "reads notes alone"),
    ):
        with pytest.raises(RecipeError, match=message):
            ostinato.train(
                recipe=build_recipe(recipe), settings={key: value}, out=tmp_path / "other", observer=Observer()
            )


def test_what_is_given_of_each_frame_fits_it_and_is_not_written_for(tmp_path: Path) -> None:
    rows = [{"tune": [[60], [62], [64]], "beat": [[0.0], [0.5], [1.0]]} for _ in range(12)]
    path = tmp_path / "tunes.jsonl"
    recipe = {
        "name": "tunes",
        "data": {"train": str(path), "input": "tune", "extra": ["beat"], "validation": 0.25},
        "features": {"input": {"kind": "notes", "lowest": 60, "highest": 67}, "extra": {"beat": {"kind": "series"}}},
        "model": {"task": "next_step", "hidden_size": 4},
        "training": {"epochs": 1, "num_threads": 1, "baselines_seconds": 0},
    }
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"tune": [[60]], "beat": [[0.0], [0.5]]}]))
    with pytest.raises(DataError, match="13: unequal lengths: `tune` has 1 steps, `beat` has 2"):
        ostinato.train(recipe=build_recipe(recipe), out=tmp_path / "run", observer=Observer())
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = ostinato.train(recipe=build_recipe(recipe), out=tmp_path / "run", observer=Observer())
    model, feature = cast("NextStep", run.model), cast("NotesFeature", run.features.input)
    with pytest.raises(RunError, match="`beat` has a value for every frame"):
        compose(model, feature, given={"beat": 0.0}, covariates=run.features.extra)


def _cells(frames: list[list[int]]) -> object:
    import polars as pl

    return pl.Series([frames])


def test_what_is_no_music_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"`num_frames` must be a positive integer\. Received: 0"):
        compose(_model(), FEATURE, num_frames=0)
    with pytest.raises(RecipeError, match="`temperature` must not be negative"):
        compose(_model(), FEATURE, temperature=-1.0)
    with pytest.raises(RunError, match="the prompt can't be used: frame 1 holds the pitch 59"):
        compose(_model(), FEATURE, prompt=[[59]])
    with pytest.raises(DataError, match="can't open"):
        FEATURE.encode(_cells(str(tmp_path / "no.mid")))  # type: ignore[arg-type]


def test_a_roll_as_text() -> None:
    assert roll_text([[60, 62], [60], []]) == "  D4 │█··\n C♯4 │···\n  C4 │██·"
    assert roll_text([[], []]) == "(silence)"
    assert [len(line) for line in roll_text([[60]] * 70).split("\n\n")] == [6 + 64, 6 + 6]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ostinato.Run:
    folder = tmp_path_factory.mktemp("music")
    random = np.random.default_rng(0)
    pieces = [[[60 + (k + i) % 5, 67] for i in range(int(random.integers(4, 12)))] for k in range(12)]
    save_rolls(folder / "music.npz", train=pieces, valid=pieces[:3])
    settings = {
        "data.validation": f"{folder / 'music.npz'}#valid",
        "features.input.transpose": 2,
        "model.hidden_size": 8,
        "model.cut_frames": 6,
        "training.epochs": 3,
        "training.batch_size": 4,
        "training.learning_rate": 0.03,
        "training.num_threads": 1,
    }
    data = f"{folder / 'music.npz'}#train"
    return ostinato.train(
        data, settings={"features.input.kind": "notes", **settings}, out=folder / "run", observer=Observer()
    )


def test_a_run_trains_reports_evaluates_and_predicts(run: ostinato.Run) -> None:
    assert run.recipe.model.task == "next_step"
    assert run.summary["validation"]["loss"] < 88 * np.log(2) / 4
    valid = str(run.recipe.data.validation)
    assert run.evaluate(valid)["loss"] == pytest.approx(run.summary["validation"]["loss"], rel=1e-6)
    (prediction,) = run.predict([[[60, 67], [61, 67]]])
    assert prediction.values is not None
    assert prediction.details is not None
    assert len(prediction.values) == 2
    assert prediction.details["nats_per_frame"] > 0
    page = (run.folder / "report.html").read_text()
    assert "A typical piece" in page
    assert "Predicts each frame of <code>notes</code> from those before it." in page


def test_a_prediction_is_the_same_alone_and_in_company(run: ostinato.Run) -> None:
    pieces = [[[60, 67], [61, 67], [62]], [[64]], [[], [60]]]
    together = run.predict(pieces)
    for piece, prediction in zip(pieces, together, strict=True):
        (alone,) = run.predict([piece])
        assert alone.values == prediction.values
        assert alone.details is not None
        assert prediction.details is not None
        assert alone.details["nats_per_frame"] == pytest.approx(prediction.details["nats_per_frame"], rel=1e-5)


def test_generate_writes_midi_and_shows_the_roll(run: ostinato.Run, tmp_path: Path) -> None:
    write_midi([[60, 67], [61]], tmp_path / "begin.mid", 4)
    arguments = [
        "generate",
        str(run.folder),
        "--max-new-tokens",
        "5",
        "--out",
        str(tmp_path / "new.mid"),
        "--seed",
        "2",
    ]
    shown = CliRunner().invoke(app, [*arguments, "--prompt", str(tmp_path / "begin.mid")])
    assert shown.exit_code == 0, shown.output
    assert " C4 │█" in shown.output
    frames = read_midi(tmp_path / "new.mid", 4)
    assert frames[:2] == [[60, 67], [61]]
    answer = CliRunner().invoke(app, [*arguments, "--json", "--prompt", "[[60, 67], [61]]"])
    assert json.loads(answer.stdout)["frames"][: len(frames)] == frames


def test_what_means_nothing_to_music_is_refused(run: ostinato.Run, tmp_path: Path) -> None:
    for arguments, problem in {
        ("--top-k", "3"): "`--top-k` does not apply",
        ("--prompt", "[[60"): "the prompt is not a JSON list",
        ("--out", str(tmp_path / "no" / "x.mid")): "there is no folder",
    }.items():
        result = CliRunner().invoke(app, ["generate", str(run.folder), *arguments])
        assert result.exit_code != 0
        assert problem in str(result.exception)
    with pytest.raises(RecipeError, match=r"`features\.input\.transpose` does not apply"):
        ostinato.train(
            str(run.recipe.data.train),
            settings={"features.input": {"kind": "notes", "transpose": 2}, "model.task": "language_model"},
        )


def test_a_resumed_run_is_transposed_as_if_it_had_never_stopped(run: ostinato.Run, tmp_path: Path) -> None:
    again = run.recipe.model_copy(update={"training": run.recipe.training.model_copy(update={"epochs": 1})})
    ostinato.train(recipe=again, out=tmp_path / "again", observer=Observer())
    resumed = ostinato.resume(tmp_path / "again", {"training.epochs": 3}, Observer())
    assert resumed.summary["validation"] == run.summary["validation"]
