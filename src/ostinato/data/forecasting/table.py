"""Time series as they were read, before anything is scaled or cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.arrays import Array, Mask, Offsets
from ostinato.data.io.spool import Spool, stretches
from ostinato.data.times.forms import Form, NumberForm
from ostinato.data.times.step import Frequency
from ostinato.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RawSeries:
    """One series as it was read.

    values: (L, C), NaN where there is none; covariates: (L, P + F), covariates of the past, then of the future; stamps:
    (L,) by the clock that is written, or none; lines: (L,) the line of each step, 0 for one that has none (in a
    gap, or after the end); known: (L, C) which values were there; none: all of them; zone: (L,) how far that clock is
    ahead of UTC in microseconds, where stamps say so.
    """

    name: str
    values: Floats
    covariates: Floats
    stamps: Offsets | None
    lines: Offsets
    known: Mask | None = None
    zone: Offsets | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def mask(self) -> Mask:
        """(L, C), which values were there."""
        return np.broadcast_to(np.True_, self.values.shape) if self.known is None else self.known

    def axis(self, frequency: Frequency | None = None) -> Offsets:
        """What steps are counted by: UTC where stamps have a zone; days and longer steps by the clock that is written.

        Raises:
            DataError: for a series without stamps.
        """
        if self.stamps is None:
            raise DataError(f"series {self.name!r} has no time stamps.")
        by_clock = frequency is not None and frequency.is_of_days
        return self.stamps if self.zone is None or by_clock else self.stamps - self.zone

    def take(self, steps: Any) -> RawSeries:
        """Some of the steps."""
        return _replaced(self, {name: None if of is None else of[steps] for name, of in self.arrays().items()})

    def joined(self, after: RawSeries) -> RawSeries:
        """This series, and then another. Stamps only where both have them."""
        both = self if self.known is None and after.known is None else replace(self, known=self.mask)
        after = after if both.known is None else replace(after, known=after.mask)
        pairs = zip(both.arrays().items(), after.arrays().values(), strict=True)
        arrays: dict[str, Any] = {
            name: None if first is None or second is None else np.concatenate([first, second])
            for (name, first), second in pairs
        }
        return replace(both, **arrays)

    def arrays(self) -> dict[str, Any]:
        """Everything that has a value a step."""
        return {name: getattr(self, name) for name in ("values", "covariates", "stamps", "lines", "known", "zone")}

    def runs(self) -> Iterator[slice]:
        """Stretches of some megabytes, in turn."""
        return stretches(self.values)


@dataclass
class RawTable:
    """All series of a file.

    form: of the time stamps; frequency: of the steps, where there are stamps; ahead: by name of a series, the
    covariates (H, P + F) of rows at its end that hold no channel.
    """

    path: str
    series: list[RawSeries]
    form: Form = field(default_factory=lambda: NumberForm("step"))
    frequency: Frequency | None = None
    notes: list[str] = field(default_factory=list)
    ahead: dict[str, Floats] = field(default_factory=dict)

    def shown(self, one: RawSeries, step: int) -> str:
        """The time stamp of a step as the file has it."""
        stamp = 0 if one.stamps is None else int(one.stamps[step])
        return self.form.shown(stamp, 0 if one.zone is None else int(one.zone[step]))

    def change(self, change: Callable[[RawSeries], RawSeries]) -> None:
        """Put `change(one)` in the place of each series; what is new waits in a file where it is large."""
        kept: dict[int, RawSeries] = {}

        def made() -> Iterator[RawSeries]:
            for number, one in enumerate(self.series):
                new = change(one)
                if new is one:
                    kept[number] = one
                else:
                    yield new

        fresh = iter(shelved(made()))
        self.series = [kept[number] if number in kept else next(fresh) for number in range(len(self.series))]

    def set_future_aside(self) -> None:
        """Take rows without any channel off the end of each series into `ahead`."""
        for number, one in enumerate(self.series):
            there = np.flatnonzero(np.isfinite(one.values).any(axis=1))
            end = int(there[-1]) + 1 if len(there) else 0
            if end < len(one):
                self.ahead[one.name] = one.covariates[end:]
                self.series[number] = one.take(slice(0, end))


def shelved(series: Iterable[RawSeries]) -> list[RawSeries]:
    """The same series, taken one by one, their numbers put away together: in a mapped file where they are many."""
    spools: dict[str, Spool] = {}
    ends: dict[str, int] = {}
    found: list[tuple[RawSeries, dict[str, slice]]] = []
    for one in series:
        places: dict[str, slice] = {}
        for name, values in one.arrays().items():
            if values is not None:
                spools.setdefault(name, Spool()).add(values)
                start = ends.get(name, 0)
                ends[name] = start + len(values)
                places[name] = slice(start, ends[name])
        found.append((one.take(slice(0, 0)), places))
    stored: dict[str, Any] = {name: spool.finish() for name, spool in spools.items()}
    return [_replaced(one, {name: stored[name][place] for name, place in places.items()}) for one, places in found]


def _replaced(series: RawSeries, arrays: dict[str, Any]) -> RawSeries:
    return replace(series, **arrays)


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
    training part in its own units, m the season (what MASE divides by); stamps: (sum L,) or none; form: of the stamps;
    lines: (sum L,); seasons: their steps, the first one m; log: whether values are logarithms before they are scaled;
    zone: (sum L,) or none, as in `RawSeries`.
    """

    names: list[str]
    mean: Array
    std: Array
    naive: Array
    stamps: Offsets | None
    form: Form
    lines: Offsets
    path: str
    seasons: tuple[int, ...]
    log: bool = False
    zone: Offsets | None = None

    def take(self, steps: Offsets) -> SeriesFacts:
        """Of some of the steps."""
        stamps, zone = (None if of is None else of[steps] for of in (self.stamps, self.zone))
        return replace(self, stamps=stamps, lines=self.lines[steps], zone=zone)

    def times(self, first: int, end: int) -> Array | None:
        """When steps are: moments by the clock that is written (`datetime64`), or plain numbers; None where no date is
        known."""
        if self.stamps is None or not self.form.dated:
            return None
        stamps = np.asarray(self.stamps[first:end])
        return stamps.astype("datetime64[us]") if self.form.unit == "us" else stamps

    def shown(self, step: int) -> str:
        """The time stamp of a step as the file has it; its number where there are no stamps."""
        if self.stamps is None:
            return f"step {step + 1:,}"
        return self.form.shown(int(self.stamps[step]), 0 if self.zone is None else int(self.zone[step]))
