"""A layer of both directions out of a backend that runs one direction, forward in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ostinato.cells import Cell, Weights
from ostinato.kernels.noise import Noise
from ostinato.types import Ragged, State

Scan: TypeAlias = Callable[..., Any]
"""One direction, forward in time: see `dispatch.Backend`."""


def by_direction(
    scan: Scan,
    cell: Cell,
    batch: Ragged,
    states: Sequence[State],
    weights: Sequence[Weights],
    options: dict[str, Any],
    values: Sequence[Tensor] | None = None,
) -> tuple[Tensor, list[State], list[State]]:
    """``dispatch.layer`` out of one scan a direction, the rows reversed for the second one.

    ``options``: its options; ``values``: what each direction reads, where that is not the batch's own values.
    """
    outputs: list[Tensor] = []
    finals: list[State] = []
    every: list[State] = []
    for direction, (state, weight) in enumerate(zip(states, weights, strict=True)):

        def turn(values: Tensor, reverse: bool = direction == 1) -> Tensor:
            return batch.with_values(values).reversed().values if reverse else values

        read = batch.values if values is None else values[direction]
        own = dict(options)
        if "noise" in options:
            own["noise"] = _turn_noise(options["noise"][direction], turn)
        output, final, *steps = scan(cell, turn(read), batch.batch_sizes, state, weight, **own)
        outputs.append(turn(output))
        finals.append(final)
        every.extend(tuple(turn(part) for part in found) for found in steps)
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1), finals, every


def _turn_noise(noise: Noise | None, turn: Callable[[Tensor], Tensor]) -> Noise | None:
    """The noise of one direction in the order of its steps."""
    if noise is None:
        return None
    return replace(noise, zoneout=tuple(None if part is None else turn(part) for part in noise.zoneout))
