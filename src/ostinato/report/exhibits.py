"""Rows as a person can see or hear them: lines, pictures, strips of frames, players."""

from __future__ import annotations

from functools import singledispatch
from math import gcd
from typing import Any

from markupsafe import Markup

from ostinato.arrays import Array
from ostinato.data.dataset import Examples
from ostinato.data.features import Feature
from ostinato.data.features.audio import AudioFeature
from ostinato.data.features.image import ImageFeature
from ostinato.data.features.notes import NotesFeature
from ostinato.data.features.video import VideoFeature
from ostinato.data.io.blocks import located_cell
from ostinato.errors import DataError, RunError
from ostinato.media.sound_in import sound_decoder
from ostinato.report.images import picture, strip
from ostinato.report.sound import RATE, TEMPO, player, synthesised
from ostinato.report.sparkline import sparkline

_DRAWN_CHANNELS = 24
_SECONDS, _MUSIC_SECONDS = 2.0, 10.0
"""At most so much of a sound, or of a piece, is in a page."""


@singledispatch
def heard(feature: Feature, values: Array, label: str) -> Markup | None:
    """Frames (L, ...) of a feature, written by a model or true, as a player; None for what makes no sound."""
    return None


@heard.register
def _music(feature: NotesFeature, values: Array, label: str) -> Markup | None:
    roll, recipe = values[: audible_frames(feature)] != 0, feature.recipe
    return player(synthesised(roll, recipe.lowest, recipe.frames_per_beat), label)


def audible_frames(feature: NotesFeature) -> int:
    """How many frames of a piece a page plays."""
    return round(_MUSIC_SECONDS * feature.recipe.frames_per_beat * TEMPO / 60)


@heard.register
def _noise(feature: AudioFeature, values: Array, label: str) -> Markup | None:
    try:
        samples, rate = feature.sound(values[: round(_SECONDS * 1000 / feature.recipe.hop_ms)])
    except (RunError, DataError):  # no sound can be made of such frames
        return None
    return player(_resampled(samples, rate, _SECONDS), label)


@singledispatch
def exhibit(feature: Feature, examples: Examples, row: int) -> Markup | None:
    """A row of the input: few numbers a step as lines; None for what is better read.

    Other kinds: sounds and pieces of music as players, clips as a strip of frames, pictures as they are.
    """
    values = examples.sequences.row(row)
    if values.ndim != 2 or values.shape[1] > _DRAWN_CHANNELS or not len(values) or values.dtype.kind != "f":
        return None
    return sparkline(values)


@exhibit.register
def _sound(feature: AudioFeature, examples: Examples, row: int) -> Markup | None:
    file, _ = examples.places.location(int(examples.rows[row]))
    try:
        samples, rate = sound_decoder()(located_cell(file, examples.preview(row)) or "")
    except DataError:  # the file is gone, or its name is longer than what is kept of it
        return None
    return player(_resampled(samples.mean(axis=1), rate, _SECONDS), "the sound")


@exhibit.register
def _clip(feature: VideoFeature, examples: Examples, row: int) -> Markup | None:
    return strip(feature.pictures(examples.sequences.row(row)))


@exhibit.register
def _picture(feature: ImageFeature, examples: Examples, row: int) -> Markup | None:
    return picture(examples.sequences.row(row)[0])


@exhibit.register
def _piece(feature: NotesFeature, examples: Examples, row: int) -> Markup | None:
    return heard(feature, examples.sequences.row(row), "the piece")


def _resampled(samples: Array, rate: int, seconds: float) -> Any:
    """(n,) at `RATE`, the beginning."""
    from scipy.signal import resample_poly

    common = gcd(rate, RATE)
    return resample_poly(samples[: round(seconds * rate)], RATE // common, rate // common)
