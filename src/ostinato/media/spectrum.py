"""From samples to frames: windows, mel energies, cepstra, slopes. Plain numpy, so that a run needs nothing else."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ostinato.arrays import Array

LOG_FLOOR = 1e-10
"""The least energy whose logarithm is taken: digital silence is finite."""
_SLANEY_BREAK_HZ, _SLANEY_HZ_PER_MEL = 1000.0, 200.0 / 3.0
_SLANEY_STEP = np.log(6.4) / 27.0


def frames_of(samples: Array, frame: int, hop: int) -> Array:
    """(L, frame): windows every `hop` samples; zeros fill up the last one, so that no sample is lost.

    L = 1 + ceil(max(n - frame, 0) / hop) of n samples.
    """
    count = 1 + -(-max(len(samples) - frame, 0) // hop)
    padded = np.zeros((count - 1) * hop + frame, dtype=samples.dtype)
    padded[: len(samples)] = samples[: len(padded)]
    return np.lib.stride_tricks.sliding_window_view(padded, frame)[::hop].copy()


def hz_to_mel(hz: Array, scale: str) -> Array:
    """Pitch as it is heard.

    htk: m = 2595 log10(1 + f / 700) (O'Shaughnessy 1987; HTK book, section 5.4).
    slaney: m = 3 f / 200 below 1 kHz, 15 + 27 ln(f / 1000) / ln 6.4 above (Slaney 1998, "Auditory Toolbox").
    """
    if scale == "htk":
        return np.asarray(2595.0 * np.log10(1.0 + hz / 700.0))
    linear = hz / _SLANEY_HZ_PER_MEL
    above = _SLANEY_BREAK_HZ / _SLANEY_HZ_PER_MEL + np.log(np.maximum(hz, 1e-9) / _SLANEY_BREAK_HZ) / _SLANEY_STEP
    return np.where(hz < _SLANEY_BREAK_HZ, linear, above)


def mel_to_hz(mel: Array, scale: str) -> Array:
    """The inverse of `hz_to_mel`."""
    if scale == "htk":
        return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
    above = _SLANEY_BREAK_HZ * np.exp(_SLANEY_STEP * (mel - _SLANEY_BREAK_HZ / _SLANEY_HZ_PER_MEL))
    return np.where(mel < _SLANEY_BREAK_HZ / _SLANEY_HZ_PER_MEL, mel * _SLANEY_HZ_PER_MEL, above)


def mel_filters(num_mels: int, fft_size: int, sample_rate: int, lowest: float, highest: float, scale: str) -> Array:
    """(num_mels, fft_size // 2 + 1): triangles whose corners stand at equal distances in mel.

    Filter k rises from 0 at f_k to 1 at f_{k+1} and falls to 0 at f_{k+2}, linearly in Hz, f_0 = `lowest`,
    f_{num_mels+1} = `highest`. With `scale` slaney each is divided by half its width, (f_{k+2} - f_k) / 2, so that all
    have the same area, as in Slaney's toolbox.
    """
    ends = hz_to_mel(np.asarray([lowest, highest], dtype=np.float64), scale)
    corners = mel_to_hz(np.linspace(ends[0], ends[1], num_mels + 2), scale)
    bins = np.arange(fft_size // 2 + 1) * (sample_rate / fft_size)
    low, centre, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    filters = np.maximum(0.0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    return np.asarray(filters * (2.0 / (high - low)) if scale == "slaney" else filters)


def cosine_transform(num_cepstra: int, num_mels: int) -> Array:
    """(num_cepstra, num_mels): the first rows of the orthonormal DCT-II, sqrt(2 / M) cos(pi k (m + 1/2) / M), row 0
    divided by sqrt 2."""
    k, m = np.arange(num_cepstra)[:, None], np.arange(num_mels)[None, :]
    matrix: Array = np.sqrt(2.0 / num_mels) * np.cos(np.pi * k * (m + 0.5) / num_mels)
    matrix[0] /= np.sqrt(2.0)
    return matrix


class WeightedSums:
    """`values @ weights.T`, each sum in one order: a row's does not depend, to the last bit, on the rows beside it, as
    that of a matrix product may.

    Args:
        weights: (M, K); what is zero is left out.

    Example:
        >>> WeightedSums(np.asarray([[1.0, 2.0, 0.0], [0.0, 0.0, 0.0]]))(np.asarray([[3.0, 4.0, 5.0]])).tolist()
        [[11.0, 0.0]]
    """

    def __init__(self, weights: Array) -> None:
        places = [np.flatnonzero(row) if row.any() else np.zeros(1, dtype=np.int64) for row in weights]
        self._places = np.concatenate(places)
        self._weights = np.concatenate([row[some] for row, some in zip(weights, places, strict=True)])
        self._starts = np.cumsum([0, *map(len, places[:-1])])

    def __call__(self, values: Array) -> Array:
        """(L, K) -> (L, M)."""
        return np.asarray(np.add.reduceat(values.take(self._places, axis=1) * self._weights, self._starts, axis=1))


@lru_cache(maxsize=8)
def window_of(size: int) -> Array:
    """(size,): the periodic Hann window, 0.5 - 0.5 cos(2 pi i / size)."""
    return np.asarray(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size))


def spectrum(frames: Array, fft_size: int) -> Array:
    """(L, fft_size // 2 + 1) complex: the FFT of frames (L, n) under the window, zeros after them."""
    return np.asarray(np.fft.rfft(frames * window_of(frames.shape[1]), fft_size))


def power_spectrum(frames: Array, fft_size: int) -> Array:
    """(L, fft_size // 2 + 1): |FFT|² of frames (L, n) under the window."""
    return np.asarray(np.abs(spectrum(frames, fft_size)) ** 2)


def slopes(frames: Array, width: int = 2) -> Array:
    """d_t = sum_n n (c_{t+n} - c_{t-n}) / (2 sum_n n²), n from 1 to `width`; the first and last frame repeat beyond the
    ends (HTK book, section 5.9)."""
    padded = np.pad(frames, ((width, width), (0, 0)), mode="edge")
    count = len(frames)
    total = np.zeros_like(frames)
    for n in range(1, width + 1):
        total += n * (padded[width + n : width + n + count] - padded[width - n : width - n + count])
    return np.asarray(total / (2.0 * sum(n * n for n in range(1, width + 1))))
