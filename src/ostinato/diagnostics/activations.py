"""Gates and units on real data: saturation, time constants, dead units, growing states."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ostinato.diagnostics.probe import LayerTrace, traces
from ostinato.probes.subject import Subject

Activation = Literal["sigmoid", "tanh", "other"]

SATURATED = 0.05
"""A sigmoid within this of 0 or 1, or a tanh within this of -1 or 1, is saturated: its slope is below a fifth of the
largest for a sigmoid (0.19), below a tenth for a tanh (0.0975)."""

DEAD_RANGE = 1e-3
"""A unit whose output moves less than this over all the data is dead: its whole part in any sum above it is constant,
a thousandth or less of what a tanh can span."""

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

_CHUNK = 8192
_MOST_POINTS = 100
_ENOUGH_ROWS = 0.25
"""State norms are shown as long as this share of the rows lasts: the mean of the last few would be noise."""


@dataclass(frozen=True)
class GateUse:
    """One gate over all steps, rows and units.

    Args:
        gate: its name in `cell.gates`.
        activation: `sigmoid`: values from 0 to 1; `tanh`: from -1 to 1; `other`: neither, a relu.
        mean: of its values.
        low: share of values below 0.05 (tanh: below -0.95; other: at or below 0).
        high: share above 0.95 (other: 0).
    """

    gate: str
    activation: Activation
    mean: float
    low: float
    high: float

    @property
    def saturated(self) -> float:
        """Share of values at either end."""
        return self.low + self.high


@dataclass(frozen=True)
class LayerActivations:
    r"""A layer in one direction.

    The time constant of a unit is that of what its keeping gate f (GRU: z) leaves of a state,
    :math:`\prod_t f_t = e^{-T / \tau}`, so

    .. math:: \tau = -1 / \overline{\ln f_t}

    Args:
        layer: its name, as in `LayerGradients`.
        num_units: outputs.
        gates: each gate; empty where the cell's gates are not known.
        keeping_gate: the gate that time constants are measured of; None where the cell has none.
        time_constants: quantiles over units of tau in steps, 5, 25, 50, 75 and 95 %; None for an infinite one.
        dead_units: the numbers of outputs that never move.
        steps: steps since the direction's own beginning.
        state_rms: for each tensor of the state the root mean square over rows and units at each of `steps`.
        note: what could not be computed, and why.
    """

    layer: str
    num_units: int
    gates: list[GateUse]
    keeping_gate: str | None
    time_constants: list[float | None] | None
    dead_units: list[int]
    steps: list[int]
    state_rms: dict[str, list[float]]
    note: str | None = None

    @property
    def dead_share(self) -> float:
        """Share of the outputs that never move."""
        return len(self.dead_units) / self.num_units


@torch.no_grad()
def layer_activations(subject: Subject, found: list[list[LayerTrace]] | None = None) -> list[LayerActivations]:
    """Gates, units and states of every layer and direction, in evaluation mode.

    Args:
        subject: layers and rows.
        found: its traces, where they have been computed already.

    Raises:
        DataError: if no row has a step.
    """
    return [_activations(trace) for layer in (found or traces(subject)) for trace in layer]


def _activations(trace: LayerTrace) -> LayerActivations:
    outputs = trace.output(trace.states.values)
    ranges = outputs.max(0).values - outputs.min(0).values
    steps, rms = _rms(trace)
    gates, logs, note = _gates(trace)
    return LayerActivations(
        layer=trace.layer,
        num_units=outputs.shape[1],
        gates=gates,
        keeping_gate=None if logs is None else trace.cell.keeping_gate,
        time_constants=None if logs is None else _time_constants(logs),
        dead_units=[int(unit) for unit in (ranges < DEAD_RANGE).nonzero().flatten()],
        steps=steps,
        state_rms=rms,
        note=note,
    )


@dataclass
class _Tally:
    count: int = 0
    total: float = 0.0
    least: float = math.inf
    most: float = -math.inf
    below: dict[float, int] = field(default_factory=lambda: dict.fromkeys((-1 + SATURATED, 0.0, SATURATED), 0))
    above: int = 0

    def add(self, values: Tensor) -> None:
        self.count += values.numel()
        self.total += float(values.sum(dtype=torch.float64))
        self.least = min(self.least, float(values.min()))
        self.most = max(self.most, float(values.max()))
        for edge in self.below:
            self.below[edge] += int((values <= edge).sum())
        self.above += int((values >= 1 - SATURATED).sum())

    def use(self, gate: str) -> GateUse:
        activation: Activation = "other"
        if self.most <= 1.0 and self.least >= -1.0:
            activation = "sigmoid" if self.least >= 0.0 else "tanh"
        edge = {"sigmoid": SATURATED, "tanh": -1 + SATURATED, "other": 0.0}[activation]
        high = 0.0 if activation == "other" else self.above / self.count
        return GateUse(gate, activation, self.total / self.count, self.below[edge] / self.count, high)


def _gates(trace: LayerTrace) -> tuple[list[GateUse], Tensor | None, str | None]:
    """Each gate's use, and the mean of ln f over steps of each unit, (H,), of the gate that keeps the state."""
    tallies: dict[str, _Tally] = {}
    logs: Tensor | None = None
    keeping = trace.cell.keeping_gate
    for values in _values(trace):
        if values is None:
            return [], None, f"the cell `{trace.cell.name}` gives no gate values (`Cell.gate_values`)."
        for name, part in values.items():
            tallies.setdefault(name, _Tally()).add(part)
        if keeping is not None and keeping in values:
            summed = values[keeping].double().log().sum(0)
            logs = summed if logs is None else logs + summed
    uses = [tally.use(name) for name, tally in tallies.items()]
    return uses, None if logs is None else logs / len(trace.states.values), None


def _values(trace: LayerTrace) -> Iterator[Mapping[str, Tensor] | None]:
    """The gates of a few thousand steps at a time."""
    before, inputs = trace.states_before(), trace.inputs.values
    for state, x in zip(torch.split(before, _CHUNK), torch.split(inputs, _CHUNK), strict=True):
        yield trace.cell.gate_values(trace.project(x), torch.split(state, list(trace.sizes), dim=1), trace.weights)


def _time_constants(logs: Tensor) -> list[float | None]:
    ranked = (1.0 / logs.abs()).sort().values  # a gate of exactly one: without end
    places = [round(share * (len(ranked) - 1)) for share in QUANTILES]
    found = [float(ranked[place]) for place in places]
    return [value if math.isfinite(value) else None for value in found]


def _rms(trace: LayerTrace) -> tuple[list[int], dict[str, list[float]]]:
    """The state's size by step: sqrt of the mean square over the rows that are that long, and over units."""
    counts = trace.states.batch_sizes
    enough = int((counts >= _ENOUGH_ROWS * counts[0]).sum())
    picked = np.unique(np.linspace(0, enough - 1, min(enough, _MOST_POINTS)).round().astype(int)).tolist()
    times = trace.states.times_index()
    parts = zip(trace.cell.state_names, torch.split(trace.states.values, list(trace.sizes), dim=1), strict=True)
    found: dict[str, list[float]] = {}
    for name, values in parts:
        squares = values.double().square().mean(1)
        sums = squares.new_zeros(len(counts)).index_add_(0, times, squares)
        by_step = (sums.cpu() / counts).sqrt().tolist()
        found[name] = [by_step[step] for step in picked]
    return [step + 1 for step in picked], found
