"""The linear score of n-grams, normalised embeddings, and adversarial steps."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from ostinato.models import Classifier
from ostinato.models.ngrams import NgramScore
from ostinato.nn import Embedding
from ostinato.recipe import ModelRecipe
from ostinato.training.tasks import adversarial_step
from ostinato.types import Ragged


def _rows(*rows: list[int]) -> Ragged:
    flat = torch.tensor([token for row in rows for token in row], dtype=torch.long)
    lengths = torch.tensor([len(row) for row in rows])
    return Ragged.from_rows(flat, lengths.cumsum(0) - lengths, lengths)


def _by_hand(score: NgramScore, row: list[int]) -> torch.Tensor:
    total = torch.zeros(score.weight.shape[1])
    for n in range(1, score.order + 1):
        for end in range(n - 1, len(row)):
            bucket = row[end]
            if n > 1:
                hashed = row[end - n + 1]
                for token in row[end - n + 2 : end + 1]:
                    hashed = hashed * 1_000_003 + token
                bucket = score.vocab_size + (hashed + n) % score.num_buckets
            total += score.weight[bucket]
    return 3.0 * total / math.sqrt(max(len(row), 1))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_score_is_the_sum_over_the_rows_own_ngrams(order: int) -> None:
    torch.manual_seed(0)
    score = NgramScore(vocab_size=10, num_outputs=2, order=order, num_buckets=50, dropout=0.5).eval()
    with torch.no_grad():
        score.weight.normal_()
    rows = [[4, 5], [], [6, 4, 6, 9, 5], [7], [5, 4]]
    expected = torch.stack([_by_hand(score, row) for row in rows])
    torch.testing.assert_close(score(_rows(*rows)), expected)


def test_it_begins_at_zero_and_learns_the_order_of_words() -> None:
    score = NgramScore(10, 1, order=2, num_buckets=1000, dropout=0.0)
    batch, targets = _rows([4, 5], [5, 4]), torch.tensor([[1.0], [0.0]])
    assert score(batch).tolist() == [[0.0], [0.0]]
    optimizer = torch.optim.Adam(score.parameters(), lr=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(score(batch), targets).backward()
        optimizer.step()
    assert score(batch)[0] > 1 > -1 > score(batch)[1]  # the same words: only the pairs can tell


def test_dropout_leaves_ngrams_out_only_in_training() -> None:
    score = NgramScore(10, 1, order=2, num_buckets=50, dropout=0.5)
    with torch.no_grad():
        score.weight.fill_(1.0)
    batch = _rows(list(range(10)))
    assert score(batch).item() != score(batch).item()
    score.eval()
    assert score(batch).item() == pytest.approx(3 * 19 / math.sqrt(10))


def test_rare_ngrams_are_not_scored_and_that_is_saved() -> None:
    score = NgramScore(10, 1, order=2, num_buckets=10_000, dropout=0.0)
    with torch.no_grad():
        score.weight.fill_(1.0)
    score.count([_rows([4, 5, 4, 5], [6]), _rows([4, 5])], min_frequency=3)
    counted = {4: True, 5: True, 6: False}  # 4 and 5 occur three times, 6 once; the pair 4 5 three times, 5 4 once
    for token, kept in counted.items():
        assert bool(score.frequent[token]) is kept
    assert score(_rows([4, 5])).item() == pytest.approx(3 * 3 / math.sqrt(2))
    assert score(_rows([5, 4])).item() == pytest.approx(3 * 2 / math.sqrt(2))
    assert score(_rows([6])).item() == 0.0
    assert "frequent" in dict(score.named_parameters())


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
    model = Classifier(ModelRecipe(embedding_dim=6, hidden_size=5), 20, 1).eval()
    ids, targets = _rows([4, 5, 6], [7], [8, 9]), torch.tensor([[1.0], [0.0], [1.0]])
    vectors = model.encoder.embedding(ids)
    vectors.values.retain_grad()
    loss = F.binary_cross_entropy_with_logits(model.score(ids, vectors), targets)
    loss.backward()
    step = adversarial_step(vectors, 0.3)
    for row in vectors.with_values(step).split_rows():
        assert float(row.detach().norm()) == pytest.approx(0.3, rel=1e-4)
    moved = model.score(ids, vectors.with_values(vectors.values + step))
    assert F.binary_cross_entropy_with_logits(moved, targets) > loss
