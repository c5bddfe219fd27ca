"""A run's network, followed over rows of its data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ostinato.arrays import Array
from ostinato.data.batching import Batch
from ostinato.data.dataset import Examples
from ostinato.data.sequences import Sequences
from ostinato.diagnostics.probe import LayerTrace, traces
from ostinato.diagnostics.validation import examples_for
from ostinato.errors import RecipeError, RunError
from ostinato.exploration.exploration import Exploration
from ostinato.exploration.questions import Column
from ostinato.layers.covariates import StepCovariates
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.nn.modes import evaluating
from ostinato.probes.subject import Subject, stacks_of
from ostinato.tasks.generation import OpenRun
from ostinato.tasks.registry import task_of
from ostinato.tasks.streaming import Reading as StepReading
from ostinato.tasks.streaming import Steps
from ostinato.types import Ragged

NUM_STEPS = 10_000
_UNKNOWN = "unknown"


@torch.no_grad()
def explore_run(
    run: OpenRun,
    data: str | Path | None = None,
    *,
    num_steps: int = NUM_STEPS,
    say: Callable[[str], None] = lambda _: None,
) -> Exploration:
    """States, gates and surprise at each of the first steps of some data.

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
    if num_steps < 1:
        raise RecipeError(f"`num_steps` must be a positive integer. Received: {num_steps}.")
    encoder = getattr(run.model, "encoder", None)
    if not isinstance(encoder, RecurrentEncoder):
        raise RunError("this model has no single encoder whose states could be followed.")
    spec = task_of(run.recipe)
    examples = _first_steps(examples_for(run.folder, run.recipe, run.features, data, say), num_steps)
    with evaluating(run.model):
        batch = spec.batch(examples, np.arange(len(examples))).to(encoder.device)
        subject = Subject(stacks_of(encoder), _vectors(encoder, batch), lambda output: output.values[:0], per_step=True)
        series, constants = dict[str, NDArray[np.float32]](), dict[str, NDArray[np.float64]]()
        for trace in (one for layer in traces(subject) for one in layer):
            series |= dict(_series(trace))
            constants |= _constants(trace, series)
    columns, rows = _columns(run, examples)
    surprise = _surprise(run, examples)
    if surprise is not None:
        columns["surprise"] = surprise
    letters = getattr(run.features.input.recipe, "unit", "words") == "characters" or run.features.input.letters
    return Exploration(columns, rows, series, constants, "" if letters else " ")


def _first_steps(examples: Examples, num_steps: int) -> Examples:
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


def _vectors(encoder: RecurrentEncoder, batch: Batch) -> Ragged:
    layer = encoder.embedding
    if isinstance(layer, StepCovariates):
        return cast("Ragged", layer(batch.inputs, batch.extra))
    return cast("Ragged", layer(batch.inputs))


def _series(trace: LayerTrace) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Each tensor of the state, and each gate, row after row."""

    def laid(values: Tensor) -> NDArray[np.float32]:
        return trace.states.with_values(trace.to_time(values)).row_major().float().cpu().numpy()

    parts = torch.split(trace.states.values, list(trace.sizes), dim=1)
    for name, part in zip(trace.cell.state_names, parts, strict=True):
        yield f"{trace.layer}.{name}", laid(part)
    before = torch.split(trace.states_before(), list(trace.sizes), dim=1)
    for name, part in (trace.cell.gate_values(trace.project(trace.inputs.values), before, trace.weights) or {}).items():
        if name not in trace.cell.state_names:
            yield f"{trace.layer}.{name}", laid(part)


def _constants(trace: LayerTrace, series: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float64]]:
    kept = series.get(f"{trace.layer}.{trace.cell.keeping_gate}")
    if trace.cell.keeping_gate is None or kept is None:
        return {}
    logs: NDArray[np.float64] = np.log(np.maximum(kept.astype(np.float64), 1e-30)).mean(axis=0)
    return {trace.layer: -1 / np.minimum(logs, -1e-12)}


def _columns(run: OpenRun, examples: Examples) -> tuple[dict[str, Column], Column]:
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


def _surprise(run: OpenRun, examples: Examples) -> Column | None:
    """-ln p of each step given those before it, in nats; None: the model says no such thing."""
    try:
        streaming = task_of(run.recipe).streaming(run.model, run.features, run.recipe)
    except RunError:
        return None
    rows = [Steps(examples.sequences.row(row)) for row in range(len(examples))]
    found = streaming.read([StepReading(one, streaming.zero(), "each") for one in rows])
    costs = [answer.get("nll", _UNKNOWN) for one in found for answer in one.answers]
    if len(costs) != len(examples.sequences.values) or _UNKNOWN in costs:
        return None
    return np.asarray([np.nan if one is None else one for one in costs])


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
