"""How a recipe of sound cuts and weighs it: what whole sounds, sound as it comes, and the way back share."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ostinato.arrays import Array
from ostinato.media.spectrum import LOG_FLOOR, WeightedSums, cosine_transform, mel_filters, power_spectrum, slopes
from ostinato.recipe.kinds import AudioRecipe

_ROWS_AT_ONCE = 64


def samples_in(recipe: AudioRecipe, duration_ms: float) -> int:
    """Samples of a duration at the recipe's rate, at least one."""
    return max(1, round(recipe.sample_rate * duration_ms / 1000))


@lru_cache(maxsize=8)
def tables(recipe: AudioRecipe) -> tuple[int, Array, Array]:
    """Size F of the FFT (a power of two that holds a frame), mel filters (num_mels, F // 2 + 1), cosines."""
    size = 1 << (samples_in(recipe, recipe.frame_ms) - 1).bit_length()
    highest = recipe.highest_hz or recipe.sample_rate / 2
    filters = mel_filters(recipe.num_mels, size, recipe.sample_rate, recipe.lowest_hz, highest, recipe.mel_scale)
    return size, filters, cosine_transform(recipe.num_cepstra, recipe.num_mels)


@lru_cache(maxsize=8)
def _sums(recipe: AudioRecipe) -> tuple[WeightedSums, WeightedSums]:
    """Of a spectrum's power to mel energies, and of their logarithms to cepstra."""
    _, filters, cosines = tables(recipe)
    return WeightedSums(filters), WeightedSums(cosines)


def described(recipe: AudioRecipe, windows: Array) -> Array:
    """Windows of samples (L, frame) as the recipe represents them, (L, D) without slopes. What a window gives does not
    depend, to the last bit, on the windows beside it."""
    if recipe.representation == "raw":
        return windows
    size, (energies, cepstra) = tables(recipe)[0], _sums(recipe)
    found = [np.zeros((0, recipe.num_mels))]
    for start in range(0, len(windows), _ROWS_AT_ONCE):  # what belongs to more does not stay in the cache
        found.append(energies(power_spectrum(windows[start : start + _ROWS_AT_ONCE], size)))
    logs = np.log(np.maximum(np.concatenate(found), LOG_FLOOR))
    return cepstra(logs) if recipe.representation == "mfcc" else logs


def with_slopes(recipe: AudioRecipe, frames: Array) -> Array:
    """(L, D) with its slopes over time beside it, as many times as the recipe says."""
    parts = [frames]
    for _ in range(recipe.deltas):
        parts.append(slopes(parts[-1]) if len(frames) else frames)
    return np.concatenate(parts, axis=1)
