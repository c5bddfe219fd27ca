"""Where a run's network would stand still, and the moments of a track that lie near there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.diagnostics.fixed_points import FixedPoint, fixed_points
from ostinato.errors import RecipeError
from ostinato.exploration.following import one_row, traced
from ostinato.exploration.states import Floats, States
from ostinato.exploration.track import Track
from ostinato.tasks.generation import OpenRun
from ostinato.tasks.registry import task_of

NUM_STARTS = 48
_READ = 2_000
_DRAWN = 600


@dataclass(frozen=True)
class Standing:
    """Fixed and slow points of a layer under a constant input.

    Args:
        layer: its name.
        reads: the constant input, in words.
        points: as `diagnostics.fixed_points` finds them.
        moments: of each point steps of the track whose state is nearest, the nearest first.
        places: of each point where it lies in the two directions in which the track's states vary most.
        around: (2, n), states of the track in these directions, and `steps`, which they are.
        num_starts: states that the search began from.
    """

    layer: str
    reads: str
    points: list[FixedPoint]
    moments: list[list[int]]
    places: list[list[float]]
    around: list[list[float]]
    steps: list[int]
    num_starts: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; of states their place alone."""
        points = [{key: value for key, value in one.to_dict().items() if key != "state"} for one in self.points]
        return {**asdict(self), "points": points}


def standing_points(
    run: OpenRun,
    track: Track,
    *,
    layer: int = 1,
    token: str | None = None,
    num_starts: int = NUM_STARTS,
    num_steps: int = 1000,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> Standing:
    """Of one layer, from states of a track.

    Args:
        run: whose track it is.
        track: of it.
        layer: from 1 on; of both directions the one that reads forward.
        token: what is read at every step, as a session's step takes it (layer 1); default: the mean of what the layer
            reads in 2,000 steps.
        num_starts: states to begin from, at even distances, >= 1.
        num_steps: of the minimisation, >= 1.
        progress: see `fixed_points`.

    Raises:
        RecipeError: for a layer that there is none of, or a token above the first one.
        RowError: for a token that can't be read.
        RunError: for a model that reads further columns.
    """
    traces = [one for one in traced(run, track.examples(0, min(track.num_steps, _READ))) if not one.reverse]
    if not 1 <= layer <= len(traces):
        raise RecipeError(f"`layer` must be from 1 to {len(traces)}. Received: {layer}.")
    if token is not None and layer > 1:
        raise RecipeError(f"a token is read by the first layer. Received: one for layer {layer}.")
    trace = traces[layer - 1]
    read = trace.inputs.values.mean(0) if token is None else _read(run, token)
    states = States(
        {f"{trace.layer}.{name}": track.series(f"{trace.layer}.{name}").values for name in trace.cell.state_names}
    )
    steps = np.unique(np.linspace(0, track.num_steps - 1, num_starts).astype(int))
    starts = torch.from_numpy(np.stack([states.at(step) for step in steps.tolist()])).to(trace.states.values)
    points = fixed_points(trace, read, starts, num_steps, progress)
    drawn = np.unique(np.linspace(0, track.num_steps - 1, _DRAWN).astype(int))
    around = np.stack([states.at(step) for step in drawn.tolist()]).astype(np.float64)
    mean = around.mean(0)
    directions = np.linalg.svd(around - mean, full_matrices=False)[2][:2]
    return Standing(
        layer=trace.layer,
        reads="the mean of what it reads" if token is None else repr(token),
        points=points,
        moments=[_near(states, np.asarray(one.state)) for one in points],
        places=[(directions @ (np.asarray(one.state) - mean)).tolist() for one in points],
        around=(directions @ (around - mean).T).tolist(),
        steps=drawn.tolist(),
        num_starts=len(steps),
    )


def _read(run: OpenRun, token: str) -> Tensor:
    """(I,), the vector of a token."""
    streaming = task_of(run.recipe).streaming(run.model, run.features, run.recipe)
    return traced(run, one_row(streaming.encode(token).values))[0].inputs.values[-1]


def _near(states: States, point: Floats, count: int = 3, apart: int = 20) -> list[int]:
    """Steps whose state is nearest, at some distance from each other."""
    distances = np.empty(states.num_steps)
    for some, block in states.blocks():
        distances[some] = ((block - point) ** 2).sum(axis=1)
    found = list[int]()
    for step in np.argsort(distances, kind="stable").tolist():
        if all(abs(step - other) >= apart for other in found):
            found.append(step)
        if len(found) == count:
            break
    return found
