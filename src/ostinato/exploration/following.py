"""A run's network, followed over encoded rows piece by piece: memory goes with a piece, not with the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ostinato.arrays import Array
from ostinato.data.batching import Batch
from ostinato.data.dataset import Examples
from ostinato.data.places import Places
from ostinato.data.sequences import Sequences, runs_of
from ostinato.diagnostics.probe import LayerTrace, traces
from ostinato.errors import RunError
from ostinato.layers.covariates import StepCovariates
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.nn.modes import evaluating
from ostinato.probes.subject import Subject, by_stack, stacks_of
from ostinato.tasks.generation import OpenRun
from ostinato.tasks.intervened import encoder_of
from ostinato.tasks.registry import task_of
from ostinato.tasks.streaming import Reading, Steps, StreamingModel
from ostinato.types import Ragged, State

PIECE_STEPS = 8_192
"""Of a network that reads forward; both directions need a row whole."""


@dataclass(frozen=True)
class Piece:
    """Some steps: states and gates by name, (L, units); what each cost, (L,), in nats, where the model says so."""

    series: dict[str, NDArray[np.float32]]
    surprise: NDArray[np.float64] | None
    constants: dict[str, str]
    """The gate that keeps a layer's state, by the layer's name."""


@torch.no_grad()
def follow(run: OpenRun, examples: Examples, piece_steps: int = PIECE_STEPS, *, gates: bool = True) -> Iterator[Piece]:
    """All steps of the rows in their order.

    Args:
        run: opened by `ostinato.load`.
        examples: its rows.
        piece_steps: of short rows together, or of a part of a long one, >= 1.
        gates: whether these are wanted, too.

    Raises:
        RunError: for a model without an encoder that reads its input.
    """
    encoder = encoder_of(run.model)
    stacks = stacks_of(encoder)
    forward = not any(stack.bidirectional for stack in stacks)
    costs = _Costs(run)
    for first, last in runs_of(examples.sequences.offsets, piece_steps):
        some = examples.take(np.arange(first, last))
        length, initial = len(some.sequences.values), None
        cut = piece_steps if forward and last - first == 1 else max(length, 1)
        for start in range(0, length, cut):
            part = part_of_row(some, start, start + cut) if cut < length else some
            with evaluating(run.model):
                batch = task_of(run.recipe).batch(part, np.arange(len(part))).to(encoder.device)
                subject = Subject(stacks, vectors_of(encoder, batch), _no_loss, per_step=True, initial=initial)
                layers = traces(subject)
            if cut < length:
                initial = _left(stacks, layers)
            series, constants = dict[str, NDArray[np.float32]](), dict[str, str]()
            for trace in (one for layer in layers for one in layer):
                series |= dict(_series(trace, gates))
                if trace.cell.keeping_gate is not None:
                    constants[trace.layer] = f"{trace.layer}.{trace.cell.keeping_gate}"
            yield Piece(series, costs.of(part.sequences, goes_on=start > 0), constants)


@torch.no_grad()
def traced(run: OpenRun, examples: Examples) -> list[LayerTrace]:
    """Every layer and direction at work on a few rows, the lowest first.

    Raises:
        RunError: for a model without an encoder that reads its input.
    """
    encoder = encoder_of(run.model)
    with evaluating(run.model):
        batch = task_of(run.recipe).batch(examples, np.arange(len(examples))).to(encoder.device)
        found = traces(Subject(stacks_of(encoder), vectors_of(encoder, batch), _no_loss, per_step=True))
    return [one for layer in found for one in layer]


def one_row(values: Array) -> Examples:
    """Encoded steps as the only row, without a target."""
    return Examples(Sequences(values, np.asarray([0, len(values)])), None, Places(), np.zeros(1, dtype=np.int64))


def part_of_row(row: Examples, start: int, stop: int) -> Examples:
    """Steps from `start` up to `stop` of the only row of some examples; what has no value a step stays whole."""
    length = len(row.sequences.values)

    def cut(part: Any) -> Any:
        if not isinstance(part, Sequences) or len(part.values) != length:
            return part
        values = part.values[start:stop]
        return Sequences(values, np.asarray([0, len(values)]))

    extra = {name: cut(part) for name, part in row.extra.items()}
    return replace(row, sequences=cut(row.sequences), targets=cut(row.targets), extra=extra)


def _no_loss(output: Ragged) -> Tensor:
    return output.values[:0]


def _left(stacks: Sequence[Any], layers: list[list[LayerTrace]]) -> list[State]:
    """The state that the only row ends in, as `Subject.initial` has it."""
    found = list[State]()
    for several in by_stack(stacks, [one for layer in layers for one in layer]):
        ends = [torch.split(trace.states.values[-1:], list(trace.sizes), dim=1) for trace in several]
        found.append(tuple(torch.stack(parts) for parts in zip(*ends, strict=True)))
    return found


class _Costs:
    """-ln p of each step given those before it; a row that goes on is told by the state that its part before left."""

    def __init__(self, run: OpenRun) -> None:
        self._model: StreamingModel | None = None
        self._state: Array | None = None
        try:
            self._model = task_of(run.recipe).streaming(run.model, run.features, run.recipe)
        except RunError:
            return

    def of(self, rows: Sequences, goes_on: bool) -> NDArray[np.float64] | None:
        """(L,); none of a model that says no such thing."""
        if self._model is None:
            return None
        begin = self._state if goes_on and self._state is not None else self._model.zero()
        found = self._model.read([Reading(Steps(rows.row(row)), begin, "each") for row in range(len(rows))])
        said = [answer for one in found for answer in one.answers]
        if len(said) != len(rows.values) or any("nll" not in answer for answer in said):
            self._model = None
            return None
        self._state = found[-1].state if found else None
        return np.asarray([np.nan if answer["nll"] is None else answer["nll"] for answer in said], dtype=np.float64)


def vectors_of(encoder: RecurrentEncoder, batch: Batch) -> Ragged:
    """What the layers read at each step.

    Raises:
        RunError: where that is more than the input column and covariates.
    """
    layer = encoder.embedding
    if isinstance(layer, StepCovariates):
        found = cast("Ragged", layer(batch.inputs, batch.extra))
    else:
        found = cast("Ragged", layer(batch.inputs))
    expected = stacks_of(encoder)[0].input_size
    if found.values.shape[1:] != (expected,):
        raise RunError(
            f"only layers that read the input column step by step can be followed. Received: {found.values.shape[1]} "
            f"values a step for layers that read {expected}."
        )
    return found


def _series(trace: LayerTrace, gates: bool) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Each tensor of the state, and each gate, row after row."""

    def laid(values: Tensor) -> NDArray[np.float32]:
        return trace.states.with_values(trace.to_time(values)).row_major().float().cpu().numpy()

    parts = torch.split(trace.states.values, list(trace.sizes), dim=1)
    for name, part in zip(trace.cell.state_names, parts, strict=True):
        yield f"{trace.layer}.{name}", laid(part)
    if not gates:
        return
    before = torch.split(trace.states_before(), list(trace.sizes), dim=1)
    for name, part in (trace.cell.gate_values(trace.project(trace.inputs.values), before, trace.weights) or {}).items():
        if name not in trace.cell.state_names:
            yield f"{trace.layer}.{name}", laid(part)
