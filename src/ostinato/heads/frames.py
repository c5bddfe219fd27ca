"""Frames, single or in a sequence that has an end."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ostinato.heads.base import OutputHead
from ostinato.heads.classes import bernoulli_nll
from ostinato.metrics.classification import Metrics
from ostinato.metrics.resampling import Units
from ostinato.metrics.steps import note_metrics


class FrameHead(OutputHead, nn.Module):
    """A distribution over frames v (M, C) given hidden states, a frame each, with weights of its own."""


class NotesHead(FrameHead):
    """Frames of zeros and ones, uint8; drawn with log-odds divided by the temperature, note by note from the lowest
    up."""

    def metrics(self, said: Any, truth: Any, units: Units | None = None) -> Metrics:
        return note_metrics(said, truth, units)


class EndedFrames(OutputHead):
    """The next frame, or the end: targets (M, C + 1) are frames and 1; at the end zeros.

    Args:
        frames: p(v | h) of a frame.
        end: to the log-odds of the end; none: there is none.
    """

    def __init__(self, frames: FrameHead, end: nn.Linear | None) -> None:
        self.frames, self.end = frames, end

    def nll(self, outputs: Tensor, target: Tensor) -> Tensor:
        """(M,): of a frame, and that it is not the end; or of the end."""
        frames, goes_on = target[:, :-1], target[:, -1]
        if self.end is None:
            return self.frames.nll(outputs, frames)
        nll = bernoulli_nll(-self.end(outputs).squeeze(1), goes_on)
        going = goes_on.nonzero().squeeze(1)
        return nll.index_add(0, going, self.frames.nll(outputs[going], frames[going]))

    def loss(self, outputs: Tensor, target: Tensor, smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
        """Nothing is smoothed; the mean is over frames, those of the end among their nats."""
        if reduction != "mean":
            return super().loss(outputs, target, smoothing, reduction)
        return self.nll(outputs, target).sum() / max(1, int((target[:, -1] != 0).sum()))

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        return self.frames.sample(outputs, generator, temperature)

    def metrics(self, said: Any, truth: Any, units: Units | None = None) -> Metrics:
        return self.frames.metrics(said, truth, units)
