"""The recurrences of a model of any task, and the real vectors and initial states that reach them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ostinato.bptt.vanishing import hooked
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.nn import RecurrentStack
from ostinato.nn.stack import LayerCall
from ostinato.probes.subject import by_stack, stacks_of
from ostinato.types import Ragged, State


@dataclass(frozen=True)
class Recurrence:
    """Recurrent layers one above the other, at work.

    Args:
        name: the path of the module that holds them: `encoder`, `decoder`, `encoder.embedding.spelling`.
        stacks: the lowest first.
        inputs: (sum L, I), what reached the lowest.
        initial: the state that each stack began in, (D*num_layers, N, H) a tensor, in the original order of the rows;
            None: all zeros.
    """

    name: str
    stacks: tuple[RecurrentStack, ...]
    inputs: Ragged
    initial: list[State] | None

    def take(self, rows: Tensor, starts: Tensor, lengths: Tensor) -> Recurrence:
        """`lengths` steps of some rows, each from step `starts` on; the first states stay those of the rows."""
        inputs = self.inputs
        begins = (inputs.lengths.cumsum(0) - inputs.lengths)[rows]
        taken = Ragged.from_rows(inputs.row_major(), begins + starts, lengths)
        return replace(self, inputs=taken, initial=select_rows(self.initial, rows))


def recurrences(model: nn.Module, read: Callable[[], object]) -> list[Recurrence]:
    """Those that `read` calls, in the order of the model's modules; inputs and states without a history.

    Of layers that are called several times, the first call counts. Where that is a single step, the calls behind it
    belong to it for as long as they are single steps of the same rows, as in a decoder that runs step by step.

    Args:
        model: whose modules are looked through.
        read: runs it over a batch.
    """
    calls: list[LayerCall] = []
    with torch.no_grad(), hooked(model, calls.append):
        read()
    found: list[Recurrence] = []
    for name, stacks in _chains(model):
        received = [call for call in calls if call.stack is stacks[0] and call.layer == 0]
        if received:
            first = [next(_of(calls, stack, layer)) for stack in stacks for layer in range(stack.num_layers)]
            found.append(Recurrence(name, stacks, _inputs(received), _initial(stacks, first)))
    return found


def select_rows(states: list[State] | None, rows: Tensor) -> list[State] | None:
    """The states of some rows, in that order."""
    if states is None:
        return None
    return [tuple(part.index_select(1, rows.to(part.device)) for part in state) for state in states]


def _chains(model: nn.Module) -> Iterator[tuple[str, tuple[RecurrentStack, ...]]]:
    owned: set[nn.Module] = set()
    for path, module in model.named_modules():
        if isinstance(module, RecurrentEncoder):
            stacks = stacks_of(module)
            owned.update(stacks)
            yield path.removesuffix(".stack"), stacks
        elif isinstance(module, RecurrentStack) and module not in owned:
            yield path, (module,)


def _of(calls: list[LayerCall], stack: RecurrentStack, layer: int) -> Iterator[LayerCall]:
    return (call for call in calls if call.stack is stack and call.layer == layer)


def _inputs(calls: list[LayerCall]) -> Ragged:
    first = calls[0].input
    joined = [_vectors(calls[0])]
    sizes = [first.num_rows]
    if first.max_length == 1 and first.num_rows:
        for call in calls[1:]:
            if call.input.max_length != 1 or call.input.num_rows > sizes[-1]:
                break
            joined.append(_vectors(call))
            sizes.append(call.input.num_rows)
    if len(joined) == 1:
        return first.with_values(joined[0])
    steps = torch.tensor(sizes)
    order = torch.arange(sizes[0], device=first.device)
    lengths = (steps.unsqueeze(1) > torch.arange(sizes[0])).sum(0)
    return Ragged(torch.cat(joined), steps, order, order, lengths)


def _vectors(call: LayerCall) -> Tensor:
    values = call.input.values
    return (values if call.table is None else call.table[values]).detach()


def _initial(stacks: tuple[RecurrentStack, ...], first: list[LayerCall]) -> list[State] | None:
    """From the first call of each layer, (D, N, H) in the order of its packed rows."""
    states: list[State] = []
    for own in by_stack(stacks, first):
        parts = zip(*(call.initial for call in own), strict=True)
        order = own[0].input.unsorted_indices
        states.append(tuple(torch.cat(part).detach().index_select(1, order) for part in parts))
    return states if any(bool(part.any()) for state in states for part in state) else None
