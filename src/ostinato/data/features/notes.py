"""Notes: frames of pitches that sound together, as zeros and ones, a number for each pitch of a range."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ostinato.arrays import Array
from ostinato.data.features.base import Draft, FittedFeature
from ostinato.data.rejects import counted
from ostinato.data.sequences import Sequences
from ostinato.errors import DataError, RunError
from ostinato.media.files import MEDIA
from ostinato.media.midi import read_midi, write_midi
from ostinato.recipe.kinds import NotesRecipe

_NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
_MIDI = (".mid", ".midi")
_COLUMNS = 64


class NotesFeature(FittedFeature):
    """Pitches to (L, C) zeros and ones, C = highest - lowest + 1; column k is the MIDI pitch lowest + k.

    A cell is a list of lists of MIDI pitches (frame by frame), the same as JSON text, or the path of a MIDI file,
    which is read on a grid of `frames_per_beat`. A pitch outside the range is a problem of its row: nothing is folded
    into the range or left out.

    Args:
        recipe: of the feature.

    Example:
        >>> feature = NotesFeature(NotesRecipe(lowest=60, highest=64))
        >>> feature.encode(pl.Series([[[60, 64], [], [62]]])).values.tolist()
        [[1, 0, 0, 0, 1], [0, 0, 0, 0, 0], [0, 0, 1, 0, 0]]
    """

    form = "vectors"
    recipe_type = NotesRecipe
    predicted, per_step, frames_hold = True, None, "notes"
    suffixes = MEDIA["notes"]
    usual_suffix = ".mid"

    def __init__(self, recipe: NotesRecipe) -> None:
        self.recipe: NotesRecipe = recipe

    @property
    def step_noun(self) -> str:
        """A step is a frame."""
        return "frame"

    @property
    def value_shape(self) -> tuple[int, ...]:
        """(C,)."""
        return (self.recipe.highest - self.recipe.lowest + 1,)

    @classmethod
    def read(cls, recipe: NotesRecipe, cells: pl.Series) -> Draft:
        """Zeros and ones, uint8."""
        problems: dict[int, str] = {}
        pieces: list[list[list[int]]] = []
        for row, cell in enumerate(cells.to_list()):
            try:
                pieces.append(_checked(_frames(cell, recipe), recipe))
            except DataError as error:
                problems[row] = error.message.rstrip(".")
                pieces.append([])
        lengths = np.asarray([len(piece) for piece in pieces], dtype=np.int64)
        return Draft(lengths, Sequences.from_lengths(_rolled(pieces, recipe), lengths), problems)

    @classmethod
    def fit(cls, recipe: NotesRecipe, values: Array) -> NotesFeature:
        """Nothing depends on the data."""
        return cls(recipe)

    def decode(self, values: Array) -> list[list[int]]:
        """The pitches of each frame of (L, C) zeros and ones."""
        frames = np.asarray(values).reshape(-1, *self.value_shape)
        return [(np.flatnonzero(frame) + self.recipe.lowest).tolist() for frame in frames]

    def as_json(self, drawn: list[Array], files: list[Path]) -> dict[str, Any]:
        """Of a single piece its pitches, and where the music is."""
        if len(drawn) != 1:
            return super().as_json(drawn, files)
        return {"frames": self.known(drawn[0]), "midi": str(files[0])}

    def in_words(self, values: Array) -> str:
        """A piano roll."""
        return roll_text(self.decode(values))

    def write(self, values: Array, path: Path) -> str:
        """A MIDI file. Returns how many frames a beat has. Raises `RunError` for another suffix."""
        if path.suffix.lower() not in _MIDI:
            raise RunError(f"music is written to {', '.join(_MIDI)} or .json. Received: {path.name}.")
        write_midi(self.decode(values), path, self.recipe.frames_per_beat)
        return f"{counted(self.recipe.frames_per_beat, 'frame')} a beat"

    def to_dict(self) -> dict[str, Any]:
        """The recipe, which is all there is."""
        return {"recipe": self.recipe.model_dump(mode="json")}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> NotesFeature:
        """The inverse of `to_dict`."""
        return cls(NotesRecipe.model_validate(saved["recipe"]))


def note_name(pitch: int) -> str:
    """A MIDI pitch as musicians write it: 60 is C4."""
    return f"{_NAMES[pitch % 12]}{pitch // 12 - 1}"


def roll_text(frames: Sequence[Sequence[int]]) -> str:
    """A piano roll as text: a line a pitch from the highest down, a column a frame, 64 side by side."""
    if not any(frames):
        return "(silence)"
    pitches = range(max(map(max, filter(None, frames))), min(map(min, filter(None, frames))) - 1, -1)
    stretches = [frames[start : start + _COLUMNS] for start in range(0, len(frames), _COLUMNS)]
    lines = [
        [f"{note_name(pitch):>4} │" + "".join("█" if pitch in frame else "·" for frame in stretch) for pitch in pitches]
        for stretch in stretches
    ]
    return "\n\n".join("\n".join(stretch) for stretch in lines)


def _frames(cell: Any, recipe: NotesRecipe) -> Any:
    """What a cell holds, not yet checked."""
    if not isinstance(cell, str):
        return cell
    if not cell.lstrip().startswith("["):
        frames = read_midi(Path(cell), recipe.frames_per_beat)
        if not any(frames):
            raise DataError(f"`{cell}` holds no notes (drums are left out).")
        return frames
    try:
        return json.loads(cell)
    except json.JSONDecodeError as error:
        raise DataError(f"neither a MIDI file nor a JSON list of frames: {cell[:60]!r}.") from error


def _checked(frames: Any, recipe: NotesRecipe) -> list[list[int]]:
    """The frames, of integers within the range."""
    if not isinstance(frames, list):
        raise DataError(f"not a list of frames, but {str(frames)[:60]!r}.")
    if not frames:
        raise DataError("holds no frame.")
    for number, frame in enumerate(frames, start=1):
        if not isinstance(frame, list) or not all(type(pitch) is int for pitch in frame):
            raise DataError(f"frame {number} is not a list of MIDI pitches: {str(frame)[:60]!r}.")
        for pitch in frame:
            if not recipe.lowest <= pitch <= recipe.highest:
                raise DataError(
                    f"frame {number} holds the pitch {pitch}, outside `lowest` = {recipe.lowest} to `highest` = "
                    f"{recipe.highest}."
                )
    return frames


def _rolled(pieces: list[list[list[int]]], recipe: NotesRecipe) -> Array:
    """(sum L, C) of all pieces."""
    frames = list(chain.from_iterable(pieces))
    counts = np.asarray([len(frame) for frame in frames], dtype=np.int64)
    pitches = np.fromiter(chain.from_iterable(frames), dtype=np.int64, count=int(counts.sum()))
    roll = np.zeros((len(frames), recipe.highest - recipe.lowest + 1), dtype=np.uint8)
    roll[np.repeat(np.arange(len(frames)), counts), pitches - recipe.lowest] = 1
    return roll
