"""What runs the layers of a stack in place of a backend, where something changes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from types import MappingProxyType
from typing import Protocol

from torch import Tensor

from ostinato.cells import Cell, Weights
from ostinato.kernels.noise import Noise
from ostinato.types import Ragged, State


class LayerRun(Protocol):
    """Called as ``dispatch.layer``, after ``begin`` where rows start over."""

    def begin(self) -> None: ...
    def __call__(
        self,
        requested: str,
        cell: Cell,
        batch: Ragged,
        states: Sequence[State],
        weights: Sequence[Weights],
        noise: Sequence[Noise | None] | None = None,
        all_states: bool = False,
        precision: str = "full",
        table: Tensor | None = None,
    ) -> tuple[Tensor, list[State], list[State]]: ...


LAYER_RUNS: ContextVar[Mapping[object, LayerRun]] = ContextVar("LAYER_RUNS", default=MappingProxyType({}))
"""By stack, in this thread."""
