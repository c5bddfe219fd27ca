"""Baselines of models that predict each frame of music, and how they are compared: nats a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ostinato.baselines.base import Baseline, BaselineComparison, Figures
from ostinato.data.dataset import Examples, Features, Prepared
from ostinato.data.sequences import Sequences
from ostinato.metrics.classification import Metrics
from ostinato.tasks.frames.baselines import bernoulli
from ostinato.tasks.frames.evaluation import nats_metrics
from ostinato.tasks.next_step.evaluation import score
from ostinato.tasks.next_step.model import NextStep

_SMOOTHING = 1.0
_MOST_FRAMES = 50_000
_MOST_STEPS = 60
_PRODUCTS_A_SECOND = 1e10


class FramesComparison(BaselineComparison):
    """Answers are nats of each frame, one array a row."""

    model: NextStep
    lower_is_better, figure = True, "nats_per_frame"

    def answers(self, examples: Examples) -> list[Figures]:
        """Of the recurrent model."""
        found: list[Figures] = [np.empty(0)] * len(examples)
        for row, scored in score(self.model, examples, self.device):
            found[row] = scored.nll
        return found

    def scores(self, answers: list[Figures]) -> Metrics:
        """Mean nats over all frames of all rows."""
        return nats_metrics([float(row.sum()) for row in answers], [len(row) for row in answers])


class NoteFrequencies(Baseline):
    """Each note independent, as frequent as in training frames."""

    name, about, trivial = (
        "note frequencies",
        "each note as likely as it is in training frames, regardless of what came before",
        True,
    )

    def fit(self, train: Examples, features: Features) -> None:
        """Count."""
        frames = train.sequences.values != 0
        self._chances = (frames.sum(axis=0) + _SMOOTHING / 2) / (len(frames) + _SMOOTHING)

    def answer(self, data: Examples) -> list[Figures]:
        """Nats of each frame."""
        sequences = data.sequences
        return np.split(bernoulli(sequences.values, self._chances), sequences.offsets[1:-1])

    def parameters(self) -> list[NDArray[Any]]:
        """A number a note."""
        return [self._chances.astype(np.float32)]


class FrameBefore(Baseline):
    """Each note given whether it sounds in the frame before: a Markov chain a note."""

    name, about, trivial = "the frame before", "each note given whether it sounded in the frame before", True

    def fit(self, train: Examples, features: Features) -> None:
        """Count, for each note, how often it goes on and how often it begins."""
        sequences = train.sequences
        now, before = sequences.values != 0, frames_before(sequences)
        plain = (now.sum(axis=0) + 0.5) / (len(now) + 1.0)
        chances = [
            ((now & state).sum(axis=0) + _SMOOTHING * plain) / (state.sum(axis=0) + _SMOOTHING)
            for state in (~before, before)
        ]
        self._chances = np.stack(chances)  # (2, C)

    def answer(self, data: Examples) -> list[Figures]:
        """Nats of each frame."""
        sequences = data.sequences
        before = frames_before(sequences)
        chances = np.where(before, self._chances[1], self._chances[0])
        return np.split(bernoulli(sequences.values, chances), sequences.offsets[1:-1])

    def parameters(self) -> list[NDArray[Any]]:
        """Two numbers a note."""
        return [self._chances.astype(np.float32)]


class FrameRegression(Baseline):
    """Logistic regression of each note on all notes of the frame before.

    All notes at once, by L-BFGS; the penalty is |W|² / 2 (scikit-learn's C = 1).
    """

    name = "regression on the frame before"
    about = "logistic regression of each note on all notes of the frame before"

    @classmethod
    def seconds(cls, prepared: Prepared) -> float:
        """By the products of all steps."""
        count, width = prepared.train.sequences.values.shape
        return float(4 * min(count, _MOST_FRAMES) * width**2 * _MOST_STEPS / _PRODUCTS_A_SECOND)

    def fit(self, train: Examples, features: Features) -> None:
        """On at most 50,000 frames, evenly picked."""
        sequences = train.sequences
        count = len(sequences.values)
        picked = np.unique(np.linspace(0, count - 1, min(count, _MOST_FRAMES)).astype(np.int64))
        before = torch.from_numpy(frames_before(sequences)[picked]).float()
        now = torch.from_numpy(sequences.values[picked] != 0).float()
        self._share = len(picked), count
        weights = torch.zeros(now.shape[1] + 1, now.shape[1], requires_grad=True)
        with torch.no_grad():
            weights[-1] = torch.logit((now.sum(0) + _SMOOTHING / 2) / (len(now) + _SMOOTHING))
        solver = torch.optim.LBFGS([weights], max_iter=_MOST_STEPS, line_search_fn="strong_wolfe")

        def cost() -> torch.Tensor:
            solver.zero_grad()
            logits = before @ weights[:-1] + weights[-1]
            nll = functional.binary_cross_entropy_with_logits(logits, now, reduction="sum")
            total: torch.Tensor = (nll + weights[:-1].square().sum() / 2) / len(now)
            total.backward()  # type: ignore[no-untyped-call]
            return total

        solver.step(cost)  # type: ignore[no-untyped-call]
        self._weights = weights.detach().numpy()

    @property
    def details(self) -> str:
        """How many frames, where not all."""
        learnt, count = self._share
        return "" if learnt == count else f"learnt from {learnt:,} of {count:,} frames"

    def answer(self, data: Examples) -> list[Figures]:
        """Nats of each frame."""
        sequences = data.sequences
        logits = frames_before(sequences).astype(np.float64) @ self._weights[:-1] + self._weights[-1]
        signed = np.where(sequences.values != 0, logits, -logits)
        return np.split(np.logaddexp(0.0, -signed).sum(axis=1), sequences.offsets[1:-1])

    def parameters(self) -> list[NDArray[Any]]:
        """A weight for each pair of notes."""
        return [self._weights]


def frames_before(sequences: Sequences) -> NDArray[np.bool_]:
    """(sum L, C): the frame before each; silence before the first."""
    found = np.zeros(sequences.values.shape, dtype=np.bool_)
    found[1:] = sequences.values[:-1] != 0
    starts = sequences.offsets[:-1]
    found[starts[starts < len(found)]] = False
    return found
