"""What a frame is: numbers, notes or pictures; how it is read, stored and written."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import torch
from torch import Tensor

from ostinato.data.features import Feature
from ostinato.errors import RecipeError
from ostinato.heads.build import frame_head
from ostinato.heads.frames import FrameHead
from ostinato.layers.inputs import Vectors
from ostinato.recipe.model import FrameOutputRecipe

_NOTES = {
    "independent": "{values} notes, independent of each other",
    "nade": "NADE: {values} notes, each given those below it, {size} units",
    "autoregressive": "{values} notes, one after the other, GRU of {size} units",
}


@dataclass(frozen=True)
class Frames:
    """Frames of `values`, C, numbers."""

    values: int
    holds: ClassVar[str] = "numbers"

    @staticmethod
    def of(feature: Feature) -> Frames:
        """Of a column's frames. Raises `RecipeError` for a column whose values have no distribution here."""
        if feature.form == "pictures":
            return PictureFrames(prod(feature.value_shape))
        if feature.form != "vectors" or not feature.ragged:
            raise RecipeError(f"frames are series, sound, notes or video. Received: a column of kind {feature.kind}.")
        return _SORTS.get(feature.frames_hold, Frames)(feature.value_shape[0])

    def floats(self, values: Tensor, dtype: torch.dtype) -> Tensor:
        """Stored frames as floating-point numbers (M, C)."""
        return values.to(dtype)

    def stored(self, numbers: Tensor) -> Tensor:
        """The inverse, but for the shape of pictures."""
        return numbers

    @property
    def skipped(self) -> int:
        """Size of the skip connection from the previous frame: C, of notes none."""
        return self.values

    def layer(self, noise: float) -> Vectors:
        """What reads them; `noise`: standard deviation of what training adds to numbers."""
        return Vectors(self.values, noise)

    def with_previous(self, states: Tensor, before: Tensor) -> Tensor:
        """What a frame's distribution is computed from: states (M, H), and of numbers the previous frame."""
        return torch.cat([states, before], dim=1) if self.skipped else states

    def head(self, recipe: FrameOutputRecipe, input_size: int, *, tied: bool = False) -> FrameHead:
        """Their distribution given states of `input_size`, as the recipe says; `tied`: each note has a state."""
        return frame_head(recipe, input_size, self.values, notes=False, tied=tied)

    def about(self, recipe: FrameOutputRecipe) -> str:
        """A description of their distribution."""
        shape = {"gaussian": "normal", "student_t": "Student's t"}[recipe.numbers.distribution]
        each = f"{self.values:,} numbers" if self.values > 1 else "a number"
        count = recipe.numbers.components
        if recipe.numbers.factors:
            shape = f"{shape} ({recipe.numbers.factors} factors)"
        return f"{each}, {shape}" if count == 1 else f"{each}, a mixture of {count} {shape} distributions"


class NoteFrames(Frames):
    """Frames of C notes, zeros and ones."""

    holds = "notes"

    @property
    def skipped(self) -> int:
        """None."""
        return 0

    def layer(self, noise: float) -> Vectors:
        """Without noise."""
        return Vectors(self.values, 0.0)

    def head(self, recipe: FrameOutputRecipe, input_size: int, *, tied: bool = False) -> FrameHead:
        """As `recipe.notes` says."""
        return frame_head(recipe, input_size, self.values, notes=True, tied=tied)

    def about(self, recipe: FrameOutputRecipe) -> str:
        """As `recipe.notes` says."""
        return _NOTES[recipe.notes.output].format(values=self.values, size=recipe.notes.output_size)


class PictureFrames(Frames):
    """Frames of pictures: C bytes in all, -1 to 1 as numbers."""

    holds = "pictures"

    def floats(self, values: Tensor, dtype: torch.dtype) -> Tensor:
        """Bytes (M, ...) to (M, C)."""
        return values.flatten(1).to(dtype) / 127.5 - 1

    def stored(self, numbers: Tensor) -> Tensor:
        """Rounded to bytes, (M, C)."""
        return ((numbers + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


_SORTS: dict[str, type[Frames]] = {"notes": NoteFrames}
"""By what a feature says of its steps (`Feature.frames_hold`); all others are of numbers."""
