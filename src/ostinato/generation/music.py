"""Music from a model of frames, frame by frame, each step from the state the last one left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import polars as pl
import torch
from torch import Tensor

from ostinato.data.features.notes import NotesFeature, note_name
from ostinato.data.sequences import Sequences
from ostinato.errors import RecipeError, RunError
from ostinato.models import NextStep
from ostinato.types import State

_COLUMNS = 64


def compose(
    model: NextStep,
    feature: NotesFeature,
    *,
    prompt: str | Sequence[Sequence[int]] = (),
    num_frames: int = 64,
    temperature: float = 1.0,
    seed: int = 0,
) -> list[list[int]]:
    """The prompt's frames and as many new ones after it, as MIDI pitches; the same seed writes the same music.

    Args:
        model: with the weights to write with.
        feature: the run's input, which knows the range of notes.
        prompt: frames of pitches, or the path of a MIDI file; none: from the very beginning.
        num_frames: new frames, >= 1.
        temperature: log-odds are divided by it, >= 0: below 1 safer, above wilder, 0 always what is likelier.
        seed: of the draws.

    Raises:
        RecipeError: for a number of frames or a temperature that is not possible.
        RunError: for a prompt that can't be used.

    Example:
        >>> run = ostinato.load("runs/music-jsb")
        >>> compose(run.model, run.features.input, prompt=[[48, 64, 67, 72]], num_frames=8, seed=1)[0]
        [48, 64, 67, 72]
    """
    if num_frames < 1:
        raise RecipeError(f"`num_frames` must be a positive integer. Received: {num_frames}.")
    if temperature < 0:
        raise RecipeError(f"`temperature` must not be negative. Received: {temperature:g}.")
    generator = torch.Generator().manual_seed(seed)
    was_training = model.training
    model.eval()
    like = next(model.parameters())
    given = _encoded(feature, prompt).to(like)
    hidden, states = _step(model, given, None)
    drawn = [given[1:]]
    for number in range(num_frames):
        with torch.inference_mode():
            frame = model.output.draw(hidden, generator, temperature)
        drawn.append(frame.to(like))
        if number < num_frames - 1:
            hidden, states = _step(model, drawn[-1], states)
    model.train(was_training)
    return feature.decode(torch.cat(drawn).to(torch.uint8).numpy())


def _encoded(feature: NotesFeature, prompt: str | Sequence[Sequence[int]]) -> Tensor:
    """(1 + L, C): a frame of zeros, which stands before every piece, and the prompt."""
    zeros = torch.zeros(1, *feature.value_shape)
    if not len(prompt):
        return zeros
    cell = prompt if isinstance(prompt, str) else [list(frame) for frame in prompt]
    draft = feature.draft(pl.Series([cell], strict=False))
    if draft.problems:
        raise RunError(f"the prompt can't be used: {draft.problems[0]}.")
    return torch.cat([zeros, torch.from_numpy(cast("Sequences", draft.content).values).float()])


@torch.inference_mode()
def _step(model: NextStep, frames: Tensor, states: list[State] | None) -> tuple[Tensor, list[State]]:
    """Read (L, C) frames; the output after the last, (1, H), and the states."""
    hidden, after = model.encoder(frames.unsqueeze(1), states)
    return hidden[-1], after


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
