"""CTC: the loss against all paths written out, and both ways to decode."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from ostinato.nn.ctc import best_path, ctc_nll, prefix_beam_search
from ostinato.types import Ragged


def _collapse(path: tuple[int, ...], blank: int) -> tuple[int, ...]:
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def _probabilities(log_probs: Tensor) -> dict[tuple[int, ...], float]:
    """Of every sequence of labels, by all paths."""
    blank = log_probs.shape[1] - 1
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(blank + 1), repeat=len(log_probs)):
        p = math.exp(sum(float(log_probs[step, label]) for step, label in enumerate(path)))
        labels = _collapse(path, blank)
        found[labels] = found.get(labels, 0.0) + p
    return found


def _random(num_steps: int, num_labels: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num_steps, num_labels + 1, generator=generator, dtype=torch.float64).mul(2).log_softmax(1)


def test_loss_of_a_ragged_batch_against_all_paths() -> None:
    rows, labels = [_random(4, 2, 0), _random(2, 2, 1), _random(5, 2, 2)], [(0, 0), (1,), (0, 1, 0)]
    batch = Ragged.from_rows(torch.cat(rows), [0, 4, 6], [4, 2, 5])
    flat = torch.tensor([label for row in labels for label in row])
    nll = ctc_nll(batch, Ragged.from_rows(flat, [0, 2, 3], [2, 1, 3]))
    expected = [-math.log(_probabilities(row)[wanted]) for row, wanted in zip(rows, labels, strict=True)]
    assert nll.tolist() == pytest.approx(expected)


def test_more_labels_than_steps_have_no_path() -> None:
    batch = Ragged.from_rows(_random(2, 2, 0), [0], [2])
    nll = ctc_nll(batch, Ragged.from_rows(torch.tensor([0, 0]), [0], [2]))
    assert math.isinf(float(nll[0]))


def test_the_beam_finds_the_likeliest_labels_and_their_probability() -> None:
    for seed in range(8):
        log_probs = _random(5, 2, seed)
        every = _probabilities(log_probs)
        found = prefix_beam_search(log_probs, 1000)
        labels, score = found[0]
        assert tuple(labels) == max(every, key=lambda one, every=every: every[one])  # type: ignore[misc]
        assert score == pytest.approx(math.log(every[tuple(labels)]))
        assert sum(math.exp(one) for _, one in found) == pytest.approx(1.0)


def test_the_best_path_is_not_always_the_best_labels() -> None:
    """Graves 2012, section 7.5: the blank twice is the likeliest path, yet the label is likelier than nothing."""
    log_probs = torch.tensor([[0.4, 0.6], [0.4, 0.6]]).log()
    assert best_path(Ragged.from_rows(log_probs, [0], [2])) == [[]]
    assert prefix_beam_search(log_probs, 4)[0][0] == [0]


def test_the_best_path_merges_neighbours_and_keeps_the_order_of_rows() -> None:
    paths = [[2, 0, 0, 2, 0], [1], [2, 2, 1, 1, 0, 2]]
    flat = torch.nn.functional.one_hot(torch.tensor([label for path in paths for label in path]), 3).float()
    lengths = [len(path) for path in paths]
    batch = Ragged.from_rows(flat, [0, 5, 6], lengths)
    assert best_path(batch) == [[0, 0], [1], [1, 0]]
