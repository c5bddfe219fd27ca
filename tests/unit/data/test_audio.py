"""Sound files: decoded, resampled and mixed (and that is said), represented, and named where they are no sound."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import ostinato
from ostinato.arrays import Array
from ostinato.data.features import Draft, TrainingPart, load_feature, make_builder
from ostinato.data.features.audio import AudioFeature, num_values, represent
from ostinato.data.sequences import Sequences
from ostinato.errors import DataError, MissingLibraryError, RecipeError
from ostinato.recipe import build_recipe
from ostinato.recipe.kinds import AudioRecipe
from ostinato.tasks.prepare import prepare
from ostinato.training.progress import Observer

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("scipy")
RATE = 8000


def tone(hz: float, seconds: float = 0.2, rate: int = RATE) -> Array:
    return np.asarray(0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate), dtype=np.float64)


def write(path: Path, samples: Array, rate: int = RATE, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return path


def read(recipe: AudioRecipe, *paths: Path | str) -> Draft:
    return AudioFeature.read(recipe, pl.Series([str(path) for path in paths]))


def content(draft: Draft) -> Sequences:
    assert isinstance(draft.content, Sequences)
    return draft.content


def test_a_tone_is_loudest_in_the_filter_at_its_pitch(tmp_path: Path) -> None:
    recipe = AudioRecipe(sample_rate=RATE, num_mels=20)
    rows = content(read(recipe, write(tmp_path / "low.wav", tone(300)), write(tmp_path / "high.flac", tone(2500))))
    assert rows.lengths.tolist() == [1 + -(-(1600 - 200) // 80)] * 2
    mel = np.linspace(2595 * np.log10(1 + 20 / 700), 2595 * np.log10(1 + 4000 / 700), 22)[1:-1]
    centres = 700 * (10 ** (mel / 2595) - 1)
    for row, hz in ((0, 300), (1, 2500)):
        loudest = int(rows.row(row)[3].argmax())
        assert loudest == int(np.abs(centres - hz).argmin())


def test_other_rates_and_channels_are_brought_to_one_and_that_is_said(tmp_path: Path) -> None:
    recipe = AudioRecipe(sample_rate=RATE)
    mono = write(tmp_path / "a.wav", tone(440))
    stereo = write(tmp_path / "b.wav", np.stack([tone(440, rate=44100), tone(440, rate=44100)], axis=1), 44100)
    draft = read(recipe, mono, stereo)
    assert draft.notes == (
        "sounds of 2 channels: averaged to one",
        "sounds of 44,100 Hz: resampled to 8,000 Hz (`sample_rate`)",
    )
    one, two = content(draft).row(0), content(draft).row(1)
    assert abs(len(one) - len(two)) <= 1
    loud = one[3:-4] > one.max() - 6  # away from the ends, where the tone is
    np.testing.assert_allclose(two[3 : 3 + len(one) - 7][loud], one[3:-4][loud], atol=0.1)


@pytest.mark.parametrize(
    ("options", "width"),
    [
        ({}, 40),
        ({"representation": "mfcc", "num_cepstra": 12, "deltas": 2}, 36),
        ({"representation": "raw", "frame_ms": 5, "hop_ms": 5}, 40),
        ({"num_mels": 10, "deltas": 1, "normalize": "row", "mel_scale": "slaney"}, 20),
    ],
)
def test_representations_have_their_width(options: dict[str, Any], width: int) -> None:
    recipe = AudioRecipe(sample_rate=RATE, **options)
    found = represent(recipe, tone(500))
    assert num_values(recipe) == found.shape[1] == width
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert np.isfinite(represent(recipe, np.zeros(900))).all()
    if options.get("normalize") == "row":
        np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-4)
    if options.get("representation") == "raw":
        np.testing.assert_allclose(found.ravel()[:1600], tone(500), atol=1e-6)


def test_what_is_no_sound_is_named(tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("this is no sound at all, whatever its name says")
    nan = write(tmp_path / "nan.wav", np.asarray([0.0, np.nan, 0.1]), subtype="FLOAT")
    good = write(tmp_path / "good.ogg", tone(400))
    draft = read(AudioRecipe(sample_rate=RATE), text, write(tmp_path / "zero.wav", np.zeros(0)), nan, good, "gone.wav")
    assert sorted(draft.problems) == [0, 1, 2, 4]
    assert draft.problems[0].startswith("not a readable sound: ")
    assert draft.problems[1] == "holds no sound: 0 samples"
    assert draft.problems[2] == "holds samples that are NaN or infinite"
    assert draft.problems[4] == "no such file: `gone.wav`"
    assert draft.lengths[3] > 0


def test_long_sounds_are_cut_and_that_is_said(tmp_path: Path) -> None:
    recipe = AudioRecipe(sample_rate=RATE, frame_ms=10, hop_ms=10, max_seconds=0.1)
    draft = read(recipe, write(tmp_path / "a.wav", tone(440, 0.5)))
    assert draft.lengths.tolist() == [10]
    assert "sounds longer than 0.1 s: cut to their beginning (`max_seconds`)" in draft.notes


def test_the_feature_is_fitted_saved_and_read_back(tmp_path: Path) -> None:
    paths = [str(write(tmp_path / f"{hz}.wav", tone(hz))) for hz in (300, 800, 2000)]
    builder = make_builder(AudioRecipe(sample_rate=RATE))
    builder.add(builder.draft(pl.Series(paths)), np.ones(3, dtype=np.bool_))
    feature, rows = builder.finish(TrainingPart(rows=np.asarray([0, 1])))
    training = np.concatenate([rows.row(0), rows.row(1)])
    np.testing.assert_allclose(training.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(training.std(axis=0), 1, atol=1e-3)
    again = load_feature(json.loads(json.dumps(feature.to_dict())))
    np.testing.assert_array_equal(again.encode(pl.Series(paths[2:])).values, rows.row(2))


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"`features.input.num_cepstra` must be at most num_mels \(5\)"):
        build_recipe({"features": {"input": {"kind": "audio", "representation": "mfcc", "num_mels": 5}}})
    with pytest.raises(RecipeError, match="must be in order, up to half of sample_rate"):
        build_recipe({"features": {"input": {"kind": "audio", "highest_hz": 9000}}})


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(MissingLibraryError, match="reading sound needs soundfile, which is not installed") as caught:
        read(AudioRecipe(), "a.wav")
    assert caught.value.hint == "pip install 'ostinato[audio]'"


def _pitches(folder: Path, per_class: int = 12) -> Path:
    draw = np.random.default_rng(0)
    for name, hz in (("low", 300), ("high", 1500)):
        for number in range(per_class):
            sound = tone(hz * draw.uniform(0.9, 1.1), draw.uniform(0.05, 0.15))
            write(folder / name / f"{name}_{number % 3}_{number}.wav", sound + 0.02 * draw.standard_normal(len(sound)))
    return folder


def test_a_folder_of_sounds_is_learnt_and_new_files_are_predicted(tmp_path: Path) -> None:
    folder = _pitches(tmp_path / "sounds")
    settings = {
        "data.validation": 0.25,
        "features.input": {"kind": "audio", "sample_rate": RATE, "num_mels": 16},
        "model.hidden_size": 8,
        "training.epochs": 6,
        "training.learning_rate": 0.02,
        "training.batch_size": 4,
        "training.num_threads": 1,
    }
    run = ostinato.train(folder, settings=settings, out=tmp_path / "run", observer=Observer())
    assert run.recipe.data.format == "media"
    assert run.evaluate(folder)["accuracy"] == 1.0
    assert ostinato.load(tmp_path / "run").predict(str(write(tmp_path / "new.wav", tone(1450))))[0].label == "high"
    assert "frames" in (tmp_path / "run" / "report.html").read_text()


def test_a_table_names_files_beside_it_and_broken_ones_stop_training(tmp_path: Path) -> None:
    folder = _pitches(tmp_path / "data" / "clips", 4)
    files = sorted(folder.rglob("*.wav"))
    table = tmp_path / "data" / "clips.csv"
    lines = [f"{file.relative_to(table.parent)},{file.parent.name}" for file in files]
    table.write_text("\n".join(["file,pitch", *lines]) + "\n")
    recipe = {
        "data": {"train": str(table), "input": "file", "target": "pitch", "validation": 0.25},
        "features": {"input": {"kind": "audio", "sample_rate": RATE}},
    }
    assert len(prepare(build_recipe(recipe)).train) == 6  # type: ignore[arg-type]
    files[2].write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"clips.csv:4: not a readable sound: "):
        prepare(build_recipe(recipe))
