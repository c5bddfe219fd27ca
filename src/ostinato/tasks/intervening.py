"""Interventions: parts of a state that are set, or scaled, after every step."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ostinato.errors import RecipeError

_FORM = re.compile(r"(?P<part>[\w. ]+?)\s*(\[(?P<units>[\d\s,:]*)\])?\s*(?P<how>=|\*=)\s*(?P<value>[-+.\deE]+)")
_EXAMPLE = "layer 1.c[3] = 0, layer 1.h[2, 5:8] *= 0.5, layer 2.h *= 0"


@dataclass(frozen=True)
class Edit:
    """What is done to units of a part of the state, `layer 1.c`, after each step.

    units: none: all of them; scale, shift: x becomes scale x + shift.
    """

    part: str
    units: tuple[int, ...] | None
    scale: float
    shift: float

    @classmethod
    def of(cls, text: str) -> Edit:
        """From `layer 1.c[3] = 0` or `layer 1.h[2, 5:8] *= 0.5`.

        Raises:
            RecipeError: for anything else.

        Example:
            >>> Edit.of("layer 1.c[3] = 2")
            Edit(part='layer 1.c', units=(3,), scale=0.0, shift=2.0)
        """
        found = _FORM.fullmatch(text.strip())
        try:
            if found is None:
                raise ValueError
            value, units = float(found["value"]), _units(found["units"])
        except ValueError as error:
            raise RecipeError(f"an intervention is spelled {_EXAMPLE}. Received: {text!r:.80}.") from error
        scale, shift = (0.0, value) if found["how"] == "=" else (value, 0.0)
        return cls(found["part"].strip(), units, scale, shift)


def _units(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = [one.split(":") for one in text.split(",")]
    chosen = [range(int(one[0]), int(one[-1]) + (len(one) == 1)) for one in parts if len(one) <= 2]
    if len(chosen) < len(parts) or not any(chosen):
        raise ValueError
    return tuple(sorted({unit for some in chosen for unit in some}))


class Edits:
    """Edits of a flat state.

    Args:
        edits: in the order in which they are made.
        places: (first, after the last) of each part, by name.

    Raises:
        RecipeError: for a part or a unit that is not there.
    """

    def __init__(self, edits: Sequence[Edit], places: Mapping[str, tuple[int, int]]) -> None:
        self._edits: list[tuple[list[int], Edit]] = []
        for edit in edits:
            if edit.part not in places:
                raise RecipeError(f"the state has the parts {', '.join(places)}. Received: {edit.part!r}.")
            first, last = places[edit.part]
            units = range(last - first) if edit.units is None else edit.units
            beyond = [unit for unit in units if unit >= last - first]
            if beyond:
                raise RecipeError(f"`{edit.part}` has {last - first} units, from 0 on. Received: {beyond[0]}.")
            self._edits.append(([first + unit for unit in units], edit))

    def apply(self, states: Tensor) -> Tensor:
        """(N, S) to the same, changed."""
        found = states.clone()
        for columns, edit in self._edits:
            found[:, columns] = edit.scale * found[:, columns] + edit.shift
        return found
