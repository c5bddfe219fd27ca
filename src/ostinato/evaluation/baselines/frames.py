"""Rivals of models that predict each frame of music, and how they are compared: nats a frame."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ostinato.data.dataset import Examples, Features
from ostinato.data.sequences import Sequences
from ostinato.evaluation.baselines.base import Contest, Data, Figures, Rival, Scores, cut_blocks
from ostinato.evaluation.frames import score
from ostinato.models import NextStep

_SMOOTHING = 1.0


class FramesContest(Contest):
    """Answers are nats of each frame, one array a row."""

    lower_is_better, figure, unit, question = True, "nats_per_frame", "rows", "one row"

    @property
    def validation(self) -> Examples:
        """The run's validation rows."""
        return cast("Examples", self.prepared.validation)

    @property
    def num_units(self) -> int:
        """Rows."""
        return len(self.validation)

    def own(self) -> list[Figures]:
        """Of the recurrent model."""
        found: list[Figures] = [np.empty(0)] * len(self.validation)
        for row, scored in score(cast("NextStep", self.model), self.validation, self.device):
            found[row] = scored.nats
        return found

    def scores(self, answers: list[Figures]) -> Scores:
        """Mean nats over all frames of all rows; each row is a block of its own, or some rows together."""
        total = np.concatenate(answers)
        blocks = [np.concatenate([answers[i] for i in rows.tolist()]).mean() for rows in cut_blocks(len(answers))]
        found = {"loss": float(total.mean()), "nats_per_frame": float(total.mean()), "num_frames": len(total)}
        return Scores(found, np.asarray(blocks))

    def one(self, number: int) -> Examples:
        """One validation row."""
        return self.validation.take(np.asarray([number % len(self.validation)]))

    def own_one(self, data: Data) -> None:
        """The recurrent model reads a row."""
        with torch.inference_mode():
            for _ in score(cast("NextStep", self.model), cast("Examples", data), self.device):
                pass


def _bernoulli(frames: NDArray[Any], chances: Figures) -> Figures:
    """-ln p of each frame (M, C) whose notes are independent."""
    return -np.asarray(np.where(frames != 0, np.log(chances), np.log1p(-chances)).sum(axis=1))


class NoteFrequencies(Rival):
    """Each note independent, as frequent as in training frames."""

    name, about, trivial = (
        "note frequencies",
        "each note as likely as it is in training frames, whatever came before",
        True,
    )

    def fit(self, train: Data, features: Features) -> None:
        """Count."""
        frames = cast("Examples", train).sequences.values != 0
        self._chances = (frames.sum(axis=0) + _SMOOTHING / 2) / (len(frames) + _SMOOTHING)

    def answer(self, data: Data) -> list[Figures]:
        """Nats of each frame."""
        sequences = cast("Examples", data).sequences
        return np.split(_bernoulli(sequences.values, self._chances), sequences.offsets[1:-1])

    def parameters(self) -> list[NDArray[Any]]:
        """A number a note."""
        return [self._chances.astype(np.float32)]


class FrameBefore(Rival):
    """Each note given whether it sounds in the frame before: a Markov chain a note."""

    name, about, trivial = "the frame before", "each note given whether it sounded in the frame before", True

    def fit(self, train: Data, features: Features) -> None:
        """Count, for each note, how often it goes on and how often it begins."""
        sequences = cast("Examples", train).sequences
        now, before = sequences.values != 0, _before(sequences)
        plain = (now.sum(axis=0) + 0.5) / (len(now) + 1.0)
        chances = [
            ((now & state).sum(axis=0) + _SMOOTHING * plain) / (state.sum(axis=0) + _SMOOTHING)
            for state in (~before, before)
        ]
        self._chances = np.stack(chances)  # (2, C)

    def answer(self, data: Data) -> list[Figures]:
        """Nats of each frame."""
        sequences = cast("Examples", data).sequences
        before = _before(sequences)
        chances = np.where(before, self._chances[1], self._chances[0])
        return np.split(_bernoulli(sequences.values, chances), sequences.offsets[1:-1])

    def parameters(self) -> list[NDArray[Any]]:
        """Two numbers a note."""
        return [self._chances.astype(np.float32)]


def _before(sequences: Sequences) -> NDArray[np.bool_]:
    """(sum L, C): the frame before each; silence before the first."""
    found = np.zeros(sequences.values.shape, dtype=np.bool_)
    found[1:] = sequences.values[:-1] != 0
    starts = sequences.offsets[:-1]
    found[starts[starts < len(found)]] = False
    return found
