"""Baselines of models that write frames: linear methods of numbers and notes, with the distribution of frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostinato.baselines.base import Figures
from ostinato.baselines.counting import summary_of
from ostinato.data.dataset import Examples, Prepared
from ostinato.data.sequences import Sequences
from ostinato.layers.frames import Frames
from ostinato.tasks.frames.baselines import WrittenBaseline, bernoulli
from ostinato.tasks.frames.evaluation import frames_column
from ostinato.tasks.given import rows_by_given

_PENALTIES = (1.0, 100.0, 10_000.0)
_BLOCKS = 50
_HELD_OUT = 5
"""One block of so many is held out."""
_ROWS_A_VALUE = 5
_MOST_FRAMES = 50_000
_MOST_INPUTS = 2_000
_FRAMES_BEFORE = 2
_TINY = 1e-12
_PRODUCTS_A_SECOND = 1e10


class AnyFrame(WrittenBaseline):
    """Each number normal, each note as likely, as in training frames, whatever is given and came before."""

    name, trivial = "any frame", True
    about = "each number normal (each note as likely) as in training frames, regardless of what is given or came before"

    def learn(self, examples: Examples) -> None:
        """Mean and deviation, or shares."""
        values = self.values(examples)
        self._mean, self._deviation = values.mean(axis=0), values.std(axis=0)
        if self.notes:
            self._mean = _shares(values)

    def frame_nll(self, examples: Examples) -> Figures:
        """Of every frame."""
        values = self.values(examples)
        return bernoulli(values, self._mean) if self.notes else self.normal(values, self._mean, self._deviation)

    def parameters(self) -> list[NDArray[Any]]:
        """Two numbers a channel, of notes one."""
        return [self._mean.astype(np.float32), *([] if self.notes else [self._deviation.astype(np.float32)])]


class EachFromBefore(WrittenBaseline):
    """Each number given itself in the frame before (a line and its residual); each note whether it sounded.

    Of first frames, mean and deviation are those of all rows' first ones and of one more, with the mean and variance of
    all frames: a row or two can't make sure of how others begin.
    """

    name, trivial = "the frame before", True
    about = "each number by a line from itself in the frame before, each note given whether it sounded"

    def learn(self, examples: Examples) -> None:
        """Least squares for each channel, the first frames by their own mean; or counts."""
        values, first = self.values(examples), self.times(examples) == 0
        before = self.before(examples, values)
        if self.notes:
            plain, states = _shares(values), [before == 0, before != 0]
            self._table = np.stack([((values * one).sum(0) + plain) / (one.sum(0) + 1.0) for one in states])
            return
        mean, deviation = _drawn_to_all(values[first], values)
        now, last = (values[~first], before[~first]) if not first.all() else (values, before)
        level, slope, residual = _line(last, now)
        self._table = np.stack([mean, deviation, level, slope, residual])

    def frame_nll(self, examples: Examples) -> Figures:
        """Of every frame."""
        values, first = self.values(examples), self.times(examples)[:, None] == 0
        before = self.before(examples, values)
        if self.notes:
            return bernoulli(values, np.where(before != 0, self._table[1], self._table[0]))
        mean, deviation, level, slope, residual = self._table
        return self.normal(values, np.where(first, mean, level + slope * before), np.where(first, deviation, residual))

    def parameters(self) -> list[NDArray[Any]]:
        """Two or five numbers a channel."""
        return [self._table.astype(np.float32)]


def _shares(values: Figures) -> Figures:
    """(C,): of frames in which each note sounds."""
    return np.asarray((values.sum(axis=0) + 0.5) / (len(values) + 1.0))


def _drawn_to_all(some: Figures, values: Figures) -> tuple[Figures, Figures]:
    """Mean and deviation, (C,) each, of some frames and one more, with the mean and the variance of all of them."""
    count, centre = len(some) + 1, values.mean(axis=0)
    mean = (some.sum(axis=0) + centre) / count
    squares = ((some - mean) ** 2).sum(axis=0) + (centre - mean) ** 2 + values.var(axis=0)
    return np.asarray(mean), np.asarray(np.sqrt(squares / count))


def _line(last: Figures, now: Figures) -> tuple[Figures, Figures, Figures]:
    """Level, slope and residual deviation of each channel's line, (C,) each."""
    centred, variance = last - last.mean(axis=0), last.var(axis=0)
    slope = (centred * now).mean(axis=0) / np.where(variance > 0, variance, np.inf)
    level = now.mean(axis=0) - slope * last.mean(axis=0)
    return level, slope, (now - level - slope * last).std(axis=0)


class StepOfEach(WrittenBaseline):
    """Each step of a row normal, by the rows that were given the same: as if all of a kind were one shape and noise."""

    name = "the same step of its kind"
    about = "mean and deviation of each step for each value given, drawn to those of all frames where there are few"

    @classmethod
    def applies(cls, prepared: Prepared) -> bool:
        """Of numbers for a value given, where training shows each value five times on average."""
        if prepared.recipe.model.task != "conditional" or prepared.recipe.features.target.kind == "notes":
            return False
        train = prepared.train
        return len(rows_by_given(train)) * _ROWS_A_VALUE <= len(train)

    def learn(self, examples: Examples) -> None:
        """Sums over the rows of each kind, step by step."""
        values, rows = self.values(examples), self.rows(examples)
        self._all = values.mean(axis=0), values.var(axis=0)
        self._kinds = {key: self._kind(values, rows, found) for key, found in rows_by_given(examples).items()}

    def _kind(self, values: Figures, rows: Sequences, found: list[int]) -> NDArray[Any]:
        """(longest, 2, C): mean and variance of each step, one row's worth of all frames among them."""
        longest = int(rows.lengths[found].max())
        count = np.ones((longest, 1))
        total = np.tile(self._all[0], (longest, 1))
        squares = np.tile(self._all[1] + self._all[0] ** 2, (longest, 1))
        for row in found:
            part = values[rows.offsets[row] : rows.offsets[row + 1]]
            count[: len(part)] += 1
            total[: len(part)] += part
            squares[: len(part)] += part**2
        mean = total / count
        return np.stack([mean, np.maximum(squares / count - mean**2, 0.0)], axis=1)

    def frame_nll(self, examples: Examples) -> Figures:
        """Of every frame."""
        values, rows = self.values(examples), self.rows(examples)
        mean, variance = (np.tile(part, (len(values), 1)) for part in self._all)
        for row in range(len(examples)):
            kind = self._kinds.get(examples.given(row))
            if kind is not None:
                start, count = int(rows.offsets[row]), min(int(rows.lengths[row]), len(kind))
                mean[start : start + count], variance[start : start + count] = kind[:count, 0], kind[:count, 1]
        return self.normal(values, mean, np.sqrt(variance))

    def parameters(self) -> list[NDArray[Any]]:
        """Two numbers a channel, step and kind; and those of all frames."""
        return [part.astype(np.float32) for part in (*self._kinds.values(), *self._all)]


class Autoregression(WrittenBaseline):
    """Ridge regression of all numbers on the two frames before, the place in the row and what is given; of the first
    two frames on as many as there are. A fifth of the training frames, in blocks, choose the penalty and give the
    deviations."""

    name = "linear autoregression"
    about = "ridge regression on the two frames before, the step and what is given, and the deviation from it"

    @classmethod
    def applies(cls, prepared: Prepared) -> bool:
        """Of numbers, not too many of them."""
        column = frames_column(prepared.features, prepared.train)[0]
        return column.kind != "notes" and _FRAMES_BEFORE * Frames.of(column).values <= _MOST_INPUTS

    @classmethod
    def seconds(cls, prepared: Prepared) -> float:
        """By the products of the frames before alone."""
        column, rows = frames_column(prepared.features, prepared.train)
        size = Frames.of(column).values
        return float(min(len(rows.values), _MOST_FRAMES) * 2 * size * 3 * size * 2 / _PRODUCTS_A_SECOND)

    def learn(self, examples: Examples) -> None:
        """On at most 50,000 frames, evenly picked, for each number of frames before."""
        self._longest = max(float(self.rows(examples).lengths.max()), 1.0)
        values, before, inputs = self._read(examples)
        self._fits = [_Ridge.fit(_seen(inputs, values, n), values, before == n) for n in range(_FRAMES_BEFORE + 1)]

    def _read(self, examples: Examples) -> tuple[Figures, NDArray[np.int64], Figures]:
        """Frames, (sum T, C); how many of two are before each, (sum T,); and what is read: the frames before, 2 C
        numbers, and what is known without them."""
        values, times = self.values(examples), self.times(examples)
        parts = [self.before(examples, values, 1 + n) for n in range(_FRAMES_BEFORE)]
        parts += [np.ones((len(values), 1)), times[:, None] / self._longest]
        if self._features.target is not None:
            given = summary_of(examples, self._features)[:, :_MOST_INPUTS]
            parts.append(given[np.repeat(np.arange(len(examples)), self.rows(examples).lengths)])
        inputs = np.concatenate([part.astype(np.float64) for part in parts], axis=1)
        return values, np.minimum(times, _FRAMES_BEFORE), inputs

    def frame_nll(self, examples: Examples) -> Figures:
        """Of every frame."""
        values, before, inputs = self._read(examples)
        found = np.zeros(len(values))
        for n, fit in enumerate(self._fits):
            at = before == n
            found[at] = self.normal(values[at], _seen(inputs[at], values, n) @ fit.weights, fit.deviation)
        return found

    @property
    def most_frames(self) -> int:
        """At most 50,000."""
        return min(super().most_frames, _MOST_FRAMES)

    @property
    def details(self) -> str:
        """The penalty, and how many rows, where not all."""
        return "; ".join(text for text in (f"penalty {self._fits[-1].penalty:,.0f}", super().details) if text)

    def parameters(self) -> list[NDArray[Any]]:
        """Weights and deviations."""
        return [part.astype(np.float32) for fit in self._fits for part in (fit.weights, fit.deviation)]


def _seen(inputs: Figures, values: Figures, num_before: int) -> Figures:
    """Inputs without the frames that are not there: the first C numbers are of the frame before, and so on."""
    size = values.shape[1]
    return np.concatenate([inputs[:, : num_before * size], inputs[:, _FRAMES_BEFORE * size :]], axis=1)


@dataclass(frozen=True)
class _Ridge:
    """weights: (F, C); deviation: (C,), on what was held out."""

    weights: Figures
    deviation: Figures
    penalty: float

    @classmethod
    def fit(cls, inputs: Figures, values: Figures, which: NDArray[np.bool_]) -> _Ridge:
        """By the frames `which`, (M,). Of fewer than fifty each is held out in turn; where there are none, zeros."""
        frames = np.flatnonzero(which)
        if not len(frames):
            return cls(np.zeros((inputs.shape[1], values.shape[1])), np.ones(values.shape[1]), _PENALTIES[0])
        frames = frames[np.unique(np.linspace(0, len(frames) - 1, min(len(frames), _MOST_FRAMES)).astype(np.int64))]
        x, y = inputs[frames], values[frames]
        found = zip(_PENALTIES, _held_out_each(x, y) if len(x) < _BLOCKS else _held_out(x, y), strict=True)
        penalty, error = min(found, key=lambda one: float(np.log(one[1] + _TINY).sum()))
        drawn = (len(x) * error + values.var(axis=0)) / (
            len(x) + 1
        )  # of one or two frames an error may be small by chance
        return cls(_solved(x.T @ x, x.T @ y, penalty), np.sqrt(drawn), penalty)


def _held_out(x: Figures, y: Figures) -> Iterator[Figures]:
    """(C,) for each penalty: the mean squared error on every fifth of fifty blocks, by the weights of the others."""
    held = (np.arange(len(x)) * _BLOCKS // len(x)) % _HELD_OUT == _HELD_OUT - 1
    gram, cross = x[~held].T @ x[~held], x[~held].T @ y[~held]
    for penalty in _PENALTIES:
        yield np.asarray(np.mean((y[held] - x[held] @ _solved(gram, cross, penalty)) ** 2, axis=0))


def _held_out_each(x: Figures, y: Figures) -> Iterator[Figures]:
    """The same of each frame by the weights of all others: its residual over 1 - its own share in what is fitted."""
    gram, cross = x.T @ x, x.T @ y
    for penalty in _PENALTIES:
        share = np.sum(x.T * _solved(gram, x.T, penalty), axis=0)[:, None]
        yield np.asarray(np.mean(((y - x @ _solved(gram, cross, penalty)) / (1 - share)) ** 2, axis=0))


def _solved(gram: Figures, cross: Figures, penalty: float) -> Figures:
    return np.asarray(np.linalg.solve(gram + penalty * np.eye(len(gram)), cross))
