"""Time series as they were read, before anything is scaled or cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.data.arrays import Array, Offsets
from ostinato.data.time import Frequency

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RawSeries:
    """One series as it was read.

    values: (L, C), NaN where there is none; beside: (L, P + F), covariates of the past, then of the future; stamps:
    (L,) or none; lines: (L,) where each step stood, 0 for one that was put into a gap; there: (L,) false for such.
    """

    name: str
    values: Floats
    beside: Floats
    stamps: Offsets | None
    lines: Offsets
    there: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, steps: Any) -> RawSeries:
        """Some of the steps."""
        stamps = None if self.stamps is None else self.stamps[steps]
        return RawSeries(
            self.name, self.values[steps], self.beside[steps], stamps, self.lines[steps], self.there[steps]
        )

    def joined(self, after: RawSeries) -> RawSeries:
        """This series, and then another."""
        stamps: Offsets | None = None
        if self.stamps is not None and after.stamps is not None:
            stamps = np.concatenate([self.stamps, after.stamps])
        return RawSeries(
            self.name,
            np.concatenate([self.values, after.values]),
            np.concatenate([self.beside, after.beside]),
            stamps,
            np.concatenate([self.lines, after.lines]),
            np.concatenate([self.there, after.there]),
        )


@dataclass
class RawTable:
    """All series of a file.

    unit: of the time stamps; frequency: of the steps, where there are stamps; ahead: by name of a series, the
    covariates (H, P + F) of rows at its end that hold no channel.
    """

    path: str
    series: list[RawSeries]
    unit: str = "step"
    frequency: Frequency | None = None
    notes: list[str] = field(default_factory=list)
    ahead: dict[str, Floats] = field(default_factory=dict)

    def set_future_aside(self) -> None:
        """Take rows without any channel off the end of each series into `ahead`."""
        for number, one in enumerate(self.series):
            there = np.flatnonzero(np.isfinite(one.values).any(axis=1))
            end = int(there[-1]) + 1 if len(there) else 0
            if end < len(one):
                self.ahead[one.name] = one.beside[end:]
                self.series[number] = one.take(slice(0, end))


@dataclass(frozen=True)
class StepLayout:
    """What the numbers of a step are, in this order.

    num_channels: C, to forecast, scaled; masked: whether C flags follow, 1 where a value was there; num_past: known up
    to the present; num_known: known in advance (columns, calendar, the step's length).
    """

    num_channels: int
    masked: bool
    num_past: int
    num_known: int

    @property
    def width(self) -> int:
        """Numbers of a step."""
        return self.num_channels * (1 + self.masked) + self.num_past + self.num_known

    @property
    def num_targets(self) -> int:
        """Leading numbers that a loss needs: channels and their flags."""
        return self.num_channels * (1 + self.masked)


@dataclass(frozen=True)
class SeriesFacts:
    """What is known of the series of some windows, in the order of their numbers.

    names: of each series; mean, std: (S, C), what values were scaled by; naive: (S, C), mean |x_t - x_(t-m)| of its
    training part in its own units, m the season (what MASE divides by); stamps: (sum L,) or none; unit: of the stamps;
    lines: (sum L,); seasons: their steps, the first one m; log: whether values are
    logarithms before they are scaled.
    """

    names: list[str]
    mean: Array
    std: Array
    naive: Array
    stamps: Offsets | None
    unit: str
    lines: Offsets
    path: str
    seasons: tuple[int, ...]
    log: bool = False
