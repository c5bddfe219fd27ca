"""Generation of music, curves and other frames by a next-step model, frame by frame with carried state."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

import polars as pl
import torch
from torch import Tensor

from ostinato.arrays import Array
from ostinato.data.features import Feature
from ostinato.data.sequences import Sequences
from ostinato.errors import DataError, RecipeError, RunError
from ostinato.nn.modes import evaluating
from ostinato.tasks.frames.sampling import as_values
from ostinato.tasks.given import refuse_unknown_cell
from ostinato.tasks.next_step.model import NextStep
from ostinato.types import Ragged, State

NOTHING: Mapping[str, Any] = MappingProxyType({})


def compose(model: NextStep, feature: Feature, **options: Any) -> list[Any]:
    """As `next_frames`, decoded: of music a list of MIDI pitches a frame, of series numbers on their own scale.

    Example:
        >>> run = ostinato.load("runs/tunes")
        >>> options = {"given": {"mode": "minor"}, "covariates": run.features.extra}
        >>> tune = compose(run.model, run.features.input, prompt=[[60, 64]], **options)
        >>> len(tune), tune[0]
        (65, [60, 64])
    """
    return list(feature.decode(next_frames(model, feature, **options)))


def next_frames(
    model: NextStep,
    feature: Feature,
    *,
    given: Mapping[str, Any] = NOTHING,
    covariates: Mapping[str, Feature] = NOTHING,
    prompt: Any = (),
    num_frames: int = 64,
    temperature: float = 1.0,
    seed: int = 0,
) -> Array:
    """The prompt's frames and as many new ones after it, (L, ...), as the feature's values: the same seed writes the
    same ones.

    Args:
        model: with the weights to write with.
        feature: the run's input: notes, series, sound or video.
        given: what to write for: the cell of each further column that the model reads.
        covariates: the run's further columns, `features.extra`.
        prompt: a cell of the feature: a list of frames, or the path of a media file; none: from the very beginning.
        num_frames: new frames, >= 1.
        temperature: log-odds of notes are divided by it, what is drawn of numbers is so many times as far from its
            mean; >= 0: below 1 safer, above wilder, 0 always what is likelier.
        seed: of the draws.

    Raises:
        RecipeError: for a number of frames or a temperature that is not possible.
        RunError: for a prompt or a given cell that can't be used.
    """
    if num_frames < 1:
        raise RecipeError(f"`num_frames` must be a positive integer. Received: {num_frames}.")
    if temperature < 0:
        raise RecipeError(f"`temperature` must not be negative. Received: {temperature:g}.")
    generator = torch.Generator().manual_seed(seed)
    like = next(model.parameters())
    extra = {name: _one(one, name, given).to(like.device) for name, one in covariates.items()}
    begun = _encoded(model, feature, prompt).to(like)
    with evaluating(model):
        hidden, states = _step(model, begun, None, extra)
        drawn = [begun[1:]]
        for number in range(num_frames):
            with torch.inference_mode():
                frame = model.head.sample(hidden, generator, temperature)
            drawn.append(frame.to(like))
            if number < num_frames - 1:
                hidden, states = _step(model, drawn[-1], states, extra)
    return as_values(feature, model.frames.stored(torch.cat(drawn)))


def _encoded(model: NextStep, feature: Feature, prompt: Any) -> Tensor:
    """(1 + L, C): a frame of zeros, which precedes every row, and the prompt."""
    zeros = torch.zeros(1, model.frames.values)
    if not len(prompt):
        return zeros
    cell = prompt if isinstance(prompt, str) else list(prompt)
    try:
        draft = feature.draft(pl.Series([cell], strict=False))
    except DataError:
        raise
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise RunError(f"the prompt can't be used: {error}.") from error
    if draft.problems:
        raise RunError(f"the prompt can't be used: {draft.problems[0]}.")
    values = torch.from_numpy(cast("Sequences", draft.content).values)
    return torch.cat([zeros, model.frames.floats(values, zeros.dtype)])


def _one(feature: Feature, name: str, given: Mapping[str, Any]) -> Ragged:
    """What is given in one column: a single row."""
    if feature.ragged:
        raise RunError(f"`{name}` has a value for every frame, which is unknown for frames still to be written.")
    if name not in given:
        raise RunError(f"this model writes for a given {name}. Received: {', '.join(given) or 'nothing'}.")
    refuse_unknown_cell(feature, name, given[name])
    draft = feature.draft(pl.Series([given[name]], strict=False))
    if draft.problems:
        raise RunError(f"`{name}` can't be used: {draft.problems[0]}.")
    return Ragged.from_rows(cast("Sequences", draft.content).values, [0], [1])


@torch.inference_mode()
def _step(
    model: NextStep, frames: Tensor, states: list[State] | None, extra: Mapping[str, Ragged]
) -> tuple[Tensor, list[State]]:
    """Read (L, C) frames; the output after the last, (1, H), and the states."""
    if extra:
        read, after = model.read(Ragged.from_rows(frames, [0], [len(frames)]), extra, states)
        return model.frames.with_previous(read.select_last(), frames[-1:]), after
    hidden, after = model.encoder(frames.unsqueeze(1), states)
    return model.frames.with_previous(hidden[-1], frames[-1:]), after
