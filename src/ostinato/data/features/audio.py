"""Sound: files become frames of log-mel energies, cepstra, or raw samples."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ostinato.arrays import Array
from ostinato.data.features.base import Draft
from ostinato.data.features.scaled import ScaledFeature
from ostinato.data.features.sound_front import SoundFront
from ostinato.data.sequences import Sequences
from ostinato.errors import DataError, RunError, ShapeError
from ostinato.media.audio_out import require_log_mel, waveform, write_sound
from ostinato.media.files import MEDIA
from ostinato.media.mel_tables import described, samples_in, with_slopes
from ostinato.media.sound_in import Decode, sound_decoder
from ostinato.media.spectrum import frames_of
from ostinato.recipe.kinds import AudioRecipe

_MOST_THREADS = 8


class AudioFeature(ScaledFeature):
    """Files of sound to (sum L, D) float32, a frame every `hop_ms`.

    A file is decoded (`media.sound_in`), its channels are averaged, and it is resampled to `sample_rate` (polyphase,
    Kaiser window). A frame of `frame_ms` becomes ln(max(mel energies, 1e-10)) (`log_mel`), the first `num_cepstra` of
    their cosine transform (`mfcc`), or stays as it is (`raw`); formulas in `media.spectrum`. With `deltas` slopes over
    five frames follow (1), and slopes of these (2). `normalize`: each number to mean 0 and variance 1 over all frames
    of the training rows (`global`) or over those of the row (`row`).

    Args:
        recipe: of the feature.
        mean: (D,) of the training rows' frames.
        std: as `mean`.
    """

    recipe_type = AudioRecipe
    predicted, frames_hold = True, "numbers"
    suffixes = MEDIA["audio"]
    usual_suffix = ".wav"
    reads_files = True

    @property
    def whole_row_reason(self) -> str | None:
        """Of a scale that the end of a sound decides about."""
        if self.recipe.normalize != "row":
            return None
        return "`features.input.normalize: row` takes the mean and deviation of a whole sound (`global`: of training)"

    @property
    def front(self) -> SoundFront:
        """Samples to frames."""
        return SoundFront(self.recipe, self.transform)

    @property
    def step_noun(self) -> str:
        """A frame."""
        return "frame"

    @property
    def timed_noun(self) -> str:
        """A frame, of so many milliseconds."""
        return f"frame of {self.recipe.hop_ms:g} ms"

    @classmethod
    def read(cls, recipe: AudioRecipe, cells: pl.Series) -> Draft:
        """Paths, decoded side by side in threads (libsndfile and the FFT let go of Python's lock)."""
        decode = sound_decoder()
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

    def decode(self, values: Array) -> list[list[float]]:
        """Frames as lists of numbers, on their own scale; with `normalize: row`, whose scale is not kept, as they are.

        Raises `ShapeError` for frames of another width.
        """
        found: list[list[float]] = self._restored(values).tolist()
        return found

    def frames(self, values: Array) -> Array:
        """(L, D) float64 on their own scale: ln energies of `log_mel`, cepstra, or samples; slopes, if any, after them.

        Args:
            values: (L, D), scaled as `encode` gives them, such as a model's output.

        Raises:
            RunError: with `normalize: row`: the mean and deviation of each row are not kept.
            ShapeError: for frames of another width.
        """
        if self.recipe.normalize == "row":
            raise RunError(
                "frames with `normalize: row` can't be rescaled to their own units: the mean and deviation of "
                "each row are not kept.",
                hint="train with `--set features.target.normalize=global`",
            )
        return self._restored(values)

    def known(self, values: Array) -> list[Any]:
        """As `frames`, as lists."""
        return list(self.frames(values).tolist())

    def write(self, values: Array, path: Path) -> str:
        """A file of sound, of the kind that its suffix says."""
        samples, rate = self.sound(values)
        write_sound(path, samples, rate)
        return ""

    def sound(self, values: Array, iterations: int = 60, seed: int = 0) -> tuple[Array, int]:
        """Frames as a person can hear them, by `media.audio_out.waveform`.

        Args:
            values: (L, num_mels), as for `frames`.
            iterations: of the phase, at least 1; more are slower and fit the frames better.
            seed: of the phase at first.

        Returns:
            samples (n,) float32, full scale at 1, and their rate in Hz. n = (L - 1) hop + frame; 0 of no frames.

        Raises:
            RunError: for what is no log-mel, has slopes, or is normalised by row: their sound is not known.
            ShapeError: for frames of another width.
            DataError: for numbers that are no ln energies.
        """
        require_log_mel(self.recipe)
        return waveform(self.recipe, self.frames(values), iterations, seed), self.recipe.sample_rate

    def _restored(self, values: Array) -> Array:
        if values.ndim != 2 or values.shape[1] != len(self.mean):
            raise ShapeError(f"frames must be (L, {len(self.mean)}). Received: {values.shape}.")
        return self.restore(values)


@dataclass(frozen=True)
class _Sound:
    frames: Array | None = None
    problem: str = ""
    notes: tuple[str, ...] = ()


def num_values(recipe: AudioRecipe) -> int:
    """D, numbers of a frame."""
    size = {"log_mel": recipe.num_mels, "mfcc": recipe.num_cepstra, "raw": samples_in(recipe, recipe.frame_ms)}
    return size[recipe.representation] * (1 + recipe.deltas)


def represent(recipe: AudioRecipe, samples: Array) -> Array:
    """(n,) samples at the recipe's rate as (L, D) float32, before `global` normalisation."""
    windows = frames_of(samples, samples_in(recipe, recipe.frame_ms), samples_in(recipe, recipe.hop_ms))
    frames = with_slopes(recipe, described(recipe, windows))
    if recipe.normalize == "row":
        std = frames.std(axis=0)
        frames = (frames - frames.mean(axis=0)) / np.where(std > 0, std, np.inf)
    return frames.astype(np.float32)


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
        notes.append(f"sounds of {samples.shape[1]} channels: averaged to one")
    mono = samples.mean(axis=1)
    if rate != recipe.sample_rate:
        from scipy.signal import resample_poly

        notes.append(f"sounds of {rate:,} Hz: resampled to {recipe.sample_rate:,} Hz (`sample_rate`)")
        common = gcd(rate, recipe.sample_rate)
        mono = resample_poly(mono, recipe.sample_rate // common, rate // common)
    if recipe.max_seconds is not None and len(mono) > recipe.max_seconds * recipe.sample_rate:
        notes.append(f"sounds longer than {recipe.max_seconds:g} s: cut to their beginning (`max_seconds`)")
        mono = mono[: round(recipe.max_seconds * recipe.sample_rate)]
    return _Sound(represent(recipe, mono), notes=tuple(notes))
