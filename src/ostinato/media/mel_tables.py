"""How a recipe of sound cuts and weighs it: what analysis and its way back share."""

from __future__ import annotations

from functools import lru_cache

from ostinato.arrays import Array
from ostinato.media.spectrum import cosine_transform, mel_filters
from ostinato.recipe.kinds import AudioRecipe


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
