"""Clips: files of video, or folders of frames, become sequences of small pictures."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ostinato.arrays import Array
from ostinato.data.features.base import Draft, FittedFeature
from ostinato.data.sequences import Sequences
from ostinato.errors import DataError, ShapeError
from ostinato.media.extras import library
from ostinato.media.files import MEDIA, media_path
from ostinato.media.video_out import write_video
from ostinato.recipe.kinds import VideoRecipe

_MOST_THREADS = 8
_FRAMES_PER_SECOND = 10.0
"""Of what is written, where the recipe doesn't say."""
_GAIN = 16
_CHANNELS = {"grey": ("gray", 1), "rgb": ("gbrp", 3)}


class VideoFeature(FittedFeature):
    """Paths of clips to (sum L, C, H, W) uint8: a frame a step, its pixels 0 to 255.

    FFmpeg (through the library av) decodes a file in any of its formats; a folder is a clip whose frames are its
    pictures, by name (numbers by value: 2 before 10). Frames are squeezed to `size` by averaging areas. `num_frames`
    takes so many, evenly from the first to the last (all of a clip that has fewer); `fps` one every 1/fps seconds; none
    of them takes all. `motion` is `min(255, 16 √|x_t - x_{t-1}|)` of each channel, beside the pixels or in their
    place; the first frame taken has none, and with `only` is left out.

    Args:
        recipe: of the feature.
    """

    form = "pictures"
    recipe_type = VideoRecipe
    predicted, frames_hold = True, "numbers"
    suffixes = MEDIA["video"]
    usual_suffix = ".gif"
    reads_files = True

    @property
    def whole_row_reason(self) -> str | None:
        """Of the reader."""
        return "its frames are taken from a whole clip"

    def __init__(self, recipe: VideoRecipe) -> None:
        self.recipe = recipe

    @property
    def step_noun(self) -> str:
        """A frame."""
        return "frame"

    @property
    def value_shape(self) -> tuple[int, ...]:
        """(C, H, W); twice the channels with motion beside the pixels."""
        return _shape(self.recipe)

    @classmethod
    def read(cls, recipe: VideoRecipe, cells: pl.Series) -> Draft:
        """Clips, decoded side by side in threads (FFmpeg lets go of Python's lock)."""
        library("av", "reading video", "video")
        threads = min(_MOST_THREADS, os.cpu_count() or 1)
        with ThreadPoolExecutor(threads, thread_name_prefix="ostinato-video") as pool:
            found = list(pool.map(partial(_clip_or_problem, recipe), cells.to_list()))
        problems = {row: clip for row, clip in enumerate(found) if isinstance(clip, str)}
        empty = np.zeros((0, *_shape(recipe)), dtype=np.uint8)
        clips = [empty if isinstance(clip, str) else clip for clip in found]
        lengths = np.asarray([len(clip) for clip in clips], dtype=np.int64)
        return Draft(lengths, Sequences.from_lengths(np.concatenate([empty, *clips]), lengths), problems)

    @classmethod
    def fit(cls, recipe: VideoRecipe, values: Array) -> VideoFeature:
        """Nothing is learnt of training rows."""
        return cls(recipe)

    def decode(self, values: Array) -> str:
        """How many frames of which size."""
        return f"{len(values)} frames of {self.recipe.size[0]} × {self.recipe.size[1]} pixels"

    def known(self, values: Array) -> list[Any]:
        """As `pictures`, as lists."""
        return list(self.pictures(values).tolist())

    def in_words(self, values: Array) -> str:
        """How many there are."""
        return f"{len(values)} pictures"

    def write(self, values: Array, path: Path) -> str:
        """A video, of the kind that its suffix says."""
        write_video(path, self.pictures(values), self.recipe.fps or _FRAMES_PER_SECOND)
        return ""

    def pictures(self, values: Array, white: float = 255.0) -> Array:
        """Frames as a person can see them, (L, C, H, W) uint8, for `media.video_out.write_video`.

        Motion beside the pixels is left out; motion alone is what is seen. Numbers are rounded; a model's that are
        below black or above white become black or white.

        Args:
            values: (L, C, H, W) or flat (L, C H W), numbers of any type, C as `value_shape` says.
            white: what white is in them, > 0: 255 as `encode` gives pixels, 1 as models read them.

        Raises:
            ShapeError: for frames of another size.
            DataError: for values that are NaN.
        """
        shape = self.value_shape
        if values.shape[1:] not in (shape, (math.prod(shape),)):
            raise ShapeError(f"frames must be (L, {', '.join(map(str, shape))}), or flat. Received: {values.shape}.")
        levels = values.reshape(len(values), *shape)[:, : _CHANNELS[self.recipe.colour][1]]
        if levels.dtype == np.uint8 and white == 255:
            return levels
        if np.isnan(levels).any():
            raise DataError("frames must be numbers. Received: NaN among them.")
        found: Array = np.clip(np.round(levels * (255.0 / white)), 0, 255).astype(np.uint8)
        return found

    def to_dict(self) -> dict[str, Any]:
        """The recipe."""
        return {"recipe": self.recipe.model_dump(mode="json")}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> VideoFeature:
        """The inverse of `to_dict`."""
        return cls(VideoRecipe.model_validate(saved["recipe"]))


def _shape(recipe: VideoRecipe) -> tuple[int, int, int]:
    return (_CHANNELS[recipe.colour][1] * (2 if recipe.motion == "beside" else 1), *recipe.size)


def _clip_or_problem(recipe: VideoRecipe, cell: str) -> Array | str:
    """(L, C, H, W) uint8, or why it can't be read."""
    try:
        return read_clip(recipe, cell)
    except DataError as error:
        return error.message


def read_clip(recipe: VideoRecipe, cell: str) -> Array:
    """One clip, (L, C, H, W) uint8.

    Raises:
        DataError: for a path that is none, a file that is no video or is damaged, a clip without frames.
        MissingLibraryError: without av.
    """
    files = _frame_files(Path(cell)) if Path(cell).is_dir() else None
    frames = list(_frames_of_folder(recipe, files) if files is not None else _frames_of_file(recipe, media_path(cell)))
    if not frames:
        raise DataError("holds no frame")
    clip = np.stack(frames)  # (L, C, H, W)
    if recipe.motion == "none":
        return clip
    change = np.abs(np.diff(clip.astype(np.int16), axis=0, prepend=clip[:1].astype(np.int16)))
    motion: Array = np.minimum(_GAIN * np.sqrt(change), 255).astype(np.uint8)
    if recipe.motion == "beside":
        return np.concatenate([clip, motion], axis=1)
    if len(motion) < 2:
        raise DataError("has one frame only: no motion")
    return motion[1:]


def _frame_files(folder: Path) -> list[Path]:
    def order(path: Path) -> list[tuple[int, str]]:
        parts = re.split(r"(\d+)", path.name)
        return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]

    return sorted((path for path in folder.iterdir() if path.suffix.lower() in MEDIA["image"]), key=order)


def _frames_of_folder(recipe: VideoRecipe, files: list[Path]) -> Iterator[Array]:
    if recipe.fps is not None:
        raise DataError(
            "`fps` does not apply to a folder of frames, which has no time stamps; set num_frames, or neither"
        )
    for place in _chosen(len(files), recipe.num_frames):
        found = [_small(recipe, frame) for frame in _decoded(files[place])]
        if not found:
            raise DataError(f"{files[place].name} holds no picture")
        yield found[0]


def _frames_of_file(recipe: VideoRecipe, path: Path) -> Iterator[Array]:
    if recipe.fps is not None:
        due = -np.inf
        for frame in _decoded(path):
            at = float(frame.time or 0.0)
            if at >= due - 1e-6:
                due = (at if due == -np.inf else due) + 1 / recipe.fps
                due = max(due, at)  # a clip with fewer frames a second gives all it has
                yield _small(recipe, frame)
        return
    if recipe.num_frames is None:
        yield from (_small(recipe, frame) for frame in _decoded(path))
        return
    count = sum(1 for _ in _decoded(path))
    wanted = set(_chosen(count, recipe.num_frames))
    yield from (_small(recipe, frame) for place, frame in enumerate(_decoded(path)) if place in wanted)


def _chosen(count: int, num_frames: int | None) -> list[int]:
    """Which of `count` frames are taken."""
    if num_frames is None or count <= num_frames:
        return list(range(count))
    return [round(place) for place in np.linspace(0, count - 1, num_frames).tolist()]


def _decoded(path: Path) -> Iterator[Any]:
    """The frames of a file."""
    av = library("av", "reading video", "video")
    try:
        with av.open(str(path), metadata_errors="replace") as container:  # a title says nothing about frames
            if not container.streams.video:
                raise DataError("holds no video")
            yield from container.decode(video=0)
    except DataError:
        raise
    except (av.FFmpegError, UnicodeError, ValueError, MemoryError) as error:
        raise DataError(f"not a readable video: {getattr(error, 'strerror', error) or error}") from error


def _small(recipe: VideoRecipe, frame: Any) -> Array:
    """(C, H, W) uint8."""
    (height, width), (name, _) = recipe.size, _CHANNELS[recipe.colour]
    pixels: Array = frame.reformat(width=width, height=height, format=name, interpolation="AREA").to_ndarray()
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
