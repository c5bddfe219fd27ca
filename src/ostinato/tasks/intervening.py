"""Interventions: parts of a state, or gates, that are set, scaled or copied at every step."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor

from ostinato.cells import Cell
from ostinato.errors import RecipeError

Intervene: TypeAlias = str | Sequence[str] | Mapping[str, float | str]
"""What to change: `"layer 1.c[3] = 0"`, several of these, or `{"layer 1.c[3]": 0, "layer 2.h": "*= 0.5 from 12"}`."""

Given = TypeVar("Given", bound="Intervene | None")

_FORM = re.compile(
    r"(?P<part>\w+(?:[ .]\w+)*)\s*(?:\[(?P<units>[\d\s,:]*)\]\s*)?(?P<how>=|\*=)\s*"
    r"((?P<value>[-+.\deE]+)|(?P<source>\w+(?:[ .]\w+)*)\s*\[(?P<unit>\d+)\])(\s+from\s+(?P<begin>\d{1,9}))?"
)
_EXAMPLE = (
    "layer 1.c[3] = 0, layer 1.h[2, 5:8] *= 0.5, layer 1.c[3] = layer 1.c[5], layer 1.f = 1, layer 2.h *= 0 from 12"
)
_LARGEST = torch.finfo(torch.float32).max
_LONGEST, _MOST, _MOST_UNITS = 200, 64, 65_536


@dataclass(frozen=True, slots=True)
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
        _check_length(text)
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
        if not abs(value) <= _LARGEST:
            raise RecipeError(f"an intervention's number is at most {_LARGEST:.3g}. Received: {text!r:.80}.")
        scale, shift = (0.0, value) if found["how"] == "=" else (value, 0.0)
        return cls(part, units, scale, shift, begin=begin)

    @property
    def changes(self) -> bool:
        """Whether it does anything: to scale by 1 does not."""
        return self.source is not None or (self.scale, self.shift) != (1.0, 0.0)

    @property
    def num_bytes(self) -> int:
        """In memory, about."""
        return 320 + 40 * len(self.units or ())


def edits_of(given: Intervene | Sequence[Edit] | None) -> tuple[Edit, ...]:
    """What `intervene` says, in its order: at most 64, of 200 characters each, which name 65,536 units.

    Raises:
        RecipeError: for what is none, or more than that.

    Example:
        >>> edits_of({"layer 1.c[3]": 2, "layer 1.f": "*= 0.5"}) == edits_of(["layer 1.c[3] = 2", "layer 1.f *= 0.5"])
        True
    """
    found, named = list[Edit](), 0
    for one in _spelled(given):
        found.append(one if isinstance(one, Edit) else Edit.of(one))
        named += len(found[-1].units or ())
        _check_named(named)
    return tuple(found)


def bounded(given: Given) -> Given:
    """What `intervene` says, unread.

    Raises:
        RecipeError: for more, or longer ones, than `edits_of` takes.
    """
    _spelled(given)
    return given


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


def _spelled(given: Intervene | Sequence[Edit] | None) -> list[str | Edit]:
    several = [given] if isinstance(given, str) else given or ()
    if len(several) > _MOST:
        raise RecipeError(f"at most {_MOST} interventions at once were expected. Received: {len(several):,}.")
    if isinstance(several, Mapping):
        several = [f"{part} {'' if _is_told(what) else '= '}{what}" for part, what in several.items()]
    found = [one if isinstance(one, Edit) else str(one) for one in several]
    for one in found:
        if isinstance(one, str):
            _check_length(one)
    return found


def _is_told(what: float | str) -> bool:
    return isinstance(what, str) and what.lstrip().startswith(("=", "*="))


def _units(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = [one.split(":") for one in text.split(",")]
    ends = [(int(one[0]), int(one[-1]) + (len(one) == 1)) for one in parts if len(one) <= 2]
    if len(ends) < len(parts) or not any(first < last for first, last in ends):
        raise ValueError
    _check_named(sum(max(last - first, 0) for first, last in ends))
    chosen = [range(first, last) for first, last in ends]
    return tuple(sorted({unit for some in chosen for unit in some}))


def _check_length(text: str) -> None:
    if len(text) > _LONGEST:
        raise RecipeError(
            f"an intervention has at most {_LONGEST} characters. Received: {len(text):,}, which begin {text[:40]!r}."
        )


def _check_named(num_units: int) -> None:
    if num_units > _MOST_UNITS:
        raise RecipeError(
            f"interventions name at most {_MOST_UNITS:,} units; a part without [units] is all of it. "
            f"Received: {num_units:,}."
        )


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
        self._names = names
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

    def after(self, layer: int, states: Tensor, rows: Sequence[int]) -> Tensor:
        """As `apply`.

        Raises:
            RecipeError: for numbers that the changes have driven out of what a state holds.
        """
        found = self.apply(layer, states, rows)
        if not bool(torch.isfinite(found).all()):
            raise RecipeError(
                f"interventions that leave a state finite were expected. Received: {self._names[layer]} with "
                "infinities, or what is no number."
            )
        return found

    def of_gates(self, layer: int) -> list[tuple[str, list[int], Edit]]:
        """Gate, units and what becomes of them."""
        return self._gates[layer]


def _check_unit(part: str, unit: int, size: int) -> None:
    if unit >= size:
        raise RecipeError(f"`{part}` has {size} units, from 0 on. Received: {unit}.")
