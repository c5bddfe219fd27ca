"""Log-mel frames back to sound: pitch, loudness, repeatability, files; what has no sound is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ostinato.arrays import Array
from ostinato.data.features.audio import AudioFeature, represent
from ostinato.errors import DataError, RunError, ShapeError
from ostinato.media import audio_out as sounding
from ostinato.media.audio_out import power_of_mel, require_log_mel, waveform, with_phases, write_sound
from ostinato.media.mel_tables import tables
from ostinato.media.spectrum import frames_of, power_spectrum
from ostinato.recipe.kinds import AudioRecipe

RATE = 8000
RECIPE = AudioRecipe(sample_rate=RATE, normalize="none")


def tone(hz: float, seconds: float = 0.5, rate: int = RATE) -> Array:
    return np.asarray(0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate))


def noise(seconds: float = 0.4) -> Array:
    """Noise that swells and fades, louder at low pitches."""
    white = np.random.default_rng(1).normal(size=round(seconds * RATE))
    return np.asarray(np.cumsum(white) * 0.02 * np.hanning(len(white)) ** 2 + 0.02 * white)


@pytest.mark.parametrize(
    ("hz", "options"),
    [
        (200.0, {}),
        (440.0, {"sample_rate": 16000}),
        (1000.0, {"hop_ms": 12.5}),
        (2500.0, {"num_mels": 80, "mel_scale": "slaney"}),
    ],
)
def test_a_tone_comes_back_with_its_pitch_and_loudness(hz: float, options: dict[str, Any]) -> None:
    recipe = AudioRecipe.model_validate({"sample_rate": RATE, "normalize": "none", **options})
    samples = tone(hz, rate=recipe.sample_rate)
    frames = represent(recipe, samples)
    found = waveform(recipe, frames)
    assert found.dtype == np.float32
    assert len(represent(recipe, found)) == len(frames)
    middle = slice(len(found) // 4, 3 * len(found) // 4)
    size = tables(recipe)[0]
    loudest = power_spectrum(frames_of(found[middle], size, size), size).sum(axis=0).argmax()
    assert abs(loudest * recipe.sample_rate / size - hz) <= recipe.sample_rate / size
    assert 20 * np.log10(found[middle].std() / samples[middle].std()) == pytest.approx(0.0, abs=1.0)


@pytest.mark.parametrize("options", [{}, {"num_mels": 20, "mel_scale": "slaney"}, {"frame_ms": 32, "hop_ms": 8}])
def test_analysed_again_frames_are_nearly_the_same(options: dict[str, Any]) -> None:
    recipe = AudioRecipe.model_validate({"sample_rate": RATE, "normalize": "none", **options})
    frames = represent(recipe, noise())
    assert np.abs(represent(recipe, waveform(recipe, frames)) - frames).mean() < 0.25
    rough = np.abs(represent(recipe, waveform(recipe, frames, iterations=1)) - frames).mean()
    fine = np.abs(represent(recipe, waveform(recipe, frames, iterations=100)) - frames).mean()
    assert fine < 0.5 * rough


def test_powers_have_the_mel_energies_they_are_made_of() -> None:
    recipe = AudioRecipe(sample_rate=RATE, normalize="none", lowest_hz=300, highest_hz=3000)
    size, filters, _ = tables(recipe)
    energies = np.exp(represent(recipe, noise()).astype(np.float64))
    found = power_of_mel(recipe, energies)
    assert (found >= 0).all()
    assert not found[:, filters.sum(axis=0) == 0].any()
    assert found.shape == (len(energies), size // 2 + 1)
    assert np.abs(np.log(found @ filters.T) - np.log(energies)).mean() < 0.02


def test_magnitudes_of_a_sound_are_met_by_some_phases() -> None:
    samples = tone(440) * np.hanning(4000)
    recipe = RECIPE
    frame, hop, size = 200, 80, 256
    magnitudes = np.sqrt(power_spectrum(frames_of(samples, frame, hop), size))
    found = with_phases(recipe, magnitudes, 200, 0)
    again = np.sqrt(power_spectrum(frames_of(found, frame, hop), size))
    assert np.linalg.norm(again - magnitudes) / np.linalg.norm(magnitudes) < 0.03


def test_filters_too_narrow_for_the_transform_and_short_sounds_do_no_harm() -> None:
    recipe = AudioRecipe(sample_rate=RATE, normalize="none", num_mels=120)
    assert (tables(recipe)[1].sum(axis=1) == 0).any()
    assert np.isfinite(waveform(recipe, represent(recipe, tone(440)))).all()
    assert np.isfinite(waveform(recipe, np.zeros((3, 120)))).all()
    silence = represent(RECIPE, np.zeros(900))
    assert np.abs(waveform(RECIPE, silence)).max() < 1e-4
    assert waveform(RECIPE, silence[:1]).shape == (200,)
    assert waveform(RECIPE, silence[:0]).shape == (0,)


def test_the_seed_decides() -> None:
    frames = represent(RECIPE, noise(0.1))
    np.testing.assert_array_equal(waveform(RECIPE, frames, 5, seed=3), waveform(RECIPE, frames, 5, seed=3))
    assert np.abs(waveform(RECIPE, frames, 5, seed=3) - waveform(RECIPE, frames, 5, seed=4)).max() > 1e-3


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"representation": "mfcc"}, "Received: representation mfcc", "--set features.target.representation=log_mel"),
        ({"representation": "raw"}, "Received: representation raw", "--set features.target.representation=log_mel"),
        ({"deltas": 2}, "Received: deltas 2", "--set features.target.deltas=0"),
        ({"normalize": "row"}, "Received: normalize row", "--set features.target.normalize=global"),
        ({"hop_ms": 25}, "`hop_ms` must be below frame_ms", "--set features.target.hop_ms=10"),
    ],
)
def test_recipes_without_a_sound_are_refused(options: dict[str, Any], message: str, hint: str) -> None:
    recipe = AudioRecipe.model_validate(options)
    feature = AudioFeature(recipe, np.zeros(40), np.ones(40))
    for refused in (
        lambda: require_log_mel(recipe),
        lambda: waveform(recipe, np.zeros((3, 40))),
        lambda: feature.sound(np.zeros((3, 40))),
    ):
        with pytest.raises(RunError, match=message) as caught:
            refused()
        assert caught.value.hint is not None
        assert hint in caught.value.hint


def test_frames_that_are_none_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"must be \(L, 40\), ln energies. Received: \(3, 41\)"):
        waveform(RECIPE, np.zeros((3, 41)))
    for bad in (np.nan, np.inf, 81.0):
        with pytest.raises(DataError, match="must be ln energies"):
            waveform(RECIPE, np.full((3, 40), bad))
    with pytest.raises(RunError, match="`iterations` must be at least 1"):
        waveform(RECIPE, np.zeros((3, 40)), iterations=0)


def test_a_feature_undoes_its_scaling() -> None:
    recipe = AudioRecipe(sample_rate=RATE)
    frames = represent(recipe, noise())
    frames[:, 7] = -3.0  # never changes
    feature = AudioFeature.fit(recipe, frames)
    scaled = feature.transform(frames)
    decoded = feature.decode(scaled)
    assert isinstance(decoded[0][0], float)
    np.testing.assert_allclose(decoded, frames, atol=1e-4)
    np.testing.assert_array_equal(decoded, feature.frames(scaled))
    samples, rate = feature.sound(scaled, iterations=5, seed=2)
    assert rate == RATE
    np.testing.assert_allclose(samples, waveform(recipe, np.asarray(decoded), 5, 2), atol=1e-6)
    with pytest.raises(ShapeError, match=r"must be \(L, 40\)"):
        feature.decode(scaled[:, :5])
    by_row = AudioFeature(AudioRecipe(normalize="row"), np.zeros(40), np.ones(40))
    with pytest.raises(RunError, match="can't be rescaled to their own units"):
        by_row.frames(scaled)
    np.testing.assert_array_equal(by_row.decode(scaled), scaled)


@pytest.mark.parametrize(("suffix", "limit"), [("wav", 1e-4), ("FLAC", 1e-4), ("ogg", 0.1), ("opus", 0.1)])
def test_a_written_sound_is_read_back(
    tmp_path: Path, suffix: str, limit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile = pytest.importorskip("soundfile")
    monkeypatch.setattr(sounding, "_BLOCK", 1500)  # in three pieces
    samples = tone(440)
    assert write_sound(tmp_path / f"a.{suffix}", samples, RATE) == 1.0
    found, rate = soundfile.read(tmp_path / f"a.{suffix}")
    assert rate == RATE
    assert len(found) == len(samples)
    assert np.abs(found - samples).max() < limit


def test_mp3_is_written_whole(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    write_sound(tmp_path / "a.mp3", tone(440), RATE)
    found, rate = soundfile.read(tmp_path / "a.mp3")
    assert rate == RATE
    assert found.std() == pytest.approx(tone(440).std(), rel=0.1)


def test_sound_beyond_full_scale_is_turned_down_as_a_whole(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    samples = tone(440) * 10
    gain = write_sound(tmp_path / "a.wav", samples, RATE)
    assert gain == pytest.approx(1 / np.abs(samples).max())
    np.testing.assert_allclose(soundfile.read(tmp_path / "a.wav")[0], samples * gain, atol=1e-4)


def test_sound_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    with pytest.raises(RunError, match=r"must end in \.wav, .*Received: `a\.xyz`"):
        write_sound(tmp_path / "a.xyz", tone(440), RATE)
    with pytest.raises(RunError, match="there is no folder"):
        write_sound(tmp_path / "nowhere" / "a.wav", tone(440), RATE)
    with pytest.raises(RunError, match=r"can't write sound of 11,025 Hz as \.opus"):
        write_sound(tmp_path / "a.opus", tone(440), 11025)
    with pytest.raises(RunError, match=r"can't write sound of 0 Hz as \.wav"):
        write_sound(tmp_path / "a.wav", tone(440), 0)
    for bad in (np.zeros(0), np.zeros((2, 2)), np.asarray([0.0, np.nan])):
        with pytest.raises(DataError, match=r"samples must be \(n,\) finite numbers"):
            write_sound(tmp_path / "a.wav", bad, RATE)
    assert not list(tmp_path.iterdir())
