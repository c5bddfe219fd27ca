"""Recurrent layers replayed on real sequences, with the state after every step kept: what the measurements start from.

The state of a cell is one vector here, of S features: that of an LSTM is h and c side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ostinato.cells import Cell, Weights
from ostinato.errors import DataError
from ostinato.kernels import dispatch
from ostinato.kernels.noise import Noise
from ostinato.nn import RecurrentStack
from ostinato.probes.subject import Subject
from ostinato.storage.files import json_ready
from ostinato.types import Ragged, State


@dataclass(frozen=True)
class Measured:
    """A result."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is not finite is None."""
        return json_ready(asdict(self))


@dataclass(frozen=True)
class LayerTrace:
    """One layer in one direction, and everything that happened in it.

    Args:
        layer: its name: `layer 1`, `layer 1 reverse`, `layer 2`, ...; numbered across the stacks.
        cell: the recurrence.
        weights: its weights, detached.
        sizes: features of each tensor of the state; they add up to S.
        zoneout: for each tensor of the state the share of the old value that a step keeps in evaluation.
        reverse: whether it reads each row from its last step to its first.
        inputs: (sum L, I), in the order of the direction's own steps.
        states: (sum L, S), the state after every step, in the same order.
        initial: (N, S), the state that each row begins in, in the order of the packed rows.

    Example:
        >>> from ostinato import nn
        >>> rows = Ragged.from_padded(torch.zeros(2, 5, 3))
        >>> subject = Subject((nn.LSTM(3, 4),), rows, lambda output: output.select_last().sum(1), per_step=False)
        >>> [(found.layer, tuple(found.states.values.shape)) for found in traces(subject)[0]]
        [('layer 1', (10, 8))]
    """

    layer: str
    cell: Cell
    weights: Weights
    sizes: tuple[int, ...]
    zoneout: tuple[float, ...]
    reverse: bool
    inputs: Ragged
    states: Ragged
    initial: Tensor

    @property
    def state_size(self) -> int:
        """S."""
        return sum(self.sizes)

    def step(self, x_projected: Tensor, state: Tensor, weights: Weights | None = None) -> Tensor:
        """The next state: (N, G*H), (N, S) -> (N, S); `weights` in place of the layer's own."""
        before = torch.split(state, list(self.sizes), dim=1)
        after = self.cell.step(x_projected, before, self.weights if weights is None else weights)
        kept = zip(self.zoneout, before, after, strict=True)
        return torch.cat([share * old + (1 - share) * new if share else new for share, old, new in kept], dim=1)

    def output(self, state: Tensor) -> Tensor:
        """What the layer above reads of a state: (N, S) -> (N, P)."""
        return self.cell.output(torch.split(state, list(self.sizes), dim=1))

    def project(self, values: Tensor) -> Tensor:
        """The cell's part without state: (sum L, I) -> (sum L, G*H)."""
        return self.cell.project(values, self.weights)

    def states_before(self) -> Tensor:
        """(sum L, S): the state that each step began with."""
        before = self.states.values[self.states.previous_index()]
        num_first = int(self.states.batch_sizes[0])
        return torch.cat([self.initial[:num_first], before[num_first:]])

    def recurrent_weights(self) -> dict[str, Tensor]:
        """`weight_hh`; of a cell that has none every weight, of which its step reads some."""
        if "weight_hh" in self.weights:
            return {"weight_hh": self.weights["weight_hh"]}
        return dict(self.weights)

    def to_time(self, values: Tensor) -> Tensor:
        """Values in the order of the direction's steps in that of the batch, and back: (sum L, ...) -> the same."""
        return self.states.with_values(values).reversed().values if self.reverse else values


@torch.no_grad()
def traces(subject: Subject) -> list[list[LayerTrace]]:
    """Every layer of a subject, the lowest first, each with its one or two directions.

    The layers run in evaluation mode: without dropout, and with zoneout's expectation; in full precision, with the
    fastest backend that returns every state.

    Raises:
        DataError: if no row has a step.
        BackendError: if `OSTINATO_BACKEND` forces one that does not.
    """
    if not len(subject.inputs.values):
        raise DataError("a diagnosis must have a row with at least one step. Received: none.")
    found: list[list[LayerTrace]] = []
    inputs = subject.inputs
    for number, stack in enumerate(subject.stacks):
        for layer in range(stack.num_layers):
            begins = [_begin(subject, number, layer * stack.num_directions + reverse) for reverse in _directions(stack)]
            directions = [
                _trace(stack, layer, reverse, inputs, len(found) + 1, begin)
                for reverse, begin in zip(_directions(stack), begins, strict=True)
            ]
            found.append(directions)
            inputs = outputs(directions)
    return found


def outputs(directions: list[LayerTrace]) -> Ragged:
    """The output of a layer, (sum L, D*P), in the order of the batch."""
    parts = [trace.to_time(trace.output(trace.states.values)) for trace in directions]
    return directions[0].states.with_values(torch.cat(parts, dim=1))


@contextmanager
def undisturbed(subject: Subject) -> Iterator[None]:
    """Restore torch's random generators afterwards."""
    device = subject.inputs.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def _directions(stack: RecurrentStack) -> list[bool]:
    return [False, True] if stack.bidirectional else [False]


def _begin(subject: Subject, stack: int, place: int) -> State | None:
    """The state that a layer and direction begins in, (N, H) a tensor in the order of the packed rows; None: zeros."""
    if subject.initial is None:
        return None
    return tuple(part[place][subject.inputs.sorted_indices] for part in subject.initial[stack])


def _trace(
    stack: RecurrentStack, layer: int, reverse: bool, inputs: Ragged, number: int, begin: State | None
) -> LayerTrace:
    cell = stack.cell
    width = inputs.values.shape[1]
    names = cell.parameter_shapes(width, stack.hidden_size, stack.proj_size, stack.bias)
    parameters = stack.all_weights[layer * stack.num_directions + reverse]
    weights = {name: each.detach() for name, each in zip(names, parameters, strict=True)}
    sizes = cell.state_sizes(stack.hidden_size, stack.proj_size)
    read = inputs.reversed() if reverse else inputs
    initial: State = begin or tuple(read.values.new_zeros((read.num_rows, size)) for size in sizes)
    shares = zip(stack.zoneout, initial, strict=True)
    steps = len(read.values)
    noise = Noise(None, tuple(like.new_full((steps, like.shape[1]), share) for share, like in shares))
    _, _, every = dispatch.layer(
        "auto", cell, read, [initial], [weights], [noise] if any(stack.zoneout) else None, True
    )
    return LayerTrace(
        layer=f"layer {number}" + " reverse" * reverse,
        cell=cell,
        weights=weights,
        sizes=sizes,
        zoneout=stack.zoneout,
        reverse=reverse,
        inputs=read,
        states=read.with_values(torch.cat(every[0], dim=1)),
        initial=torch.cat(initial, dim=1),
    )
