"""Files of sound as samples: by libsndfile, and what it does not know by FFmpeg."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.arrays import Array
from ostinato.errors import DataError
from ostinato.media.extras import library
from ostinato.media.files import media_path

Decode = Callable[[str], tuple[Array, int]]
"""A cell that names a file to samples (n, channels) float32, full scale at 1, and their rate in Hz."""

BY_FFMPEG = (".m4a", ".m4b", ".aac", ".wma", ".ac3", ".amr", ".mka", ".wv", ".ape")
"""Suffixes of what libsndfile does not read."""
MOST_VALUES = 1 << 30
"""Samples of all channels: six hours at 48 kHz, or 4 GB."""
_LEAST_HZ, _MOST_HZ = 100, 1_000_000


def sound_decoder() -> Decode:
    """What reads a file of sound. It raises `DataError` for what is none, or is absurdly large.

    Raises:
        MissingLibraryError: without soundfile or SciPy, which resamples.
    """
    library("scipy.signal", "reading sound", "audio")  # resampling needs it: better to say so now than halfway
    soundfile = library("soundfile", "reading sound", "audio")

    def decode(cell: str) -> tuple[Array, int]:
        path = media_path(cell)
        samples, rate = _by_ffmpeg(path) if path.suffix.lower() in BY_FFMPEG else _by_libsndfile(soundfile, path)
        if not _LEAST_HZ <= rate <= _MOST_HZ:
            raise DataError(f"not a readable sound: {rate:,} samples a second")
        return samples, rate

    return decode


def _by_libsndfile(soundfile: Any, path: Path) -> tuple[Array, int]:
    try:
        with soundfile.SoundFile(path) as file:
            _require_size(file.frames * file.channels)
            return file.read(dtype="float32", always_2d=True), int(file.samplerate)
    except DataError:
        raise
    except (soundfile.LibsndfileError, OSError, ValueError, TypeError, MemoryError) as error:
        reason = str(getattr(error, "error_string", error)).rstrip(".")
        raise DataError(f"not a readable sound: {reason or type(error).__name__}") from error


def _by_ffmpeg(path: Path) -> tuple[Array, int]:
    av = library("av", f"reading {path.suffix.lower()} files", "video")
    pieces: list[Array] = []
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            if not container.streams.audio:
                raise DataError("holds no sound")
            stream = container.streams.audio[0]
            resampler = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
            for frame in (*container.decode(audio=0), None):
                pieces += [piece.to_ndarray().T for piece in resampler.resample(frame)]
                _require_size(sum(map(np.size, pieces[-1:])) * len(pieces))
    except DataError:
        raise
    except (av.FFmpegError, UnicodeError, ValueError, MemoryError) as error:
        raise DataError(f"not a readable sound: {getattr(error, 'strerror', error) or error}") from error
    samples = np.concatenate(pieces) if pieces else np.zeros((0, 1), dtype=np.float32)
    return samples.astype(np.float32), int(stream.rate)


def _require_size(count: int) -> None:
    if count > MOST_VALUES:
        raise DataError(f"holds more than {MOST_VALUES:,} samples")
