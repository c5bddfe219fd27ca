"""How models that write frames and their baselines are compared: nats of each row, its end counted, a frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ostinato.baselines.base import Baseline, BaselineComparison, Figures
from ostinato.data.dataset import Examples, Features, Prepared
from ostinato.data.sequences import Sequences, runs_of
from ostinato.layers.frames import Frames
from ostinato.metrics.classification import Metrics
from ostinato.recipe.model import FrameOutputRecipe, WriterRecipe
from ostinato.recipe.parts import WrittenNumbersRecipe
from ostinato.tasks.frames.evaluation import FrameModel, frames_column, nats_metrics, teacher_forced

_MOST_NUMBERS = 10_000_000
"""Numbers of frames that a baseline learns from, or answers at once: some hundred megabytes in all."""
_PRIOR = 0.05


class WrittenComparison(BaselineComparison):
    """Answers are nats of each validation row, (N,), its end counted."""

    model: FrameModel  # type: ignore[assignment]
    lower_is_better, figure = True, "nats_per_frame"

    def answers(self, examples: Examples) -> Figures:
        """Of the recurrent model."""
        found = np.zeros(len(examples))
        for row, said in teacher_forced(self.model, examples, self.device):
            found[row] = said.nll.sum()
        return found

    def scores(self, answers: Figures) -> Metrics:
        """Nats a frame over all rows."""
        return nats_metrics(answers, frames_column(self.prepared.features, self.validation)[1].lengths)


class WrittenBaseline(Baseline):
    r"""A density over whole sequences of frames, as the model is.

    .. math:: p(v_1 … v_T, T \mid x) = \Big(\prod_{t=1}^{T} (1 - h_{t-1}) \, p(v_t \mid v_{<t}, x)\Big) \, h_T

    with h_t the share of training rows that end after t frames, of those that have got so far. Where the model's
    length is set, or a next-step model reads its frames, there is no h.

    Args:
        ends: whether the model says when a row ends.
        least: below which no deviation goes, > 0, in the scale numbers were normalised to: the model's own.
    """

    def __init__(self, *, ends: bool = False, least: float = WrittenNumbersRecipe().least_deviation) -> None:
        self.ends, self.least = ends, least
        self._learnt = ""

    @classmethod
    def of(cls, prepared: Prepared) -> Self:
        """With the ends and the least deviation of the run's model."""
        recipe = FrameOutputRecipe.of(prepared.recipe)
        ends = isinstance(recipe, WriterRecipe) and not isinstance(recipe.decoder.length, int)
        return cls(ends=ends, least=recipe.numbers.least_deviation)

    def fit(self, train: Examples, features: Features) -> None:
        """The ends, and whatever `learn` learns, of as many rows as fit into memory."""
        self._features = features
        self._column = features.input if features.target is None else features.sequence_target
        self.notes = self._column.kind == "notes"
        rows = self.rows(train)
        self._hazard = hazard(rows.lengths) if self.ends else None
        self._learnt = ""
        if len(rows.values) > self.most_frames and len(rows) > 1:
            count = max(1, len(rows) * self.most_frames // len(rows.values))
            train = train.take(np.unique(np.linspace(0, len(rows) - 1, count).astype(np.int64)))
            self._learnt = f"frames of {len(train):,} of {len(rows):,} rows"
        self.learn(train)

    def learn(self, examples: Examples) -> None:
        """Learn from training rows."""
        raise NotImplementedError

    def frame_nll(self, examples: Examples) -> Figures:
        """(sum T,): -ln p of every frame, rows one after the other."""
        raise NotImplementedError

    @property
    def most_frames(self) -> int:
        """Frames that are learnt from, or answered at once, in whole rows; one row may have more."""
        return max(1, _MOST_NUMBERS // Frames.of(self._column).values)

    @property
    def details(self) -> str:
        """How many rows were learnt from, where not all."""
        return self._learnt

    def answer(self, data: Examples) -> Figures:
        """Nats of each row."""
        parts = [self._answer(part) for part in self._parts(data)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _answer(self, examples: Examples) -> Figures:
        rows = self.rows(examples)
        owner = np.repeat(np.arange(len(rows)), rows.lengths)
        found = np.bincount(owner, weights=self.frame_nll(examples), minlength=len(rows))
        ends = 0.0 if self._hazard is None else end_nll(self._hazard, rows.lengths)
        return np.asarray(found + ends, dtype=np.float64)

    def _parts(self, examples: Examples) -> Iterator[Examples]:
        """The rows, some at a time."""
        for first, last in runs_of(self.rows(examples).offsets, self.most_frames):
            yield examples.take(np.arange(first, last))

    def rows(self, examples: Examples) -> Sequences:
        """The column whose frames are written."""
        return examples.sequences if self._features.target is None else examples.target_sequences

    def values(self, examples: Examples) -> Figures:
        """(sum T, C): zeros and ones of notes, else numbers, in the scale that the model reads them in."""
        values = torch.from_numpy(np.ascontiguousarray(self.rows(examples).values))
        return np.asarray(Frames.of(self._column).floats(values, torch.float64).numpy())

    def times(self, examples: Examples) -> NDArray[np.int64]:
        """(sum T,): the number of each frame in its row, from 0."""
        rows = self.rows(examples)
        return np.arange(len(rows.values)) - np.repeat(rows.offsets[:-1], rows.lengths)

    def before(self, examples: Examples, values: Figures, steps: int = 1) -> Figures:
        """(sum T, C): the frame so many steps before each, zeros where there is none."""
        found = np.zeros_like(values)
        found[steps:] = values[:-steps]
        found[self.times(examples) < steps] = 0
        return found

    def normal(self, values: Figures, mean: Figures, deviation: Figures) -> Figures:
        """(M,): -ln p of frames (M, C) of independent numbers."""
        deviation = np.maximum(deviation, self.least)
        nll = 0.5 * ((values - mean) / deviation) ** 2 + np.log(deviation) + 0.5 * np.log(2 * np.pi)
        return np.asarray(nll.sum(axis=1))


def bernoulli(values: Figures, chances: Figures) -> Figures:
    """(M,): -ln p of frames (M, C) of independent notes."""
    return -np.asarray(np.where(values != 0, np.log(chances), np.log1p(-chances)).sum(axis=1))


def hazard(lengths: NDArray[Any]) -> Figures:
    """(longest + 1,): p(end after t | it got to t), t from 0; beyond the longest the last one holds."""
    ended = np.bincount(lengths).astype(np.float64)
    left = len(lengths) - np.concatenate([[0.0], np.cumsum(ended)[:-1]])
    return (ended + _PRIOR) / (left + 2 * _PRIOR)


def end_nll(chances: Figures, lengths: NDArray[Any]) -> Figures:
    """(N,): -ln of not ending after 0 … T - 1 frames, and of ending after T."""
    longest = max(int(lengths.max(initial=0)), len(chances) - 1)
    padded = np.concatenate([chances, np.full(longest + 1 - len(chances), chances[-1])])
    going_on = np.concatenate([[0.0], np.cumsum(-np.log1p(-padded))])
    return np.asarray(going_on[lengths] - np.log(padded[lengths]))
