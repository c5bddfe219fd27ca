"""Windows cut from time series: the steps a forecast is made from, and those it is of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ostinato.arrays import Array, Offsets
from ostinato.data.batching import Batch
from ostinato.data.dataset import Examples, Features
from ostinato.data.forecasting.feature import ForecastFeature
from ostinato.data.forecasting.table import SeriesFacts, StepLayout
from ostinato.data.io.spool import Spool
from ostinato.data.places import Places
from ostinato.data.sequences import Sequences, within
from ostinato.errors import RunError
from ostinato.recipe.forecast import ForecastRecipe
from ostinato.types import Ragged

KNOWN = "known"
"""The name of what is known in advance among a batch's further columns."""


_WINDOWS = 1 << 16
"""Cut at a time."""


@dataclass(frozen=True, kw_only=True)
class Windows(Examples):
    """Windows of series: number n reads the steps `starts[n] : origins[n]` of `sequences.values` and forecasts
    `origins[n] : origins[n] + horizon`.

    `sequences`: the whole series, (sum L, width); `rows`: the series of each window.
    """

    starts: Offsets
    origins: Offsets
    horizon: int
    layout: StepLayout
    facts: SeriesFacts

    def __len__(self) -> int:
        return len(self.origins)

    def take(self, rows: Offsets) -> Windows:
        """Some of the windows, in that order."""
        return replace(self, starts=self.starts[rows], origins=self.origins[rows], rows=self.rows[rows])

    def joined(self, later: Examples) -> Windows:
        """These windows, then those that forecast what follows in the same series."""
        after = as_windows(later)
        moved = (after.sequences.offsets[:-1] - self.sequences.offsets[:-1])[self.rows]
        return replace(
            after,
            starts=np.concatenate([self.starts + moved, after.starts]),
            origins=np.concatenate([self.origins + moved, after.origins]),
            rows=np.concatenate([self.rows, after.rows]),
        )

    def cut(self, share: float) -> tuple[Windows, Windows]:
        """Those that forecast the first share of each series, which then hold nothing else, and those that forecast
        what follows."""
        whole = self.sequences
        lengths = (whole.lengths * share).astype(np.int64)
        ends = (whole.offsets[:-1] + lengths)[self.rows]
        steps = np.repeat(whole.offsets[:-1], lengths) + within(lengths)
        early = self.take(np.flatnonzero(self.origins + self.horizon <= ends))
        sequences = Sequences.from_lengths(whole.values[steps], lengths)
        moved = (sequences.offsets - whole.offsets)[early.rows]
        starts, origins = early.starts + moved, early.origins + moved
        early = replace(early, sequences=sequences, starts=starts, origins=origins, facts=self.facts.take(steps))
        return early, self.take(np.flatnonzero(self.origins >= ends))

    def location(self, index: int) -> str:
        """`file:line` of the first step that is forecast; of the last one before it, where that step is in no file."""
        step = int(self.origins[index])
        while not self.facts.lines[step]:
            step -= 1
        return f"{self.facts.path}:{self.facts.lines[step]}"

    def preview(self, index: int) -> str:
        """The series' name."""
        return self.facts.names[int(self.rows[index])]

    def batch(self, rows: Offsets) -> Batch:
        """The batch of some windows. Every target has `horizon` steps."""
        values, layout = self.sequences.values, self.layout
        starts, origins = self.starts[rows], self.origins[rows]
        ahead = np.full(len(rows), self.horizon, dtype=np.int64)
        targets = Ragged.from_rows(values[:, : layout.num_targets], origins, ahead)
        extra: Mapping[str, Ragged] = {}
        if layout.num_known:
            extra = {KNOWN: Ragged.from_rows(values[:, layout.width - layout.num_known :], origins, ahead)}
        return Batch(Ragged.from_rows(values, starts, origins - starts), targets, rows, extra)

    def original(self, values: Array, rows: Offsets) -> Array:
        """Scaled values (N, ..., C) of some windows in their own units."""
        shape = (len(rows), *(1,) * (values.ndim - 2), -1)
        series = self.rows[rows]
        found: Array = values * self.facts.std[series].reshape(shape) + self.facts.mean[series].reshape(shape)
        return np.exp(found) if self.facts.log else found


def as_windows(examples: Examples | None) -> Windows:
    """Examples that are windows. Raises `RunError` for others."""
    if not isinstance(examples, Windows):
        raise RunError("a forecaster needs windows of series.")
    return examples


def series_feature(features: Features) -> ForecastFeature:
    """The input, which must be series. Raises `RunError` if it is another kind."""
    if not isinstance(features.input, ForecastFeature):
        raise RunError(
            f"a forecaster reads tables of series. Received: `features.input.kind` = {features.input.kind!r}."
        )
    return features.input


@dataclass(frozen=True)
class WindowedBatches:
    """Batches of windows; `shuffle`: in an order redrawn for each epoch, the same for one seed.

    Args:
        examples: the windows.
        batch_size: of a batch.
        shuffle: for training.
        seed: of the order.
        per_epoch: how many windows an epoch draws (without putting back); none: all of them.
    """

    examples: Windows
    batch_size: int
    shuffle: bool = False
    seed: int = 0
    per_epoch: int | None = None

    def __len__(self) -> int:
        return -(-self._count() // self.batch_size)

    def _count(self) -> int:
        return min(len(self.examples), self.per_epoch or len(self.examples))

    def order(self, epoch: int) -> list[Offsets]:
        """The windows of each batch of an epoch."""
        rows = np.arange(len(self.examples))
        if self.shuffle:
            rows = np.random.default_rng([self.seed, epoch]).permutation(len(rows))[: self._count()]
        return [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch number `start` on."""
        for rows in self.order(epoch)[start:]:
            yield self.examples.batch(rows)


def cut_windows(
    series: Sequences,
    before: Sequence[int],
    forecast: ForecastRecipe,
    layout: StepLayout,
    facts: SeriesFacts,
    stride: int,
) -> Windows:
    """The windows of some parts of series.

    Args:
        series: their steps, (L, width) of each.
        before: how many steps of each come before the part: only read, never forecast.
        forecast: lookback, horizon and segment.
        layout: of a step.
        facts: of the series; its stamps and lines are those of all steps, one series after the other.
        stride: steps from one window to the next.
    """
    starts, origins, rows = Spool(), Spool(), Spool()
    for number, (offset, length) in enumerate(zip(series.offsets, series.lengths, strict=False)):
        last = length - forecast.horizon + 1
        for first in range(first_origin(length, before[number], forecast), last, stride * _WINDOWS):
            ends = np.arange(first, min(first + stride * _WINDOWS, last), stride, dtype=np.int64)
            context = np.minimum(ends, forecast.lookback)
            if forecast.strategy == "segment":
                context = context // forecast.segment * forecast.segment
            starts.add(offset + ends - context)
            origins.add(offset + ends)
            rows.add(np.full(len(ends), number, dtype=np.int64))
    return Windows(
        series,
        None,
        Places(),
        rows.finish(),
        starts=starts.finish(),
        origins=origins.finish(),
        horizon=forecast.horizon,
        layout=layout,
        facts=facts,
    )


def first_origin(length: int, before: int, forecast: ForecastRecipe) -> int:
    """The first step that may begin a forecast: after a whole lookback, or as much as there is of a short series."""
    if before:
        return before
    return max(min(forecast.lookback, length - forecast.horizon), 0)


def least_context(forecast: ForecastRecipe) -> int:
    """The fewest steps a forecast can be made from."""
    return forecast.segment if forecast.strategy == "segment" else 1


def borders(length: int, forecast: ForecastRecipe, share: float) -> list[int]:
    """Where in a series of `length` steps training, validation and (where the recipe has one) test end."""
    split: Any = forecast.split
    if split == "last":
        return [length - forecast.horizon, length]
    if split is None:
        return [length - max(round(length * share), forecast.horizon), length]
    sizes = list(split) if all(part >= 1 for part in split) else [length * part for part in split]
    return [round(sum(sizes[: number + 1])) for number in range(len(sizes))]
