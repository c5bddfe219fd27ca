"""One class of several (tags, tokens), one of two, or any number of labels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.heads.base import OutputHead, TagReader, reduced
from ostinato.heads.sampling import Sampling, flip, next_tokens
from ostinato.metrics import classification
from ostinato.metrics.classification import Metrics
from ostinato.metrics.decisions import LIKELIEST, Decisions
from ostinato.metrics.resampling import Units
from ostinato.metrics.steps import label_metrics, note_metrics
from ostinato.nn import LinearChainCRF
from ostinato.nn.ctc import ctc_nll, decoded_labels
from ostinato.types import Ragged


class Deciding:
    """What decides between classes: `decisions` says how probabilities become answers."""

    decisions: Decisions = LIKELIEST


class Softmax(Deciding, OutputHead):
    """One of K: logits (M, K), answers (M, K) probabilities. A target below zero is unknown and has no loss.

    Args:
        classes: their names, for metrics.
    """

    def __init__(self, classes: tuple[str, ...] = ()) -> None:
        self.classes = classes

    def loss(self, outputs: Tensor, target: Tensor, smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
        """Cross-entropy, `smoothing` of the truth spread over all classes."""
        wanted = target.long().clamp(min=-1)
        return F.cross_entropy(outputs, wanted, ignore_index=-1, label_smoothing=smoothing, reduction=reduction)

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        """(M,), by inverse transform as `next_token`."""
        return next_tokens(outputs, Sampling(temperature), generator)

    def answers(self, outputs: Tensor) -> Tensor:
        return (outputs / self.decisions.temperature).softmax(dim=1)

    def metrics(self, said: Any, truth: Any, units: Units | None = None) -> Metrics:
        return classification.classification(said, truth, self.classes, self.decisions)

    def mixture(self, outputs: Tensor) -> Tensor:
        """(E, M, K) of E models to outputs whose probabilities are the mean of theirs; the 1/E cancels out."""
        return outputs.log_softmax(2).logsumexp(0)

    def members(self, targets: Tensor) -> Tensor:
        """(M, K), 1 for the class of an item."""
        return F.one_hot(targets.long(), len(self.classes))

    def count(self, target: Tensor) -> int:
        return int((target >= 0).sum())

    def reader(self, num_outputs: int, size: int) -> TagReader:
        return TagReader(num_outputs + 1, size)


class Chain(Softmax):
    """Tags as a chain, whose scores (sum L, K) each step gives (`nn.LinearChainCRF`).

    Args:
        crf: the scores of one tag after another.
    """

    def __init__(self, crf: LinearChainCRF) -> None:
        super().__init__()
        self.crf = crf

    def total(self, outputs: Ragged, targets: Ragged, smoothing: float = 0.0) -> tuple[Tensor, int]:
        """Nothing is smoothed."""
        return self.crf(outputs, targets).sum(), self.count(targets.values)

    def row_losses(self, outputs: Ragged, targets: Ragged) -> list[tuple[float, int]]:
        counts = [self.count(truth) for truth in targets.split_rows()]
        return list(zip(self.crf(outputs, targets).tolist(), counts, strict=True))

    def decode(self, outputs: Ragged) -> Ragged:
        return self.crf.decode(outputs)


class Ctc(Softmax):
    """Labels shorter than the input: logits (sum L, K + 1) of K labels and the blank (`nn.ctc`).

    Args:
        beam_size: prefixes kept while decoding; 1: the likeliest path.
    """

    def __init__(self, beam_size: int = 1) -> None:
        super().__init__()
        self.beam_size = beam_size

    def row_nll(self, outputs: Ragged, targets: Ragged) -> Tensor:
        """(N,): -ln p of the labels of each row."""
        return ctc_nll(outputs.with_values(outputs.values.log_softmax(1)), targets)

    def total(self, outputs: Ragged, targets: Ragged, smoothing: float = 0.0) -> tuple[Tensor, int]:
        """-ln p of whole rows, and how many labels; nothing is smoothed."""
        return self.row_nll(outputs, targets).sum(), len(targets.values)

    def row_losses(self, outputs: Ragged, targets: Ragged) -> list[tuple[float, int]]:
        return list(zip(self.row_nll(outputs, targets).tolist(), targets.lengths.tolist(), strict=True))

    def decode(self, outputs: Ragged) -> Ragged:
        """The labels of each row, as many as there are."""
        log_probs = outputs.with_values(outputs.values.detach().log_softmax(1).float().cpu())
        return decoded_labels(log_probs, self.beam_size)

    def metrics(self, said: Any, truth: Any, units: Units | None = None) -> Metrics:
        return label_metrics(said, truth)


class Bernoulli(OutputHead):
    """K zeros and ones: log-odds (M, K). An item's loss is the sum of theirs."""

    def loss(self, outputs: Tensor, target: Tensor, smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
        """Binary cross-entropy with `smoothing` of the truth spread over both."""
        each = bernoulli_nll(outputs, target, smoothing)
        return each.sum() if reduction == "sum" else reduced(each.sum(1), reduction)

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        return flip(outputs, generator, temperature)

    def metrics(self, said: Any, truth: Any, units: Units | None = None) -> Metrics:
        return note_metrics(said, truth, units)


class Labels(Bernoulli):
    """Any number of K labels: log-odds (M, K). An item's loss is the mean of theirs.

    Args:
        classes: their names, for metrics.
    """

    def __init__(self, classes: tuple[str, ...] = ()) -> None:
        self.classes = classes

    def loss(self, outputs: Tensor, target: Tensor, smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
        return reduced(bernoulli_nll(outputs, target, smoothing).mean(1), reduction)

    def answers(self, outputs: Tensor) -> Tensor:
        return outputs.sigmoid()

    def metrics(self, said: Any, truth: Any, units: Units | None = None) -> Metrics:
        return classification.multilabel(said, truth, self.classes)

    def mixture(self, outputs: Tensor) -> Tensor:
        return F.logsigmoid(outputs).logsumexp(0) - F.logsigmoid(-outputs).logsumexp(0)

    def members(self, targets: Tensor) -> Tensor:
        """(M, K), 1 for each label of an item."""
        return targets


class TwoClasses(Deciding, Labels):
    """One of two: the log-odds of the second, (M, 1); targets (M,)."""

    def loss(self, outputs: Tensor, target: Tensor, smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
        return super().loss(outputs, target.unsqueeze(1), smoothing, reduction)

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        return super().sample(outputs, generator, temperature).squeeze(1)

    def answers(self, outputs: Tensor) -> Tensor:
        second = (outputs / self.decisions.temperature).sigmoid()
        return torch.cat([1 - second, second], dim=1)

    def members(self, targets: Tensor) -> Tensor:
        """(M, 1), 1 for items of the second class."""
        return targets.unsqueeze(1)

    def metrics(self, said: Any, truth: Any, units: Units | None = None) -> Metrics:
        return classification.classification(said, truth, self.classes, self.decisions)


def bernoulli_nll(log_odds: Tensor, target: Tensor, smoothing: float = 0.0) -> Tensor:
    """-ln p of each zero or one, `smoothing` of the truth spread over both."""
    smooth = target.to(log_odds.dtype) * (1 - smoothing) + smoothing / 2
    return F.binary_cross_entropy_with_logits(log_odds, smooth, reduction="none")
