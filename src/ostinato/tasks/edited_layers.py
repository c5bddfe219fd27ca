"""Steps in which parts of a state, or gates, are changed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ostinato.cells import Weights
from ostinato.errors import RecipeError
from ostinato.nn.carried import CarriedLayers
from ostinato.nn.stack import RecurrentStack
from ostinato.tasks.intervening import Edit, Edits
from ostinato.types import State

_CLOSED = 1e-12
_NEAR = 1e-6
_MOST_PASSES = 60


class EditedLayers:
    """Layers as `CarriedLayers` runs them, step by step, what each layer leaves being changed before the next reads it.

    What a row gives does not depend on which others are read beside it.

    Args:
        stacks: of one layer each, in one direction.
        carried: each of them; several `EditedLayers` may share these.
        vectors: (V, I), what the first layer reads for each id; None: the pieces are no ids.
        edits: what is changed.
    """

    def __init__(
        self,
        stacks: Sequence[RecurrentStack],
        carried: Sequence[CarriedLayers],
        vectors: Tensor | None,
        edits: Edits,
    ) -> None:
        self._stacks, self._carried, self._vectors, self._edits = stacks, carried, vectors, edits

    def run(self, pieces: Sequence[Tensor], states: Tensor) -> tuple[list[Tensor], Tensor]:
        """As `CarriedLayers.run`.

        Raises:
            RecipeError: where a gate can't be what it is to be, or a state is not finite any more.
        """
        outputs, states = [list[Tensor]() for _ in pieces], states.clone()
        exact = [self._exact(layer) if self._edits.of_gates(layer) else {} for layer in range(len(self._stacks))]
        for step in range(max((len(piece) for piece in pieces), default=0)):
            rows = [row for row, piece in enumerate(pieces) if len(piece) > step]
            left, read, at = list[Tensor](), [pieces[row][step : step + 1] for row in rows], 0
            for layer, carried in enumerate(self._carried):
                before = states[rows, at : at + carried.state_size]
                at += carried.state_size
                if weights := exact[layer]:
                    given = zip(
                        rows, read, torch.split(before, 1), strict=True
                    )  # products depend on how many rows there are
                    left.append(torch.cat([self._step(layer, row, one, old, weights) for row, one, old in given]))
                else:
                    left.append(self._edits.after(layer, carried.run(read, before)[1], rows))
                read = [one[None] for one in left[-1][:, : carried.output_size]]
            states[rows] = torch.cat(left, dim=1)
            for row, one in zip(rows, read, strict=True):
                outputs[row].append(one)
        empty = states.new_empty(0, self._carried[-1].output_size)
        return [torch.cat(one) if one else empty for one in outputs], states

    def _exact(self, layer: int) -> Weights:
        """A layer's weights in float64."""
        stack = self._stacks[layer]
        names = stack.cell.parameter_shapes(stack.input_size, stack.hidden_size, stack.proj_size, stack.bias)
        return {name: one.detach().double() for name, one in zip(names, stack.all_weights[0], strict=True)}

    @torch.no_grad()
    def _step(self, layer: int, row: int, read: Tensor, before: Tensor, weights: Weights) -> Tensor:
        """One step of one row in a layer some of whose gates are changed."""
        stack = self._stacks[layer]
        vectors = read if layer or self._vectors is None else self._vectors[read.long()]
        sums = stack.cell.project(vectors.double(), weights)
        state = tuple(torch.split(before, list(self._carried[layer].sizes[0]), dim=1))
        return changed_step(stack, self._edits, layer, sums, state, weights, [row])


def changed_step(
    stack: RecurrentStack,
    edits: Edits,
    layer: int,
    sums: Tensor,
    before: State,
    weights: Weights,
    rows: Sequence[int],
) -> Tensor:
    """One step of a layer, to the state (N, S) after it, of the type it had before; where gates are changed in float64.

    Args:
        stack: that the layer is of, in evaluation.
        edits: what is changed.
        layer: its number in `edits`.
        sums: (N, G*H), `cell.project` of what is read.
        before: the state.
        weights: of the layer.
        rows: those of `Edits.apply`.

    Raises:
        RecipeError: where a gate can't be what it is to be, or the state is not finite any more.
    """
    like, gates = before[0], edits.of_gates(layer)
    if gates:
        sums, before = sums.double(), tuple(part.double() for part in before)
        weights = {name: one.detach().double() for name, one in weights.items()}
    after = torch.cat(gated_step(stack, gates, sums, before, weights), dim=1).to(like)
    return edits.after(layer, after, rows)


def gated_step(
    stack: RecurrentStack,
    gates: Sequence[tuple[str, list[int], Edit]],
    sums: Tensor,
    state: State,
    weights: Weights,
) -> State:
    """One step in which gates are changed: the input's part of a gate's sum is moved until the gate is what it is to
    be, of each row until it is near.

    Args:
        stack: of one layer, in evaluation.
        gates: as of `Edits.of_gates`.
        sums: (N, G*H), `cell.project` of what is read; float64, as all that follows.
        state: before the step.
        weights: of the layer.

    Raises:
        RecipeError: where a gate can't be that.
    """
    cell, projected = stack.cell, sums.clone()
    for name, units, edit in gates:
        place = cell.gates.index(name) * stack.hidden_size + torch.tensor(units)
        bounded = name in cell.sigmoid_gates

        def gate(name: str = name, units: list[int] = units) -> Tensor:
            return (cell.gate_values(projected, state, weights) or {})[name][:, units]

        wanted = edit.scale * gate() + edit.shift
        for _ in range(_MOST_PASSES):
            now = gate()
            far = ((now - wanted).abs() > _NEAR).any(dim=1, keepdim=True)
            if not bool(far.any()):
                break
            projected[:, place] += torch.where(far, _sum_of(wanted, bounded) - _sum_of(now, bounded), 0.0)
        else:
            said = f"the gate `{edit.part}` can be from {0 if bounded else -1} to 1"
            raise RecipeError(f"{said}. Received: {edit.shift or edit.scale:g}, which leaves that.")
    kept = zip(stack.zoneout, state, cell.step(projected, state, weights), strict=True)
    return tuple(share * old + (1 - share) * new for share, old, new in kept)


def _sum_of(gate: Tensor, bounded: bool) -> Tensor:
    """What a sigmoid, or a tanh, gives these values of."""
    if bounded:
        return torch.logit(gate, eps=_CLOSED)
    return torch.atanh(gate.clamp(_CLOSED - 1, 1 - _CLOSED))
