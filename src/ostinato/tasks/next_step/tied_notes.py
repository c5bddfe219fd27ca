"""A recurrence for each note of a frame, all with the same weights: what is learnt in one key holds in every key."""

from __future__ import annotations

from typing import TypeVar, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.layers.encoder import RecurrentEncoder
from ostinato.layers.inputs import Vectors
from ostinato.tasks.next_step.recipe import NextStepRecipe
from ostinato.types import Ragged, State

FramesT = TypeVar("FramesT", Tensor, Ragged)
_OCTAVE = 12
_MIDDLE, _SPAN = 64, 32
"""Pitches are scaled to (pitch - 64) / 32, between about -1 and 2."""


class TiedNotes(RecurrentEncoder):
    """Frames of C notes to a state for each note: C recurrences in parallel, one set of weights.

        h_{t,n} = RNN([v_{t,n-R} … v_{t,n+R}; Σ_octaves v_{t,n+1}, …, v_{t,n+12}; place of n], h_{t-1,n})

    Each note sees its neighbours up to `reach` away, how often each interval above it sounds (in any octave), and where
    it is itself: its pitch class and its height. So a progression that training shows in one key is known in all.

    Source: Johnson 2017, "Generating polyphonic music using tied parallel networks"; what a note sees differs.

    Args:
        recipe: the model's part of a recipe: cell, sizes and dropouts of the recurrence of a note.
        num_notes: C.
        lowest: MIDI pitch of the first note.

    Shapes: frames (L, N, C) in a tensor or a Ragged of (sum L, C), as floating-point numbers; output (L, N, C, H) or a
    Ragged of (sum L, C, H). States are (D, N, C * H), a row for each row of frames.

    Example:
        >>> layer = TiedNotes(NextStepRecipe(hidden_size=8), num_notes=88, lowest=21)
        >>> layer(torch.zeros(5, 2, 88))[0].shape
        torch.Size([5, 2, 88, 8])
    """

    def __init__(self, recipe: NextStepRecipe, num_notes: int, lowest: int) -> None:
        super().__init__(recipe, inputs=Vectors(2 * recipe.reach + 1 + 2 * _OCTAVE + 1))
        self.num_notes, self.reach = num_notes, recipe.reach
        pitch = torch.arange(num_notes) + lowest
        classes = F.one_hot(pitch % _OCTAVE, _OCTAVE).to(torch.get_default_dtype())
        height = ((pitch - _MIDDLE) / _SPAN).unsqueeze(1)
        above = (pitch.unsqueeze(1) + torch.arange(1, _OCTAVE + 1)) % _OCTAVE
        self.register_buffer("classes", classes, persistent=False)  # (C, 12)
        self.register_buffer("place", torch.cat([classes, height], dim=1), persistent=False)  # (C, 13)
        self.register_buffer("above", above, persistent=False)  # (C, 12): the pitch class of each interval above a note

    def forward(self, frames: FramesT, states: list[State] | None = None) -> tuple[FramesT, list[State]]:
        """The states of all notes after each frame, and the final states; `states` are such, or none: zeros."""
        inner = None if states is None else self._by_note(states)
        if isinstance(frames, Tensor):
            length, num_rows, _ = frames.shape
            seen = self.seen(frames.flatten(0, 1)).view(length, num_rows * self.num_notes, -1)
            hidden, after = super().forward(seen, inner)
            return hidden.view(length, num_rows, self.num_notes, -1), self._by_row(after)
        ragged, after = super().forward(_rows_of_notes(frames, self.seen(frames.values)), inner)
        return frames.with_values(ragged.values.view(len(frames.values), self.num_notes, -1)), self._by_row(after)

    def seen(self, frames: Tensor) -> Tensor:
        """What each note sees of its frame: (M, C) to (M, C, 2 R + 1 + 12 + 13)."""
        near = F.pad(frames, (self.reach, self.reach)).unfold(1, 2 * self.reach + 1, 1)
        intervals = (frames @ cast("Tensor", self.classes))[:, cast("Tensor", self.above)]
        place = cast("Tensor", self.place).expand(len(frames), -1, -1)
        return torch.cat([near, intervals, place], dim=2)

    def zero_states(self, num_rows: int) -> list[State]:
        """The state of each layer before the first step."""
        return self._by_row(super().zero_states(num_rows * self.num_notes))

    def _by_note(self, states: list[State]) -> list[State]:
        """Each part of (D, N, C * H) as (D, N * C, H)."""
        return [
            tuple(part.reshape(part.shape[0], part.shape[1] * self.num_notes, -1) for part in state) for state in states
        ]

    def _by_row(self, states: list[State]) -> list[State]:
        """Each part of (D, N * C, H) as (D, N, C * H)."""
        return [
            tuple(part.reshape(part.shape[0], part.shape[1] // self.num_notes, -1) for part in state)
            for state in states
        ]


def _rows_of_notes(frames: Ragged, seen: Tensor) -> Ragged:
    """(sum L, C, F) of N rows as N * C rows of (sum L * C, F), which lie in memory as they did."""
    num_notes = seen.shape[1]
    note = torch.arange(num_notes, device=seen.device)

    def spread(places: Tensor) -> Tensor:
        return (places.unsqueeze(1) * num_notes + note.to(places.device)).flatten()

    return Ragged(
        seen.flatten(0, 1),
        frames.batch_sizes * num_notes,
        spread(frames.sorted_indices),
        spread(frames.unsorted_indices),
        frames.lengths.repeat_interleave(num_notes),
    )
