"""Many-to-many synchronised: each frame of a sequence from those before it, all frames of a row at once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ostinato.data.batching import Batch
from ostinato.data.dataset import Features
from ostinato.data.features import Feature
from ostinato.data.features.notes import NotesFeature
from ostinato.heads.frames import FrameHead
from ostinato.layers.covariates import NO_EXTRA, Extra, StepCovariates
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.layers.frame_decoder import previous_frames
from ostinato.layers.frames import Frames, NoteFrames
from ostinato.recipe import TrainingRecipe
from ostinato.tasks.next_step.recipe import NextStepRecipe
from ostinato.tasks.next_step.tied_notes import TiedNotes
from ostinato.types import Ragged, State


class NextStep(nn.Module):
    """previous frame (before the first: zeros) → recurrent stack → distribution of the frame (`heads.notes`).

    p(v_1 … v_T | x) = ∏_t p(v_t | h_t), h_t = RNN([v_{t-1}; x_t], h_{t-1}), v_0 = 0. x is what further columns say of
    a row, or of its frame t (Graves 2013, arXiv:1308.0850, section 5.1); without such columns there is none. The loss
    is -ln p in nats a frame: the sum over all frames of all rows divided by their number, as the field reports it, not
    a mean of means of pieces.

    Args:
        recipe: the model's part of a recipe; `next_step` says which distribution.
        frames: what a frame is; a number: of so many notes.
        transpose: in training each row is moved by up to so many places up or down, >= 0.
        lowest: MIDI pitch of the first note, by which `recurrence: note` gives each note its place.
        covariates: further columns, by name: what is given of a row (or of each frame) is read at every step.

    Example:
        >>> model = NextStep(NextStepRecipe(hidden_size=8), 5)
        >>> frames = Ragged.from_rows(torch.tensor([[0, 1, 0, 0, 1], [0, 1, 0, 0, 0]]), starts=[0], lengths=[2])
        >>> model.nll(frames).shape
        torch.Size([2])
    """

    def __init__(
        self,
        recipe: NextStepRecipe,
        frames: int | Frames,
        transpose: int = 0,
        lowest: int = 21,
        covariates: Mapping[str, Feature] = MappingProxyType({}),
    ) -> None:
        super().__init__()
        self.frames = frames if isinstance(frames, Frames) else NoteFrames(frames)
        self.transpose = transpose
        self.encoder = _encoder(recipe, self.frames, lowest, covariates)
        self.dropout = nn.Dropout(recipe.head_dropout)
        self.output = self.frames.head(
            recipe, self.encoder.output_size + self.frames.skipped, tied=recipe.recurrence == "note"
        )
        about = self.frames.about(recipe)
        self.parts = {"output": f"{about}, from {self.states_per_row} states" if self.states_per_row > 1 else about}

    @property
    def head(self) -> FrameHead:
        """What the states mean."""
        return self.output

    @property
    def states_per_row(self) -> int:
        """Recurrences that run side by side for one row: 1, or C where each note has its own."""
        return self.frames.values if isinstance(self.encoder, TiedNotes) else 1

    @property
    def is_given(self) -> bool:
        """Whether it reads further columns."""
        return isinstance(self.encoder.embedding, StepCovariates)

    def forward(self, frames: Ragged, extra: Extra = NO_EXTRA) -> Ragged:
        """(sum L, C) to (sum L, H), or (sum L, C, H) where each note has a state: at each step what is known of its
        frame from the frames before it."""
        frames = self.laid(frames)
        read = previous_frames(frames, frames.values.dtype)
        hidden = self.read(read, extra)[0]
        return hidden.with_values(self.frames.with_previous(self.dropout(hidden.values), read.values))

    def laid(self, frames: Ragged) -> Ragged:
        """Frames as they are stored, as floating-point numbers (sum L, C)."""
        return frames.with_values(self.frames.floats(frames.values, next(self.parameters()).dtype))

    def read(
        self, before: Ragged, extra: Extra = NO_EXTRA, states: list[State] | None = None
    ) -> tuple[Ragged, list[State]]:
        """The frame before each step, and what is given, to hidden states, and the states after each row."""
        layer = self.encoder.embedding
        if isinstance(layer, StepCovariates):
            return self.encoder.run(layer(before, extra), states)
        return cast("tuple[Ragged, list[State]]", self.encoder(before, states))

    def nll(self, frames: Ragged, extra: Extra = NO_EXTRA) -> Tensor:
        """-ln p of each frame, (sum L,), packed as the frames are."""
        return self.output.nll(self(frames, extra).values, self.laid(frames).values)

    def forced(self, batch: Batch) -> tuple[Ragged, Ragged, Ragged]:
        """-ln p of each frame, what was expected in its place, and the frames."""
        hidden, truth = self(batch.inputs, batch.extra), self.laid(batch.inputs)
        nll = hidden.with_values(self.head.nll(hidden.values, truth.values))
        return nll, hidden.with_values(self.head.point(hidden.values)), truth

    def window_nll(self, before: Ragged, frames: Ragged, states: list[State]) -> tuple[Tensor, list[State]]:
        """The summed nats of pieces of rows, given the frame before each, that go on from `states` (D, N, H), and the
        states after them."""
        hidden, after = self.encoder(before, states)
        read = self.frames.with_previous(self.dropout(hidden.values), before.values)
        return self.output.nll(read, frames.values).sum(), after

    def loss(self, batch: Batch, training: TrainingRecipe) -> Tensor:
        """Mean nats a frame; in training of pieces moved by a few semitones, drawn from (seed, step)."""
        frames = batch.inputs
        if self.training and self.transpose:
            draws = np.random.default_rng([training.seed, batch.step]).random(frames.num_rows)
            frames = transposed(frames, self.transpose, torch.from_numpy(draws))
        return self.nll(frames, batch.extra).mean()


def transposed(frames: Ragged, most: int, draws: Tensor) -> Ragged:
    """Each row moved by a whole number of places, up to `most` either way, of those that push no note over the edge.

    Args:
        frames: (sum L, C).
        most: >= 0.
        draws: (N,) of [0, 1), which of the possible moves of a row is taken.
    """
    values, rows = frames.values, frames.rows_index()
    num_notes = values.shape[1]
    used = torch.zeros(frames.num_rows, num_notes, dtype=torch.int64, device=values.device)
    used = used.index_add(0, rows, (values != 0).long()) > 0
    down = torch.where(used.any(1), used.int().argmax(1), num_notes).clamp(max=most)
    up = torch.where(used.any(1), used.flip(1).int().argmax(1), num_notes).clamp(max=most)
    picked = draws.to(values.device)[frames.sorted_indices]
    moves = (picked * (down + up + 1)).floor().long() - down  # (N,), in the order of the packed rows
    place = torch.arange(num_notes, device=values.device) - moves[rows].unsqueeze(1)
    moved = values.gather(1, place.remainder(num_notes))  # what wraps around is silent
    return frames.with_values(moved)


def build_next_step(recipe: NextStepRecipe, features: Features) -> NextStep:
    """The model of a resolved recipe.

    Raises:
        RecipeError: where the input is not of a kind whose next frame has a distribution here.
    """
    feature, frames = features.input, Frames.of(features.input)
    if not isinstance(feature, NotesFeature):
        return NextStep(recipe, frames, covariates=features.extra)
    return NextStep(recipe, frames, feature.recipe.transpose, feature.recipe.lowest, features.extra)


def _encoder(
    recipe: NextStepRecipe, frames: Frames, lowest: int, covariates: Mapping[str, Feature]
) -> RecurrentEncoder | TiedNotes:
    if recipe.recurrence == "note":
        return TiedNotes(recipe, frames.values, lowest)
    read = frames.layer(recipe.input_noise)
    return RecurrentEncoder(recipe, inputs=StepCovariates(read, covariates, recipe) if covariates else read)
