r"""What a language model leaves unused: how much of its loss its own past could still explain, lag by lag.

Where a model has taken everything it can from the token k steps back, what it still gets wrong has nothing to do with
that token. With :math:`r_{tv} = [y_t = v] - p_t(v)` this is :math:`E[r_{tv} \mid x_{t-k} = a] = 0` for every a and v,
the score test of a further term for the pair (a, v). Over all pairs with enough data behind them

.. math::

    \chi^2_{av}(k) = \frac{(\sum_{t: x_{t-k} = a} r_{tv})^2}{\sum_{t: x_{t-k} = a} p_t(v) (1 - p_t(v))}, \qquad
    \text{gain}(k) = \frac{1}{2 N} \sum_{a, v} (\chi^2_{av}(k) - 1)

is about the nats a token by which a model that looked there, too, would be better. Source: C. Rao, "Large sample tests
of statistical hypotheses concerning several parameters", Proc. Cambridge Phil. Soc. 44 (1948), of which this is the
sum over single parameters. A model that is too sure of itself has a gain at every lag; what is judged is how far a lag
stands out from the others.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ostinato.arrays import Ids
from ostinato.probes.unused import UnusedContext
from ostinato.tasks.language_model.model import LanguageModel

NUM_TOKENS = 20_000
"""Tokens that are scored: enough for a pair that occurs once in a thousand, little enough to be read in seconds."""

_STREAMS = 16
_CLASSES = 48
_LEAST_VARIANCE = 5.0
_MOST_SCORES = 2**23
_SPREAD = 1.4826
"""From the median absolute deviation to the standard deviation of a normal distribution."""


@torch.no_grad()
def unused_context(model: LanguageModel, values: Ids, max_lag: int, *, restart: int | None = None) -> UnusedContext:
    """Measure what is unused at lags 1 to `max_lag`.

    The text is read in up to 16 stretches side by side, from its beginning, the state carried through each.

    Args:
        model: put it into evaluation mode before.
        values: the text, at least `max_lag` + 2 tokens.
        max_lag: >= 1.
        restart: read as a model that was trained without carried state: the state is reset every so many steps.
    """
    num_streams = max(1, min(_STREAMS, (len(values) - 1) // (4 * max_lag)))
    length = min(NUM_TOKENS // num_streams + max_lag, (len(values) - 1) // num_streams)
    starts = np.arange(num_streams) * ((len(values) - 1 - length) // max(1, num_streams - 1))
    text = np.stack([values[start : start + length + 1].astype(np.int64) for start in starts], axis=1)  # (L + 1, S)
    classes, num_classes = _token_classes(text, model.output.out_features)
    first = max_lag - 1  # the first target whose longest lag lies within the text
    probabilities, loss = _probabilities(model, text, classes, first, restart, num_classes)
    named = classes[text]
    truth = torch.from_numpy(named[first + 1 :])
    residual = F.one_hot(truth, num_classes).float() - probabilities
    variance = probabilities * (1 - probabilities)
    both = torch.cat([residual, variance], dim=2).flatten(0, 1)  # (M, 2K)
    past = (named[first + 1 - lag : len(named) - lag] for lag in range(1, max_lag + 1))
    found = np.array([_gain(classes_then, both, num_classes) for classes_then in past])  # (lags, 2)
    gains, chances = found[:, 0], found[:, 1]
    usual = float(np.median(gains))
    spread = max(float(np.median(np.abs(gains - usual)) * _SPREAD), float(chances.max()))
    return UnusedContext([float(gain) for gain in gains], usual, spread, loss, len(both))


def _token_classes(text: NDArray[np.int64], vocab_size: int) -> tuple[NDArray[np.int64], int]:
    """For each token of the vocabulary its class: the most frequent ones by themselves, all others together."""
    counts = np.bincount(text.ravel(), minlength=vocab_size)
    frequent = np.argsort(-counts, kind="stable")[:_CLASSES]
    classes = np.full(vocab_size, len(frequent), dtype=np.int64)
    classes[frequent] = np.arange(len(frequent))
    return classes, len(frequent) + 1


def _probabilities(
    model: LanguageModel,
    text: NDArray[np.int64],
    classes: NDArray[np.int64],
    first: int,
    restart: int | None,
    num_classes: int,
) -> tuple[Tensor, float]:
    """(L - first, S, K) on the CPU, of the classes of the targets from number `first` on, and their mean loss."""
    device = model.encoder.device
    ids = torch.from_numpy(text).to(device)
    class_of = torch.from_numpy(classes).to(device)
    window = max(1, _MOST_SCORES // (ids.shape[1] * len(classes)))
    window = min(window, restart) if restart is not None else window
    found: list[Tensor] = []
    nll, states = 0.0, None
    for start in range(0, len(ids) - 1, window):
        inputs, targets = ids[start : start + window][: len(ids) - 1 - start], ids[start + 1 : start + 1 + window]
        logits, states = model(inputs, states)
        states = None if restart is not None and (start + window) % restart == 0 else states
        wanted = slice(max(0, first - start), None)
        logs = logits[wanted].float().log_softmax(2)
        nll -= float(logs.gather(2, targets[wanted].unsqueeze(2)).sum())
        summed = logs.new_zeros((*logs.shape[:2], num_classes))
        found.append(summed.index_add_(2, class_of, logs.exp()).cpu())
    probabilities = torch.cat(found)
    return probabilities, nll / (probabilities.shape[0] * probabilities.shape[1])


def _gain(past: NDArray[np.int64], both: Tensor, num_classes: int) -> tuple[float, float]:
    """The gain of one lag, and its standard deviation where there is none: that of a sum of squared normal variables.

    `past` (L, S) holds the class of the token so many steps back from each target.
    """
    which = F.one_hot(torch.from_numpy(past.ravel()), num_classes).float()
    sums, variances = (which.T @ both).double().chunk(2, dim=1)  # (K, K) each
    enough = variances >= _LEAST_VARIANCE
    gain = float((sums[enough].square() / variances[enough] - 1).sum())
    return gain / (2 * len(both)), float((2 * enough.sum()).sqrt()) / (2 * len(both))
