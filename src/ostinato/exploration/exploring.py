"""A run's network, followed over rows of its data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.arrays import Array
from ostinato.data.dataset import Examples
from ostinato.data.sequences import Sequences
from ostinato.diagnostics.validation import examples_for
from ostinato.errors import DataError, RecipeError
from ostinato.exploration.exploration import Exploration
from ostinato.exploration.following import follow
from ostinato.exploration.questions import Column
from ostinato.tasks.generation import OpenRun
from ostinato.tasks.intervened import encoder_of

NUM_STEPS = 10_000


def explore_run(
    run: OpenRun,
    data: str | Path | None = None,
    *,
    num_steps: int = NUM_STEPS,
    say: Callable[[str], None] = lambda _: None,
) -> Exploration:
    """States, gates and surprise at each of the first steps of some data, in memory; of a million steps see
    `tracks.track_run`.

    Args:
        run: opened by `ostinato.load`.
        data: a file or catalogue name, read as the run's own data were; default: its validation data.
        num_steps: so many steps, of as many rows as that takes, >= 1; the last row is cut.
        say: called with messages on what is read.

    Raises:
        RecipeError: if `num_steps` is out of range.
        RunError: for a model without an encoder that reads its input.
        DataError: for data that can't be used.
    """
    examples = first_steps(run, data, num_steps, say)
    pieces = list(follow(run, examples))
    if not pieces:
        raise DataError("a row with at least one step was expected. Received: none.")
    series = {name: np.concatenate([piece.series[name] for piece in pieces]) for name in pieces[0].series}
    columns, rows = columns_of(run, examples)
    costs = [piece.surprise for piece in pieces if piece.surprise is not None]
    if len(costs) == len(pieces):
        columns["surprise"] = np.concatenate(costs)
    return Exploration(columns, rows, series, _constants(pieces[0].constants, series), separator_of(run))


def first_steps(
    run: OpenRun, data: str | Path | None, num_steps: int, say: Callable[[str], None] = lambda _: None
) -> Examples:
    """The first rows of some data, the last of them cut; arguments and errors as of `explore_run`."""
    if num_steps < 1:
        raise RecipeError(f"`num_steps` must be a positive integer. Received: {num_steps}.")
    encoder_of(run.model)
    return cut_to(examples_for(run.folder, run.recipe, run.features, data, say), num_steps)


def separator_of(run: OpenRun) -> str:
    """What stands between tokens where they are shown."""
    letters = getattr(run.features.input.recipe, "unit", "words") == "characters" or run.features.input.letters
    return "" if letters else " "


def cut_to(examples: Examples, num_steps: int) -> Examples:
    """The first rows, the last of them cut; targets are dropped where they would no longer fit."""
    sequences = examples.sequences
    count = int(np.searchsorted(sequences.offsets[1:], num_steps)) + 1
    few = examples.take(np.arange(min(count, len(examples))))
    if len(few.sequences.values) <= num_steps:
        return few
    return replace(few, **{name: _cut(part, num_steps) for name, part in _parts(few)})


def _parts(examples: Examples) -> Iterator[tuple[str, Any]]:
    yield "sequences", examples.sequences
    if isinstance(examples.targets, Sequences) and len(examples.targets.values) == len(examples.sequences.values):
        yield "targets", examples.targets
    yield "extra", examples.extra


def _cut(part: Any, num_steps: int) -> Any:
    if isinstance(part, Sequences):
        return Sequences(part.values[:num_steps], np.minimum(part.offsets, num_steps))
    return {name: _cut(one, num_steps) for name, one in part.items()}


def _constants(gates: dict[str, str], series: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float64]]:
    """Of each layer, by its name."""
    found = dict[str, NDArray[np.float64]]()
    for layer, gate in gates.items():
        if gate in series:
            logs: NDArray[np.float64] = np.log(np.maximum(series[gate].astype(np.float64), 1e-30)).mean(axis=0)
            found[layer] = -1 / np.minimum(logs, -1e-12)
    return found


def columns_of(run: OpenRun, examples: Examples) -> tuple[dict[str, Column], Column]:
    """What is known of each step, and the row it belongs to."""
    sequences, feature = examples.sequences, run.features.input
    lengths = sequences.lengths
    rows = np.repeat(np.arange(len(sequences)), lengths)
    position = np.arange(len(rows)) - np.repeat(sequences.offsets[:-1], lengths)
    columns: dict[str, Column] = {"token": _tokens(feature, sequences.values), "position": position, "row": rows}
    if feature.form == "vectors":
        columns["value"] = np.asarray(sequences.values, dtype=np.float64).reshape(len(rows), -1)[:, 0]
    targets, target = examples.targets, run.features.target
    if isinstance(targets, Sequences) and len(targets.values) == len(rows):
        columns["label"] = np.asarray([str(one) for one in run.features.sequence_target.decode(targets.values)])
    elif target is not None and targets is not None and not isinstance(targets, Sequences) and targets.ndim == 1:
        truth = [run.features.row_target.truth(one) for one in targets]
        columns["label"] = np.asarray([one.get("true", one.get("value_true")) for one in truth])[rows]
    return columns, rows


def _tokens(feature: Any, values: Array) -> Column:
    """Each step as users know it; different values are decoded once."""
    if feature.form not in ("ids", "words"):
        first = np.asarray(values, dtype=np.float64).reshape(len(values), -1)[:, 0]
        return np.asarray([f"{one:.3g}" for one in first])
    kinds, places = np.unique(values, axis=0, return_inverse=True)
    return np.asarray([_one(feature, kinds[place : place + 1]) for place in range(len(kinds))])[places.reshape(-1)]


def _one(feature: Any, kind: Array) -> str:
    found = feature.decode(kind)
    return found if isinstance(found, str) else str(found[0]) if len(found) else ""
