"""What is diagnosed: recurrent layers, real sequences for them to read, and the loss of each sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar, cast

import torch
from torch import Tensor

from ostinato.layers.encoder import RecurrentEncoder
from ostinato.nn import RecurrentStack
from ostinato.nn.opening import hx_of, state_of
from ostinato.types import Ragged, State

ItemT = TypeVar("ItemT")


@dataclass(frozen=True)
class Subject:
    """Layers at work: every diagnosis looks at one of these and changes nothing.

    Args:
        stacks: recurrent layers, the lowest first; each may hold several.
        inputs: (sum L, I), what the lowest stack reads.
        loss: from the output of the last stack, (sum L, D*H) packed as `inputs`, to the loss of each row, (N,), in the
            original order of the rows: for a model with a loss at each step, that of the row's last step. With
            `places` it is given the answered steps alone, a row of one step each.
        per_step: whether the model has a loss at each step, or one a row.
        initial: the state that each stack begins in, (D*num_layers, N, H) a tensor, in the original order of the rows;
            None: zeros.
        places: (N,), the step of each row that the loss is of, where there is context on both sides of it.
        reads_states: whether `loss` is given, besides, the final state of each stack, (D*num_layers, N, H) a tensor.
        around: whether less context means less of it around each step, all of which are read (an encoder that is
            attended to), in place of shorter rows.
        has_context: whether there is a loss with less context at all.
    """

    stacks: tuple[RecurrentStack, ...]
    inputs: Ragged
    loss: Callable[..., Tensor]
    per_step: bool
    initial: list[State] | None = None
    places: Tensor | None = None
    reads_states: bool = False
    around: bool = False
    has_context: bool = True

    def last(self, num_steps: int) -> Subject:
        """The same rows, of which the model sees the last `num_steps` steps only (shorter rows as they are); with
        `places` the last ones up to the answered step, and all that come after it."""
        lengths = self.inputs.lengths
        seen = lengths if self.places is None else self.places + 1
        dropped = (seen - num_steps).clamp(min=0)
        places = None if self.places is None else self.places - dropped
        return self._cut(dropped, lengths - dropped, places)

    def ahead(self, num_steps: int) -> Subject:
        """The same rows, of which the model sees `num_steps` steps from the answered one on, and all before it."""
        kept = torch.minimum(self.inputs.lengths, cast("Tensor", self.places) + num_steps)
        return self._cut(torch.zeros_like(kept), kept, self.places)

    def first_rows(self, count: int) -> Subject:
        """The first rows, for what looks at layers only: the loss is that of all rows."""
        inputs, rows = self.inputs, slice(None, count)
        begins = (inputs.lengths.cumsum(0) - inputs.lengths)[rows]
        few = Ragged.from_rows(inputs.row_major(), begins, inputs.lengths[rows])
        initial = self.initial and [tuple(part[:, rows] for part in state) for state in self.initial]
        return replace(self, inputs=few, initial=initial, places=None if self.places is None else self.places[rows])

    @torch.no_grad()
    def row_losses(self) -> Tensor:
        """(N,), in the original order of the rows."""
        return self.losses(*self.run())

    @torch.no_grad()
    def losses_within(self, num_steps: int, ahead: bool = False) -> Tensor:
        """The loss of each row when the model sees `num_steps` steps of context; `ahead`: from the answer on."""
        if self.around:
            return self.losses(*self._within(num_steps))
        return (self.ahead(num_steps) if ahead else self.last(num_steps)).row_losses()

    def losses(self, output: Ragged, finals: list[State]) -> Tensor:
        """(N,), of the output of the last stack and the final states."""
        if self.places is not None:
            starts = output.lengths.cumsum(0) - output.lengths
            output = Ragged.from_rows(output.row_major(), starts + self.places, torch.ones_like(self.places))
        found: Tensor = self.loss(output, finals) if self.reads_states else self.loss(output)
        return found

    def run(self) -> tuple[Ragged, list[State]]:
        """The output of the last stack, and the final state of each."""
        return through(self.stacks, self.inputs, self.initial)

    def _cut(self, starts: Tensor, lengths: Tensor, places: Tensor | None) -> Subject:
        inputs = self.inputs
        begins = inputs.lengths.cumsum(0) - inputs.lengths
        return replace(self, inputs=Ragged.from_rows(inputs.row_major(), begins + starts, lengths), places=places)

    def _within(self, num_steps: int) -> tuple[Ragged, list[State]]:
        """As `run`, each step from a row of its own: itself, `num_steps` - 1 steps before it and, in both directions,
        as many after it."""
        inputs, lengths = self.inputs, self.inputs.lengths
        begins = lengths.cumsum(0) - lengths
        rows = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
        times = torch.arange(len(rows)) - begins[rows]
        before = times.clamp(max=num_steps - 1)
        after = (lengths[rows] - 1 - times).clamp(max=num_steps - 1 if self.stacks[0].bidirectional else 0)
        initial = self.initial and [tuple(part[:, rows] for part in state) for state in self.initial]
        windows = Ragged.from_rows(inputs.row_major(), begins[rows] + times - before, before + 1 + after)
        output, finals = replace(self, inputs=windows, initial=initial).run()
        middle = windows.lengths.cumsum(0) - windows.lengths + before
        joined = Ragged.from_rows(output.row_major()[middle.to(output.device)], begins, lengths)
        return joined, [
            tuple(_at_ends(part, stack.num_directions, begins, lengths) for part in state)
            for stack, state in zip(self.stacks, finals, strict=True)
        ]


def _at_ends(part: Tensor, directions: int, begins: Tensor, lengths: Tensor) -> Tensor:
    """From the final states of every step's own row those of the last steps, in reverse those of the first ones."""
    ends = [begins + (lengths - 1).clamp(min=0), begins]
    layers = [part[number, ends[number % directions].to(part.device)] for number in range(len(part))]
    return torch.stack(layers)


def through(
    stacks: Sequence[RecurrentStack], inputs: Ragged, states: Sequence[State] | None = None
) -> tuple[Ragged, list[State]]:
    """A Ragged through all stacks, the lowest first; `states` as returned, None: zeros."""
    finals: list[State] = []
    for number, stack in enumerate(stacks):
        inputs, final = stack(inputs, None if states is None else hx_of(states[number]))
        finals.append(state_of(final))
    return inputs, finals


def by_stack(stacks: Sequence[RecurrentStack], layers: Iterable[ItemT]) -> list[list[ItemT]]:
    """What there is of each layer, stack by stack."""
    left = iter(layers)
    return [list(islice(left, stack.num_layers)) for stack in stacks]


def stacks_of(encoder: RecurrentEncoder) -> tuple[RecurrentStack, ...]:
    """The recurrent layers of an encoder, the lowest first."""
    return tuple(cast("list[RecurrentStack]", list(encoder.layers)))
