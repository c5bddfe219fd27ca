"""Connectionist temporal classification over ragged batches: labels shorter than the input, without an alignment."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.types import Ragged

_NEVER = -math.inf


def ctc_nll(log_probs: Ragged, labels: Ragged) -> Tensor:
    """(N,) ``-log p(labels | x)``: all paths of labels and blanks that collapse to the labels, summed.

    A path has a label or the blank at each step; it collapses by merging equal neighbours, then leaving out blanks. So
    a row needs a step for each label and one more between two equal ones; without, the loss is infinite.

    Source: A. Graves, S. Fernández, F. Gomez and J. Schmidhuber (2006), "Connectionist temporal classification",
    section 4.1; computed by `torch.nn.functional.ctc_loss`.

    Args:
        log_probs: (sum L, K + 1) of K labels and, last, the blank.
        labels: (sum U,) integers below K.
    """
    padded, lengths = log_probs.to_padded(batch_first=False)
    targets, target_lengths = labels.to_padded()
    blank = padded.shape[2] - 1
    return F.ctc_loss(padded, targets.long(), lengths, target_lengths, blank=blank, reduction="none")


def decoded_labels(log_probs: Ragged, beam_size: int = 1) -> Ragged:
    """The labels of each row, (sum U,): of the likeliest path, or by `prefix_beam_search` with more than one prefix."""
    if beam_size == 1:
        rows = best_path(log_probs)
    else:
        rows = [prefix_beam_search(row, beam_size)[0][0] for row in log_probs.split_rows()]
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
    flat = torch.tensor([label for row in rows for label in row], dtype=torch.long)
    return Ragged.from_rows(flat, lengths.cumsum(0) - lengths, lengths)


def best_path(log_probs: Ragged) -> list[list[int]]:
    """The labels of each row's likeliest path, collapsed: quick, and not always the likeliest labels."""
    blank = log_probs.values.shape[1] - 1
    found: list[list[int]] = []
    for row in log_probs.with_values(log_probs.values.argmax(1)).split_rows():
        path = torch.unique_consecutive(row)
        found.append(path[path != blank].tolist())
    return found


def prefix_beam_search(log_probs: Tensor, beam_size: int) -> list[tuple[list[int], float]]:
    """The likeliest labels of one row and their log-probability, best first: prefixes kept, paths of each summed.

    Each prefix has the probability of ending in a blank and that of ending in its last label, which alone tells a
    repeated label from one that goes on.

    Source: A. Hannun, A. Maas, D. Jurafsky and A. Ng (2014), arXiv:1408.2873, algorithm 1, without a language model.

    Args:
        log_probs: (L, K + 1), the blank last.
        beam_size: prefixes kept at each step, >= 1. With as many as there are sequences the search is exact.
    """
    blank = log_probs.shape[1] - 1
    beam: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, _NEVER)}  # ends in blank, ends in label
    for step in log_probs.tolist():
        grown: dict[tuple[int, ...], tuple[float, float]] = {}
        for prefix, (in_blank, in_label) in beam.items():
            _add(grown, prefix, blank=_sum(in_blank, in_label) + step[blank])
            if prefix:
                _add(grown, prefix, label=in_label + step[prefix[-1]])
            for label in range(blank):
                repeated = bool(prefix) and prefix[-1] == label
                _add(grown, (*prefix, label), label=(in_blank if repeated else _sum(in_blank, in_label)) + step[label])
        beam = dict(sorted(grown.items(), key=lambda item: -_sum(*item[1]))[:beam_size])
    return [(list(prefix), _sum(*parts)) for prefix, parts in beam.items()]


def _add(
    grown: dict[tuple[int, ...], tuple[float, float]],
    prefix: tuple[int, ...],
    *,
    blank: float = _NEVER,
    label: float = _NEVER,
) -> None:
    in_blank, in_label = grown.get(prefix, (_NEVER, _NEVER))
    grown[prefix] = _sum(in_blank, blank), _sum(in_label, label)


def _sum(a: float, b: float) -> float:
    """log(exp a + exp b)."""
    high = max(a, b)
    return high if high == _NEVER else high + math.log(math.exp(a - high) + math.exp(b - high))
