"""From frames of log-mel energies back to sound: power spectra, then phases, then samples, then a file."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from ostinato.arrays import Array
from ostinato.errors import DataError, RunError, ShapeError
from ostinato.media.extras import library
from ostinato.media.files import MEDIA, require_place
from ostinato.media.mel_tables import samples_in, tables
from ostinato.media.spectrum import frames_of, spectrum, window_of
from ostinato.recipe.kinds import AudioRecipe
from ostinato.storage.files import write_atomically

_POWER_STEPS = 30
_MOMENTUM = 0.99
_LEAST_WEIGHT = 0.1
"""Of the greatest: where windows hardly weigh, at both ends, samples fade out, and noise is not blown up."""
_HIGHEST_LN = 80.0
_TINY = 1e-30
_BLOCK = 1 << 16
"""Samples written at a time: libsndfile's Vorbis encoder overruns its stack, and ends the process, on some millions."""
_FORMATS = {".ogg": ("OGG", "VORBIS"), ".oga": ("OGG", "VORBIS"), ".opus": ("OGG", "OPUS"), ".mp3": ("MP3", None)}
"""Of libsndfile, by suffix; any other is named as its suffix, with 16 bits a sample."""


def require_log_mel(recipe: AudioRecipe, column: str = "features.target") -> None:
    """Raise `RunError` where frames of this recipe have no sound of their own, and say which keys to set.

    Args:
        recipe: of the frames.
        column: where the recipe stands, for the hint.
    """
    wanted = {"representation": "log_mel", "deltas": 0}
    if recipe.normalize == "row":
        wanted["normalize"] = "global"
    found = {key: getattr(recipe, key) for key in wanted}
    amiss = {key: value for key, value in wanted.items() if found[key] != value}
    if amiss:
        raise RunError(
            "sound can only be made from log-mel frames without slopes, not normalised by row. Received: "
            + ", ".join(f"{key} {found[key]}" for key in amiss)
            + ".",
            hint="train with `" + " ".join(f"--set {column}.{key}={value}" for key, value in amiss.items()) + "`",
        )
    if samples_in(recipe, recipe.hop_ms) >= samples_in(recipe, recipe.frame_ms):
        raise RunError(
            f"sound is made of frames that overlap: `hop_ms` must be below frame_ms ({recipe.frame_ms:g}). "
            f"Received: {recipe.hop_ms:g}.",
            hint=f"train with `--set {column}.hop_ms={recipe.frame_ms * 0.4:g}`",
        )


def waveform(recipe: AudioRecipe, frames: Array, iterations: int = 60, seed: int = 0) -> Array:
    """Sound whose log-mel frames are near the given ones. Cut, windowed and transformed as `features.audio` does.

    1. Power spectra P >= 0 with mel energies P Fᵀ near m = exp(frames), F the filters: multiplicative updates
       P ← P · ((m / P Fᵀ) F) / (1 F), 30 times, which lower the Kullback-Leibler divergence of m from P Fᵀ (Lee and
       Seung 2001, "Algorithms for non-negative matrix factorization", theorem 2, with F fixed) and leave P smooth. The
       start spreads each energy over its filter.
    2. Phases, random at first: C ← √P · c / |c|, c = t + α (t - t before), t = S(x), x = S⁻¹(C). S are the spectra of
       a signal, S⁻¹ the signal whose spectra have the least squared distance (Griffin and Lim 1984), α = 0.99 the
       momentum of the fast version (Perraudin, Balazs and Søndergaard 2013).

    Measured by `benchmarks/sound_from_frames.py` on 20 spoken digits of 8 kHz with 40 filters. Sound y through frames
    and back is x: spectral convergence ‖|S(x)| - |S(y)|‖ / ‖|S(y)|‖ 0.21, frames of x 0.07 off on average (in ln
    energy; 0.3 dB). The phases are not those of y: x sounds alike, and is no copy.

    Args:
        recipe: of the frames; `log_mel` without slopes, not normalised by row.
        frames: (L, num_mels) natural logarithms of energies, as `represent` gives them.
        iterations: of step 2, at least 1; each takes two FFTs of every frame. 200 bring the frames from 0.07 to 0.06.
        seed: of the first phases; the same seed gives the same samples.

    Returns:
        (n,) float32, n = (L - 1) hop + frame; (0,) of no frames. Full scale is 1; nothing is clipped.

    Raises:
        RunError: for a recipe whose sound is not known, and for fewer than one iteration.
        ShapeError: for frames of another width.
        DataError: for frames that are not finite, or beyond e^80.

    Example:
        >>> recipe = AudioRecipe(sample_rate=8000, normalize="none")
        >>> waveform(recipe, np.zeros((10, 40))).shape
        (920,)
    """
    require_log_mel(recipe)
    if iterations < 1:
        raise RunError(f"`iterations` must be at least 1. Received: {iterations}.")
    if frames.ndim != 2 or frames.shape[1] != recipe.num_mels:
        raise ShapeError(f"frames must be (L, {recipe.num_mels}), ln energies. Received: {frames.shape}.")
    if not len(frames):
        return np.zeros(0, dtype=np.float32)
    if not np.isfinite(frames).all() or frames.max() > _HIGHEST_LN:
        raise DataError(
            f"frames must be ln energies, finite and at most {_HIGHEST_LN:g}. Received: up to {frames.max():g}.",
            hint="a model's output is first brought to its own scale: feature.sound(values)",
        )
    powers = power_of_mel(recipe, np.exp(frames.astype(np.float64)))
    return with_phases(recipe, np.sqrt(powers), iterations, seed).astype(np.float32)


def power_of_mel(recipe: AudioRecipe, energies: Array) -> Array:
    """(L, bins): smooth power spectra that have these mel energies, (L, num_mels); 0 where no filter reaches."""
    filters = tables(recipe)[1]
    of_bins = filters.sum(axis=0)
    of_bins = np.where(of_bins > 0, of_bins, np.inf)
    powers = (energies / np.maximum(filters.sum(axis=1), _TINY)) @ filters / of_bins
    for _ in range(_POWER_STEPS):
        powers = powers * ((energies / np.maximum(powers @ filters.T, _TINY)) @ filters) / of_bins
    return np.asarray(powers)


def with_phases(recipe: AudioRecipe, magnitudes: Array, iterations: int, seed: int) -> Array:
    """(n,) samples whose spectra have nearly these magnitudes, (L, bins); step 2 of `waveform`."""
    frame, hop, size = samples_in(recipe, recipe.frame_ms), samples_in(recipe, recipe.hop_ms), tables(recipe)[0]
    window = window_of(frame)
    weights = _overlapped(np.broadcast_to(window**2, (len(magnitudes), frame)), hop)
    weights = np.maximum(weights, _LEAST_WEIGHT * weights.max())

    def signal(spectra: Array) -> Array:
        return np.asarray(_overlapped(np.fft.irfft(spectra, size)[:, :frame] * window, hop) / weights)

    turns = np.random.default_rng(seed).random(magnitudes.shape)
    spectra = magnitudes * np.exp(2j * np.pi * turns)
    before = np.zeros_like(spectra)
    for _ in range(iterations):
        now = spectrum(frames_of(signal(spectra), frame, hop), size)
        ahead = now + _MOMENTUM * (now - before)
        spectra = magnitudes * (ahead / np.maximum(np.abs(ahead), _TINY))
        before = now
    return signal(spectra)


def _overlapped(frames: Array, hop: int) -> Array:
    """((L - 1) hop + n,): frames (L, n) laid over each other every `hop` samples, and added."""
    count, length = frames.shape
    pieces = -(-length // hop)
    padded = np.zeros((count, pieces * hop))
    padded[:, :length] = frames
    padded = padded.reshape(count, pieces, hop)
    total = np.zeros((count - 1 + pieces, hop))
    for piece in range(pieces):
        total[piece : piece + count] += padded[:, piece]
    return total.ravel()[: (count - 1) * hop + length]


def write_sound(path: str | Path, samples: Array, sample_rate: int) -> float:
    """Write a file of sound, of one channel; its suffix says the format (.wav, .flac, .ogg, .opus, .mp3).

    WAV and FLAC keep 16 bits a sample. Sound beyond full scale would be clipped: it is turned down as a whole.

    Args:
        path: where to; replaced whole if it is there.
        samples: (n,), full scale at 1.
        sample_rate: Hz. Opus takes 8000, 12000, 16000, 24000 and 48000 only.

    Returns:
        what samples were multiplied by: 1, or less where they went beyond full scale.

    Raises:
        RunError: for another suffix, a folder that is not there, or a rate the format has not.
        DataError: for no samples, or some that are not finite.
        MissingLibraryError: without soundfile.
    """
    path, samples = Path(path), np.asarray(samples)
    suffix = path.suffix.lower()
    require_place(path, MEDIA["audio"], "sound")
    if samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all():
        raise DataError(f"samples must be (n,) finite numbers, n at least 1. Received: shape {samples.shape}.")
    soundfile = library("soundfile", "writing sound", "audio")
    peak = float(np.abs(samples).max())
    gain = 1.0 if peak <= 1.0 else 1.0 / peak
    form, subtype = _FORMATS.get(suffix, (suffix[1:].upper(), "PCM_16"))
    buffer = io.BytesIO()
    try:
        with soundfile.SoundFile(buffer, "w", sample_rate, 1, subtype, format=form) as out:
            for start in range(0, len(samples), _BLOCK):
                out.write((samples[start : start + _BLOCK] * gain).astype(np.float32))
    except (soundfile.LibsndfileError, ValueError, TypeError) as error:
        reason = getattr(error, "error_string", str(error)).rstrip(".")
        raise RunError(
            f"can't write sound of {sample_rate:,} Hz as {suffix}: {reason}.", hint="a .wav takes any rate"
        ) from error
    write_atomically(path, buffer.getvalue())
    return gain
