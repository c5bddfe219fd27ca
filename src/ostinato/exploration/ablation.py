"""What each unit is worth: the loss with it held at its mean, less the loss as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ostinato.data.sequences import Sequences
from ostinato.errors import RecipeError, RunError
from ostinato.exploration.exploring import first_steps
from ostinato.exploration.following import follow
from ostinato.tasks.encoder_streaming import EncoderStreaming
from ostinato.tasks.generation import OpenRun
from ostinato.tasks.intervening import Edits
from ostinato.tasks.registry import task_of
from ostinato.tasks.streaming import Reading, Steps

NUM_WINDOWS = 16
NUM_STEPS = 48
_READ = 20_000
_ROWS = 129


@dataclass(frozen=True)
class Ablated:
    """A unit, what holding it at its mean adds to the loss in nats a step, and that change's standard error over the
    windows."""

    part: str
    unit: int
    change: float
    error: float


@dataclass(frozen=True)
class Ablation:
    """All units, the one that is worth most first.

    units: as they rank; loss: as it is, nats a step; num_windows, num_steps: that were read.
    """

    units: tuple[Ablated, ...]
    loss: float
    num_windows: int
    num_steps: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "units": [asdict(one) for one in self.units]}


class Ablating(TypedDict, total=False):
    """Options of `ablate_run`."""

    num_windows: int
    num_steps: int
    layer: int | None
    say: Callable[[str], None]
    progress: Callable[[int, int], None]


def ablate_run(
    run: OpenRun,
    data: str | Path | None = None,
    *,
    num_windows: int = NUM_WINDOWS,
    num_steps: int | None = None,
    layer: int | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> Ablation:
    """Hold each unit's h at its mean, one after the other, and read some windows of the data.

    Every window is read once a unit, so that the work is windows × steps × units steps of the network: with the
    defaults a million for 1,280 units. Windows lie at even distances; what comes before one is read untouched. Units
    that change the loss by less than twice the error may change it not at all.

    Args:
        run: opened by `ostinato.load`; its model reads forward and says what each step costs: a language model, a
            model of the next step.
        data: a file or catalogue name; default: the run's validation data.
        num_windows: >= 2.
        num_steps: of a window, >= 1; default: 48, or as many as two windows of these rows have.
        layer: only of this one, from 1 on.
        say: called with messages on what is read.
        progress: called with windows that are done, and how many there are; what it raises ends the work.

    Raises:
        RecipeError: for a number out of range.
        RunError: for a model that says no cost of a step.
    """
    streaming = _checked(run, num_windows, num_steps or 1, layer)
    examples = first_steps(run, data, _READ, say)
    means = _means(run, examples.sequences, [piece.series for piece in follow(run, examples, gates=False)])
    num_steps, windows = _fitting(examples.sequences, num_windows, num_steps)
    changes, losses = dict[tuple[str, int], list[float]](), list[float]()
    chosen = [number for number in range(len(streaming.shapes)) if layer in (None, number + 1)]
    for done, (begun, read) in enumerate(windows):
        progress(done, len(windows))
        (state,) = streaming.read([Reading(Steps(begun), streaming.zero(), "none")])
        losses.append(float(_costs(streaming, read, state.state, 1)[0].mean()))
        for number in chosen:
            part = f"layer {number + 1}.{streaming.shapes[number][0].state_names[0]}"
            for unit, change in enumerate(_changes(streaming, number, means[part], read, state.state)):
                changes.setdefault((part, unit), []).append(change)
    progress(len(windows), len(windows))
    measured = [
        Ablated(part, unit, float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values))))
        for (part, unit), values in changes.items()
    ]
    ranked = sorted(measured, key=lambda one: -one.change)
    return Ablation(tuple(ranked), float(np.mean(losses)), len(windows), num_steps)


def _checked(run: OpenRun, num_windows: int, num_steps: int, layer: int | None) -> EncoderStreaming:
    """The model, if it can be ablated so."""
    for name, value, least in (("num_windows", num_windows, 2), ("num_steps", num_steps, 1)):
        if value < least:
            raise RecipeError(f"`{name}` must be at least {least}. Received: {value}.")
    streaming = task_of(run.recipe).streaming(run.model, run.features, run.recipe)
    if not isinstance(streaming, EncoderStreaming):
        raise RunError("only a model of one stack of layers that reads forward can be ablated unit by unit.")
    if layer is not None and not 1 <= layer <= len(streaming.shapes):
        raise RecipeError(f"`layer` must be from 1 to {len(streaming.shapes)}. Received: {layer}.")
    return streaming


def _changes(
    model: EncoderStreaming, layer: int, mean: NDArray[np.float64], read: NDArray[Any], state: NDArray[Any]
) -> Iterator[float]:
    """What holding each unit of a layer at its mean adds to the loss of a window."""
    for first in range(0, len(mean), _ROWS - 1):
        units = list(range(first, min(first + _ROWS - 1, len(mean))))
        held = model.edited(_EachRow(layer, units, mean, model.shapes))
        found = _costs(held, read, state, len(units) + 1)
        yield from (float((found[row] - found[0]).mean()) for row in range(1, len(units) + 1))


class _EachRow(Edits):
    """In row 1, 2, … of what is read together one unit each of a layer is held; row 0 stays as it is."""

    def __init__(self, layer: int, units: Sequence[int], mean: NDArray[np.float64], shapes: Sequence[Any]) -> None:
        super().__init__([], shapes)
        self._layer, self._units = layer, torch.tensor([0, *units])
        self._values = torch.tensor([0.0, *mean[list(units)]])

    def apply(self, layer: int, states: Tensor, rows: Sequence[int]) -> Tensor:
        if layer != self._layer:
            return states
        found, at = states.clone(), torch.tensor(rows)
        there = at > 0
        found[torch.arange(len(rows))[there], self._units[at][there]] = self._values[at][there].to(found)
        return found


def _costs(model: EncoderStreaming, read: NDArray[Any], state: NDArray[Any], rows: int) -> NDArray[np.float64]:
    """(rows, L), in nats, of the same steps read in so many rows."""
    found = model.read([Reading(Steps(read), state, "each")] * rows)
    costs = [[answer.get("nll") for answer in one.answers] for one in found]
    if any(cost is None for one in costs for cost in one) or not all(len(one) == len(read) for one in costs):
        raise RunError("this model does not say what each step costs, so no unit's effect on that can be measured.")
    return np.asarray(costs, dtype=np.float64)


def _means(
    run: OpenRun, sequences: Sequences, pieces: list[dict[str, NDArray[np.float32]]]
) -> dict[str, NDArray[np.float64]]:
    total = max(len(sequences.values), 1)
    return {name: sum(piece[name].sum(axis=0, dtype=np.float64) for piece in pieces) / total for name in pieces[0]}


def _fitting(
    sequences: Sequences, count: int, num_steps: int | None
) -> tuple[int, list[tuple[NDArray[Any], NDArray[Any]]]]:
    """Windows of so many steps, by default of 48 or half as many until there are two; and how many they have."""
    size = num_steps or NUM_STEPS
    windows = _windows(sequences, count, size)
    while len(windows) < 2 and num_steps is None and size > 1:
        size //= 2
        windows = _windows(sequences, count, size)
    if len(windows) < 2:
        raise RecipeError(f"two windows of {size} steps were expected. Received: {len(windows)} in these rows.")
    return size, windows


def _windows(sequences: Sequences, count: int, num_steps: int) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """What comes before each window in its row, and the window; each row's first step is in none."""
    places = [
        (row, start)
        for row, length in enumerate(sequences.lengths.tolist())
        for start in range(1, length - num_steps + 1, num_steps)
    ]
    kept = sorted(set(np.linspace(0, len(places) - 1, count).round().astype(int).tolist())) if places else []
    found = list[tuple[NDArray[Any], NDArray[Any]]]()
    for row, start in (places[one] for one in kept):
        values = sequences.row(row)
        found.append((values[:start], values[start : start + num_steps]))
    return found
