"""Interventions: parts of a state, or gates, that are set, scaled or copied at every step."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from ostinato.cells import Cell, Weights
from ostinato.errors import RecipeError
from ostinato.kernels.native_stream import Tokens
from ostinato.nn.carried import CarriedLayers
from ostinato.nn.stack import RecurrentStack
from ostinato.types import State

Intervene: TypeAlias = str | Sequence[str] | Mapping[str, float | str]
"""What to change: `"layer 1.c[3] = 0"`, several of these, or `{"layer 1.c[3]": 0, "layer 2.h": "*= 0.5 from 12"}`."""

_FORM = re.compile(
    r"(?P<part>[\w. ]+?)\s*(\[(?P<units>[\d\s,:]*)\])?\s*(?P<how>=|\*=)\s*"
    r"((?P<value>[-+.\deE]+)|(?P<source>[\w. ]+?)\s*\[(?P<unit>\d+)\])(\s+from\s+(?P<begin>\d{1,9}))?"
)
_EXAMPLE = (
    "layer 1.c[3] = 0, layer 1.h[2, 5:8] *= 0.5, layer 1.c[3] = layer 1.c[5], layer 1.f = 1, layer 2.h *= 0 from 12"
)
_CLOSED = 1e-12
_NEAR = 1e-6
_MOST_PASSES = 60


@dataclass(frozen=True)
class Edit:
    """What is done to units of a part of the state, `layer 1.c`, or of a gate, `layer 1.f`, at each step.

    units: none: all of them; scale, shift: x becomes scale x + shift; source: x becomes that unit of a part; begin: the
    first step at which that is done, from 0 on.
    """

    part: str
    units: tuple[int, ...] | None
    scale: float
    shift: float
    source: tuple[str, int] | None = None
    begin: int = 0

    @classmethod
    def of(cls, text: str) -> Edit:
        """From `layer 1.c[3] = 0`, `layer 1.h[2, 5:8] *= 0.5`, `layer 1.c[3] = layer 1.c[5]`, `layer 1.f = 1 from 12`.

        Raises:
            RecipeError: for anything else.

        Example:
            >>> Edit.of("layer 1.c[3] = 2")
            Edit(part='layer 1.c', units=(3,), scale=0.0, shift=2.0, source=None, begin=0)
        """
        found = _FORM.fullmatch(text.strip())
        try:
            if found is None or (found["source"] and found["how"] == "*="):
                raise ValueError
            units, part, begin = _units(found["units"]), found["part"].strip(), int(found["begin"] or 0)
            if found["source"]:
                return cls(part, units, 0.0, 0.0, (found["source"].strip(), int(found["unit"])), begin)
            value = float(found["value"])
        except ValueError as error:
            raise RecipeError(f"an intervention is spelled {_EXAMPLE}. Received: {text!r:.80}.") from error
        scale, shift = (0.0, value) if found["how"] == "=" else (value, 0.0)
        return cls(part, units, scale, shift, begin=begin)

    @property
    def changes(self) -> bool:
        """Whether it does anything: to scale by 1 does not."""
        return self.source is not None or (self.scale, self.shift) != (1.0, 0.0)


def edits_of(given: Intervene | Sequence[Edit] | None) -> tuple[Edit, ...]:
    """What `intervene` says, in its order.

    Raises:
        RecipeError: for what is none.

    Example:
        >>> edits_of({"layer 1.c[3]": 2, "layer 1.f": "*= 0.5"}) == edits_of(["layer 1.c[3] = 2", "layer 1.f *= 0.5"])
        True
    """
    if given is None:
        return ()
    if isinstance(given, Mapping):
        return tuple(Edit.of(f"{part} {'' if _is_told(what) else '= '}{what}") for part, what in given.items())
    several = [given] if isinstance(given, str) else given
    return tuple(one if isinstance(one, Edit) else Edit.of(str(one)) for one in several)


def active(edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """Those that change what is made now."""
    return tuple(edit for edit in edits if edit.changes and not edit.begin)


def later(edits: Sequence[Edit], num_steps: int) -> tuple[Edit, ...]:
    """The same for what begins so many steps later."""
    return tuple(replace(edit, begin=max(edit.begin - num_steps, 0)) for edit in edits)


def steps_alike(edits: Sequence[Edit], num_steps: int) -> int:
    """How many of the next steps are changed alike, at most `num_steps`."""
    return min([num_steps, *(edit.begin for edit in edits if edit.begin)])


def changing(given: Intervene | None) -> bool:
    """Whether what `intervene` says changes anything."""
    return any(edit.changes for edit in edits_of(given))


def _is_told(what: float | str) -> bool:
    return isinstance(what, str) and what.lstrip().startswith(("=", "*="))


def _units(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = [one.split(":") for one in text.split(",")]
    chosen = [range(int(one[0]), int(one[-1]) + (len(one) == 1)) for one in parts if len(one) <= 2]
    if len(chosen) < len(parts) or not any(chosen):
        raise ValueError
    return tuple(sorted({unit for some in chosen for unit in some}))


class Edits:
    """Edits of the states and gates of layers.

    Args:
        edits: in the order in which they are made.
        layers: the cell of each layer, and the sizes of its state's tensors and of a gate.
        names: of the layers; default: `layer 1`, `layer 2`, …

    Raises:
        RecipeError: for a part or a unit that is not there, or a gate that is none of numbers between two bounds.
    """

    def __init__(
        self,
        edits: Sequence[Edit],
        layers: Sequence[tuple[Cell, tuple[int, ...], int]],
        names: Sequence[str] | None = None,
    ) -> None:
        names = names or [f"layer {number}" for number in range(1, len(layers) + 1)]
        parts, gates = dict[str, tuple[int, int]](), dict[str, int]()
        for layer_name, (cell, sizes, hidden) in zip(names, layers, strict=True):
            ends = torch.tensor(sizes).cumsum(0).tolist()
            named = zip(cell.state_names, zip([0, *ends[:-1]], ends, strict=True), strict=True)
            parts |= {f"{layer_name}.{name}": place for name, place in named}
            gates |= {f"{layer_name}.{name}": hidden for name in cell.gates if name not in cell.state_names}
        self._states: list[list[tuple[list[int], Edit, int]]] = [[] for _ in layers]
        self._gates: list[list[tuple[str, list[int], Edit]]] = [[] for _ in layers]
        for edit in edits:
            if edit.part not in parts and edit.part not in gates:
                raise RecipeError(
                    f"the state has the parts {', '.join(parts)}"
                    f"{', beside the gates ' if gates else ''}{', '.join(gates)}. Received: {edit.part!r}."
                )
            layer = names.index(edit.part.split(".")[0])
            first, last = parts.get(edit.part) or (0, gates[edit.part])
            units = list(range(last - first)) if edit.units is None else list(edit.units)
            _check_unit(edit.part, max(units), last - first)
            source = -1
            if edit.source is not None:
                name, unit = edit.source
                if edit.part in gates or name not in parts or name.split(".")[0] != edit.part.split(".")[0]:
                    raise RecipeError(
                        f"a unit is copied from a part of the same layer's state. Received: {name!r} to {edit.part!r}."
                    )
                _check_unit(name, unit, parts[name][1] - parts[name][0])
                source = parts[name][0] + unit
            if edit.part in parts:
                self._states[layer].append(([first + unit for unit in units], edit, source))
            else:
                self._gates[layer].append((edit.part.split(".")[1], units, edit))

    def at(self, step: int) -> Edits:
        """Those that are made at a step."""
        found = copy.copy(self)
        found._states = [[one for one in some if one[1].begin <= step] for some in self._states]
        found._gates = [[one for one in some if one[2].begin <= step] for some in self._gates]
        return found

    def apply(self, layer: int, states: Tensor, rows: Sequence[int]) -> Tensor:
        """The state (n, S) of a layer after a step, of so many rows of those that are read, to the same, changed."""
        found = states.clone()
        for columns, edit, source in self._states[layer]:
            if source >= 0:
                found[:, columns] = found[:, [source]]
            else:
                found[:, columns] = edit.scale * found[:, columns] + edit.shift
        return found

    def of_gates(self, layer: int) -> list[tuple[str, list[int], Edit]]:
        """Gate, units and what becomes of them."""
        return self._gates[layer]


def _check_unit(part: str, unit: int, size: int) -> None:
    if unit >= size:
        raise RecipeError(f"`{part}` has {size} units, from 0 on. Received: {unit}.")


class EditedLayers:
    """Layers as `CarriedLayers` runs them, step by step, what each layer leaves being changed before the next reads it.

    Args:
        stacks: of one layer each, in one direction.
        tokens: with it the pieces are ids.
        edits: what is changed.
    """

    def __init__(self, stacks: Sequence[RecurrentStack], tokens: Tokens | None, edits: Edits) -> None:
        self._stacks, self._edits = list(stacks), edits
        self._carried = [CarriedLayers([stack], None if at else tokens) for at, stack in enumerate(stacks)]
        self._vectors = None if tokens is None else tokens.vectors.detach()

    def run(self, pieces: Sequence[Tensor], states: Tensor) -> tuple[list[Tensor], Tensor]:
        """As `CarriedLayers.run`."""
        outputs, states = [list[Tensor]() for _ in pieces], states.clone()
        for step in range(max((len(piece) for piece in pieces), default=0)):
            rows = [row for row, piece in enumerate(pieces) if len(piece) > step]
            left, read, at = list[Tensor](), [pieces[row][step : step + 1] for row in rows], 0
            for layer, carried in enumerate(self._carried):
                before = states[rows, at : at + carried.state_size]
                at += carried.state_size
                if self._edits.of_gates(layer):
                    after = self._step(layer, torch.cat(read), before)
                else:
                    _, after = carried.run(read, before)
                left.append(self._edits.apply(layer, after, rows))
                read = [one[None] for one in left[-1][:, : carried.output_size]]
            states[rows] = torch.cat(left, dim=1)
            for row, one in zip(rows, read, strict=True):
                outputs[row].append(one)
        empty = states.new_empty(0, self._carried[-1].output_size)
        return [torch.cat(one) if one else empty for one in outputs], states

    @torch.no_grad()
    def _step(self, layer: int, read: Tensor, before: Tensor) -> Tensor:
        """One step of a layer some of whose gates are changed, in float64."""
        stack, sizes = self._stacks[layer], list(self._carried[layer].sizes[0])
        vectors = read if layer or self._vectors is None else self._vectors[read.long()]
        names = stack.cell.parameter_shapes(vectors.shape[1], stack.hidden_size, stack.proj_size, stack.bias)
        weights = {name: one.detach().double() for name, one in zip(names, stack.all_weights[0], strict=True)}
        state = tuple(torch.split(before.double(), sizes, dim=1))
        sums = stack.cell.project(vectors.double(), weights)
        return torch.cat(gated_step(stack, self._edits.of_gates(layer), sums, state, weights), dim=1).to(before)


def gated_step(
    stack: RecurrentStack,
    gates: Sequence[tuple[str, list[int], Edit]],
    sums: Tensor,
    state: State,
    weights: Weights,
) -> State:
    """One step in which gates are changed: the input's part of a gate's sum is moved until the gate is what it is to
    be.

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
            if bool(((now - wanted).abs() <= _NEAR).all()):
                break
            projected[:, place] += _sum_of(wanted, bounded) - _sum_of(now, bounded)
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
