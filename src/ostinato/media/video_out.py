"""From pictures to a file of video that a person can watch."""

from __future__ import annotations

import io
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.arrays import Array
from ostinato.errors import MissingLibraryError, RunError, ShapeError
from ostinato.media.extras import library
from ostinato.media.files import require_place
from ostinato.storage.files import write_atomically

SUFFIXES = (".mp4", ".avi", ".gif")
"""Of files that `write_video` writes."""
_LEAST_HEIGHT = 128
_SLOWEST, _FASTEST, _FASTEST_GIF = 0.1, 240.0, 50.0
_LONGEST_GIF = 65_535
_FINEST = 250
"""The greatest denominator of a rate: MPEG-4 takes numerators up to 65,535."""
_CODECS: dict[str, tuple[str, dict[str, str]]] = {
    ".mp4": ("libx264", {"crf": "12"}),
    ".avi": ("mpeg4", {"qmin": "1", "qmax": "2"}),
}


def write_video(path: str | Path, frames: Array, frames_per_second: float) -> None:
    """Write pictures as a video; the suffix says the format.

    .mp4 (H.264) and .avi (MPEG-4) lose a little; .gif keeps grey levels as they are and 256 colours a picture, and
    shows equal pictures in succession as one, for longer. Pictures below 128 pixels in height, or of an odd height or
    width, are made larger by the least even factor, each pixel a square; squeezed to its own size again (`video.size`)
    a picture is what it was.

    Args:
        path: where to; replaced whole if it is there.
        frames: (L, C, H, W) uint8, C 1 (grey) or 3 (red, green, blue), L at least 1.
        frames_per_second: 0.1 to 240; to 50 for a .gif, which counts hundredths of a second.

    Raises:
        RunError: for another suffix, a folder that is not there, frames_per_second out of range, or pictures that the
            encoder does not take.
        ShapeError: for pictures of another shape or type.
        MissingLibraryError: without av (.mp4, .avi) or Pillow (.gif).

    Example:
        >>> write_video("clip.gif", np.zeros((10, 1, 16, 16), dtype=np.uint8), 10)
        >>> Path("clip.gif").is_file()
        True
    """
    path = Path(path)
    suffix = path.suffix.lower()
    require_place(path, SUFFIXES, "video")
    if frames.ndim != 4 or frames.shape[1] not in (1, 3) or frames.dtype != np.uint8 or not frames.size:
        raise ShapeError(
            f"frames must be (L, 1 or 3, H, W) uint8, L at least 1. Received: {frames.shape} {frames.dtype}.",
            hint="a model's output first becomes pixels: feature.pictures(values)",
        )
    fastest = _FASTEST_GIF if suffix == ".gif" else _FASTEST
    if not _SLOWEST <= frames_per_second <= fastest:
        raise RunError(
            f"`frames_per_second` of {suffix} must be {_SLOWEST:g} to {fastest:g}. Received: {frames_per_second:g}."
        )
    large = enlarged(frames)
    content = _gif(large, frames_per_second) if suffix == ".gif" else _encoded(large, frames_per_second, suffix)
    write_atomically(path, content)


def enlarged(frames: Array) -> Array:
    """(L, C, k H, k W): each pixel k × k of its kind; k = 1 where a picture is at least 128 high and of even size, else
    the least even number that makes it so."""
    height, width = frames.shape[2:]
    if height >= _LEAST_HEIGHT and height % 2 == width % 2 == 0:
        return frames
    factor = 2 * math.ceil(_LEAST_HEIGHT / (2 * height))
    return frames.repeat(factor, axis=2).repeat(factor, axis=3)


def _packed(frame: Array) -> tuple[Array, str]:
    """(C, H, W) as libraries of pictures want it, and what FFmpeg calls that."""
    return (frame[0], "gray") if len(frame) == 1 else (np.ascontiguousarray(frame.transpose(1, 2, 0)), "rgb24")


def _encoded(frames: Array, frames_per_second: float, suffix: str) -> bytes:
    av = library("av", "writing video", "video")
    codec, options = _CODECS[suffix]
    if codec not in av.codecs_available:
        raise MissingLibraryError(
            f"writing {suffix} needs av built with {codec}; the installed one lacks it.", hint="write .avi or .gif"
        )
    buffer = io.BytesIO()
    try:
        with av.open(buffer, "w", format=suffix[1:]) as container:
            rate = Fraction(frames_per_second).limit_denominator(_FINEST)
            stream: Any = container.add_stream(codec, rate=rate, options=options)
            stream.height, stream.width, stream.pix_fmt = *frames.shape[2:], "yuv420p"
            for frame in frames:
                pixels, form = _packed(frame)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format=form)))
            container.mux(stream.encode(None))
    except av.FFmpegError as error:
        raise RunError(
            f"can't write {suffix} of {frames.shape[2]} × {frames.shape[3]} pixels, {frames_per_second:g} frames a "
            f"second: {error.strerror or error}."
        ) from error
    return buffer.getvalue()


def _gif(frames: Array, frames_per_second: float) -> bytes:
    image = library("PIL.Image", "writing GIF", "video")
    height, width = frames.shape[2:]
    if max(height, width) > _LONGEST_GIF:
        raise RunError(f"a .gif has at most {_LONGEST_GIF:,} pixels a side. Received: {height} × {width}.")
    pictures = [image.fromarray(_packed(frame)[0]) for frame in frames]
    ends = np.round(np.arange(len(frames) + 1) * 100 / frames_per_second)  # hundredths of a second
    buffer = io.BytesIO()
    pictures[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=(10 * np.diff(ends)).astype(int).tolist(),
        loop=0,
    )
    return buffer.getvalue()
