"""How near sound comes to what it was when it goes through log-mel frames and back: 20 recordings of the training part
of the spoken digits, drawn with seed 0, for several ways to powers and phases.

    python benchmarks/sound_from_frames.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import soundfile
from scipy.optimize import nnls

from ostinato.arrays import Array
from ostinato.data.catalog import resolve_path
from ostinato.data.features.audio import represent
from ostinato.media.audio_out import power_of_mel, waveform, with_phases
from ostinato.media.files import unpacked
from ostinato.media.mel_tables import samples_in, tables
from ostinato.media.spectrum import frames_of, power_spectrum
from ostinato.recipe.kinds import AudioRecipe

COUNT, FIRST_TRAINING_INDEX = 20, 5
Way = Callable[[AudioRecipe, Array, Array], Array]
"""A recipe, ln energies (L, num_mels) and true magnitudes (L, bins) to samples."""


def recordings() -> list[Array]:
    """Of the training part; the digits' test part has the indices 0 to 4."""
    files = unpacked(resolve_path("fsdd", print)).glob("recordings/*.wav")
    training = sorted(path for path in files if int(path.stem.split("_")[2]) >= FIRST_TRAINING_INDEX)
    chosen = np.random.default_rng(0).choice(len(training), COUNT, replace=False)
    return [soundfile.read(training[k])[0] for k in chosen]


def spectra(recipe: AudioRecipe, samples: Array) -> Array:
    """(L, bins) magnitudes."""
    frames = frames_of(samples, samples_in(recipe, recipe.frame_ms), samples_in(recipe, recipe.hop_ms))
    return np.sqrt(power_spectrum(frames, tables(recipe)[0]))


def scores(recipe: AudioRecipe, samples: Array, way: Way) -> list[float]:
    """Spectral convergence, mean and median distance of ln energies, and decibels gained."""
    frames, magnitudes = represent(recipe, samples), spectra(recipe, samples)
    found = way(recipe, frames, magnitudes)
    off = np.abs(represent(recipe, found) - frames)
    convergence = np.linalg.norm(spectra(recipe, found) - magnitudes) / np.linalg.norm(magnitudes)
    decibels = 10 * np.log10((found.astype(np.float64) ** 2).sum() / (samples**2).sum())
    return [float(convergence), float(off.mean()), float(np.median(off)), float(decibels)]


def pseudo_inverse(recipe: AudioRecipe, frames: Array, _: Array) -> Array:
    """Powers by the filters' pseudo-inverse, negative ones 0."""
    powers = np.maximum(np.exp(frames) @ np.linalg.pinv(tables(recipe)[1]).T, 0.0)
    return with_phases(recipe, np.sqrt(powers), 60, 0)


def non_negative(recipe: AudioRecipe, frames: Array, _: Array) -> Array:
    """Powers by non-negative least squares (Lawson and Hanson 1974)."""
    powers = np.stack([nnls(tables(recipe)[1], energies)[0] for energies in np.exp(frames.astype(np.float64))])
    return with_phases(recipe, np.sqrt(powers), 60, 0)


WAYS: dict[str, Way] = {
    "waveform, 60 iterations": lambda recipe, frames, _: waveform(recipe, frames),
    "waveform, 30": lambda recipe, frames, _: waveform(recipe, frames, 30),
    "waveform, 200": lambda recipe, frames, _: waveform(recipe, frames, 200),
    "pseudo-inverse, 60": pseudo_inverse,
    "non-negative least squares, 60": non_negative,
    "random phases": lambda recipe, frames, _: with_phases(recipe, np.sqrt(power_of_mel(recipe, np.exp(frames))), 0, 0),
    "true magnitudes, 60": lambda recipe, _, magnitudes: with_phases(recipe, magnitudes, 60, 0),
}


def main() -> None:
    """Print a table for each number of filters."""
    sounds = recordings()
    seconds = sum(map(len, sounds)) / 8000
    for num_mels in (20, 40, 80):
        recipe = AudioRecipe(sample_rate=8000, normalize="none", num_mels=num_mels)
        print(f"{num_mels} filters, {COUNT} recordings, {seconds:.1f} s of sound")
        print(f"{'':32}convergence  ln mean  median  dB      s")
        for name, way in WAYS.items():
            began = time.perf_counter()
            found = np.mean([scores(recipe, samples, way) for samples in sounds], axis=0)
            took = time.perf_counter() - began
            print(f"{name:32}{found[0]:.3f}        {found[1]:.3f}    {found[2]:.3f}   {found[3]:+.2f}   {took:.1f}")


if __name__ == "__main__":
    main()
