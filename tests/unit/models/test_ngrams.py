"""The linear score of n-grams, normalised embeddings, and adversarial steps."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from ostinato.data.targets import ClassTarget, LabelsTarget, NumberTarget, TargetFeature
from ostinato.heads.build import row_head
from ostinato.nn import Embedding
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.classification.ngrams import NgramScore
from ostinato.tasks.classification.recipe import ClassificationRecipe
from ostinato.tasks.classification.training import adversarial_step
from ostinato.types import Ragged


def _rows(*rows: list[int]) -> Ragged:
    flat = torch.tensor([token for row in rows for token in row], dtype=torch.long)
    lengths = torch.tensor([len(row) for row in rows])
    return Ragged.from_rows(flat, lengths.cumsum(0) - lengths, lengths)


def _buckets(score: NgramScore, row: list[int]) -> set[int]:
    found = set(row)
    for n in range(2, score.order + 1):
        for end in range(n - 1, len(row)):
            hashed = row[end - n + 1]
            for token in row[end - n + 2 : end + 1]:
                hashed = hashed * 1_000_003 + token
            found.add(score.vocab_size + (hashed + n) % score.num_buckets)
    return found


def _by_hand(score: NgramScore, row: list[int]) -> torch.Tensor:
    held = sorted(_buckets(score, row))
    ratios = score.log_ratio[held]
    return 20.0 * (ratios * score.weight[held]).sum(0) / ratios.norm(dim=0).clamp(min=1e-6)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_score_is_the_sum_over_the_rows_own_distinct_ngrams(order: int) -> None:
    torch.manual_seed(0)
    score = NgramScore(vocab_size=10, num_outputs=2, order=order, num_buckets=50, dropout=0.5).eval()
    with torch.no_grad():
        score.weight.normal_()
        score.log_ratio.normal_()
    rows = [[4, 5], [], [6, 4, 6, 9, 5], [7, 7, 7], [5, 4]]
    expected = torch.stack([_by_hand(score, row) for row in rows])
    torch.testing.assert_close(score(_rows(*rows)), expected)


def test_log_ratios_are_those_of_naive_bayes_over_rows() -> None:
    score = NgramScore(10, 1, order=2, num_buckets=10_000, dropout=0.0)
    rows, members = [[4, 5, 4], [4, 6], [6], [4]], [1, 1, 0, 0]
    halves = [(_rows(*rows[:2]), torch.tensor([[1], [1]])), (_rows(*rows[2:]), torch.tensor([[0], [0]]))]
    score.fit(halves)
    inside, outside = torch.ones(len(score.weight)), torch.ones(len(score.weight))
    for row, member in zip(rows, members, strict=True):
        for bucket in _buckets(score, row):
            (inside if member else outside)[bucket] += 1
    shift = math.log(outside.sum() / inside.sum())
    for token, (p, q) in {4: (3, 2), 5: (2, 1), 6: (2, 2)}.items():
        assert score.log_ratio[token].item() == pytest.approx(math.log(p / q) + shift, abs=1e-5)
    assert score.log_ratio[7].item() == 0.0  # no row holds it
    assert "log_ratio" in dict(score.named_parameters())
    assert not score.log_ratio.requires_grad


def test_it_begins_at_zero_and_learns_the_order_of_words() -> None:
    score = NgramScore(10, 1, order=2, num_buckets=1000, dropout=0.0)
    batch, targets = _rows([4, 5], [5, 4]), torch.tensor([[1.0], [0.0]])
    score.fit([(batch, targets)])
    assert score(batch).tolist() == [[0.0], [0.0]]
    optimizer = torch.optim.Adam([score.weight], lr=0.02)
    for _ in range(20):
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(score(batch), targets).backward()
        optimizer.step()
    assert score(batch)[0] > 1 > -1 > score(batch)[1]  # the same words: only the pairs can tell


def test_dropout_leaves_ngrams_out_only_in_training() -> None:
    score = NgramScore(10, 1, order=2, num_buckets=5000, dropout=0.5)
    with torch.no_grad():
        score.weight.fill_(1.0)
        score.log_ratio.fill_(1.0)
    batch = _rows(list(range(10)))
    assert len({score(batch).item() for _ in range(5)}) > 1
    score.eval()
    assert score(batch).item() == pytest.approx(20 * math.sqrt(19))


@pytest.mark.parametrize(
    ("target", "targets", "expected"),
    [
        (ClassTarget("y", classes=("a", "b")), [0, 1], [[0], [1]]),
        (ClassTarget("y", classes=("a", "b", "c")), [2, 0], [[0, 0, 1], [1, 0, 0]]),
        (LabelsTarget("y", classes=("a", "b")), [[1, 1], [0, 1]], [[1, 1], [0, 1]]),
        (NumberTarget("y", mean=5.0, std=2.0), [-0.5, 1.5], [[0], [1]]),
    ],
)
def test_membership_of_each_kind_of_target(
    target: TargetFeature, targets: list[object], expected: list[list[int]]
) -> None:
    assert row_head(target).members(torch.tensor(targets)).tolist() == expected


def test_normalised_embeddings_have_mean_zero_and_variance_one_by_frequency() -> None:
    torch.manual_seed(0)
    counts = torch.tensor([0, 5, 0, 100, 30, 1])
    embedding = Embedding(6, 4, frequencies=counts)
    seen = embedding(torch.repeat_interleave(torch.arange(6), counts))
    torch.testing.assert_close(seen.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.var(0, unbiased=False), torch.ones(4), atol=1e-4, rtol=0)
    assert "frequencies" not in embedding.state_dict()


def test_an_adversarial_step_has_the_asked_norm_in_each_row_and_raises_the_loss() -> None:
    torch.manual_seed(0)
    model = Classifier(ClassificationRecipe(embedding_dim=6, hidden_size=5), 20, 1).eval()
    ids, targets = _rows([4, 5, 6], [7], [8, 9]), torch.tensor([[1.0], [0.0], [1.0]])
    vectors = model.encoder.embedding(ids)
    vectors.values.retain_grad()
    loss = F.binary_cross_entropy_with_logits(model.score(vectors), targets)
    loss.backward()
    step = adversarial_step(vectors, 0.3)
    for row in vectors.with_values(step).split_rows():
        assert float(row.detach().norm()) == pytest.approx(0.3, rel=1e-4)
    moved = model.score(vectors.with_values(vectors.values + step))
    assert F.binary_cross_entropy_with_logits(moved, targets) > loss
