"""Sound: files become frames of log-mel energies, cepstra, or raw samples."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from math import gcd

import numpy as np
import polars as pl

from ostinato.data.arrays import Array
from ostinato.data.features.base import Draft
from ostinato.data.features.scaled import ScaledFeature, mean_and_scale
from ostinato.data.media import media_path
from ostinato.data.sequences import Sequences
from ostinato.data.spectra import (
    LOG_FLOOR,
    cosine_transform,
    frames_of,
    mel_filters,
    power_spectrum,
    slopes,
)
from ostinato.errors import DataError, MissingLibraryError
from ostinato.recipe.kinds import AudioRecipe

_MOST_THREADS = 8


class AudioFeature(ScaledFeature):
    """Files of sound to (sum L, D) float32, a frame every `hop_ms`.

    A file is decoded by libsndfile, its channels are averaged, and it is resampled to `sample_rate` (polyphase, Kaiser
    window). A frame of `frame_ms` becomes ln(max(mel energies, 1e-10)) (`log_mel`), the first `num_cepstra` of their
    cosine transform (`mfcc`), or stays as it is (`raw`); formulas in `data.spectra`. With `deltas` slopes over five
    frames follow (1), and slopes of these (2). `normalize`: each number to mean 0 and variance 1 over all frames of the
    training rows (`global`) or over those of the row (`row`).

    Args:
        recipe: of the feature.
        mean: (D,) of the training rows' frames.
        std: as `mean`.
    """

    recipe_type = AudioRecipe
    reads_files = True

    @property
    def step_noun(self) -> str:
        """A frame."""
        return "frame"

    @classmethod
    def read(cls, recipe: AudioRecipe, cells: pl.Series) -> Draft:
        """Paths, decoded side by side in threads (libsndfile and the FFT let go of Python's lock)."""
        decode = _decoder()
        threads = min(_MOST_THREADS, os.cpu_count() or 1)
        with ThreadPoolExecutor(threads, thread_name_prefix="ostinato-audio") as pool:
            sounds = list(pool.map(partial(_sound, recipe, decode), cells.to_list()))
        problems = {row: sound.problem for row, sound in enumerate(sounds) if sound.problem}
        notes = tuple(dict.fromkeys(note for sound in sounds for note in sound.notes))
        width = num_values(recipe)
        frames = [np.zeros((0, width), dtype=np.float32) if sound.frames is None else sound.frames for sound in sounds]
        lengths = np.asarray([len(one) for one in frames], dtype=np.int64)
        joined = np.concatenate([*frames, np.zeros((0, width), dtype=np.float32)])
        return Draft(lengths, Sequences.from_lengths(joined, lengths), problems, notes)

    @classmethod
    def fit(cls, recipe: AudioRecipe, values: Array) -> AudioFeature:
        """Mean and standard deviation of the training rows' frames."""
        if not len(values):
            raise DataError("there is no sound to fit to.")
        if recipe.normalize != "global":
            return cls(recipe, np.zeros(values.shape[1]), np.ones(values.shape[1]))
        return cls(recipe, *mean_and_scale(values))


@dataclass(frozen=True)
class _Sound:
    frames: Array | None = None
    problem: str = ""
    notes: tuple[str, ...] = ()


def num_values(recipe: AudioRecipe) -> int:
    """D, numbers of a frame."""
    size = {"log_mel": recipe.num_mels, "mfcc": recipe.num_cepstra, "raw": _samples(recipe, recipe.frame_ms)}
    return size[recipe.representation] * (1 + recipe.deltas)


def represent(recipe: AudioRecipe, samples: Array) -> Array:
    """(n,) samples at the recipe's rate as (L, D) float32, before `global` normalisation."""
    frames = frames_of(samples, _samples(recipe, recipe.frame_ms), _samples(recipe, recipe.hop_ms))
    if recipe.representation != "raw":
        size, filters, cosines = _tables(recipe)
        frames = np.log(np.maximum(power_spectrum(frames, size) @ filters.T, LOG_FLOOR))
        frames = frames @ cosines.T if recipe.representation == "mfcc" else frames
    parts = [frames]
    for _ in range(recipe.deltas):
        parts.append(slopes(parts[-1]))
    frames = np.concatenate(parts, axis=1)
    if recipe.normalize == "row":
        std = frames.std(axis=0)
        frames = (frames - frames.mean(axis=0)) / np.where(std > 0, std, np.inf)
    return frames.astype(np.float32)


def _samples(recipe: AudioRecipe, duration_ms: float) -> int:
    return max(1, round(recipe.sample_rate * duration_ms / 1000))


@lru_cache(maxsize=8)
def _tables(recipe: AudioRecipe) -> tuple[int, Array, Array]:
    """Size of the FFT (a power of two that holds a frame), mel filters, cosines."""
    size = 1 << (_samples(recipe, recipe.frame_ms) - 1).bit_length()
    highest = recipe.highest_hz or recipe.sample_rate / 2
    filters = mel_filters(recipe.num_mels, size, recipe.sample_rate, recipe.lowest_hz, highest, recipe.mel_scale)
    return size, filters, cosine_transform(recipe.num_cepstra, recipe.num_mels)


Decode = Callable[[str], tuple[Array, int]]
"""A path to samples (n, channels) and their rate. Raises `DataError` for what is no sound."""


def _decoder() -> Decode:
    try:
        import scipy.signal  # noqa: F401 (resampling needs it: better to say so now than halfway)
        import soundfile
    except ImportError as error:
        raise MissingLibraryError(
            "reading sound needs soundfile and scipy, which are not installed.", hint="pip install 'ostinato[audio]'"
        ) from error

    def decode(cell: str) -> tuple[Array, int]:
        path = media_path(cell)
        try:
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError) as error:
            reason = getattr(error, "error_string", str(error)).rstrip(".")
            raise DataError(f"not a sound that can be read: {reason}") from error
        return samples, int(rate)

    return decode


def _sound(recipe: AudioRecipe, decode: Decode, cell: str) -> _Sound:
    """One file as frames, or why not."""
    try:
        samples, rate = decode(cell)
    except DataError as error:
        return _Sound(problem=error.message)
    if not len(samples):
        return _Sound(problem="holds no sound: 0 samples")
    if not np.isfinite(samples).all():
        return _Sound(problem="holds samples that are NaN or infinite")
    notes = []
    if samples.shape[1] > 1:
        notes.append(f"sounds of {samples.shape[1]} channels: their mean is taken")
    mono = samples.mean(axis=1)
    if rate != recipe.sample_rate:
        from scipy.signal import resample_poly

        notes.append(f"sounds of {rate:,} Hz: resampled to {recipe.sample_rate:,} Hz (`sample_rate`)")
        common = gcd(rate, recipe.sample_rate)
        mono = resample_poly(mono, recipe.sample_rate // common, rate // common)
    if recipe.max_seconds is not None and len(mono) > recipe.max_seconds * recipe.sample_rate:
        notes.append(f"sounds longer than {recipe.max_seconds:g} s: their beginning is taken (`max_seconds`)")
        mono = mono[: round(recipe.max_seconds * recipe.sample_rate)]
    return _Sound(represent(recipe, mono), notes=tuple(notes))
