"""The linear score of n-grams, normalised embeddings, and adversarial steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ostinato.data.targets import ClassTarget, LabelsTarget, NumberTarget, TargetFeature
from ostinato.data.vocabulary import END_ID, PAD_ID
from ostinato.heads.build import row_head
from ostinato.heads.classes import TwoClasses
from ostinato.nn import Embedding
from ostinato.tasks.classification import ngrams
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
    if score.edges and row:
        row = [PAD_ID, *row, END_ID]
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
    summed = (ratios * score.weight[held]).sum(0) / ratios.norm(dim=0).clamp(min=1e-6)
    return 20.0 * (summed + score.weight[0])


def _fit(score: NgramScore, rows: list[list[int]], members: list[int], parts: int = 1) -> None:
    """Of two classes, in so many batches."""
    cuts = [slice(part, None, parts) for part in range(parts)]
    batches = [(_rows(*rows[cut]), torch.tensor(members[cut])) for cut in cuts]
    score.fit(
        ((ids, targets.unsqueeze(1), targets) for ids, targets in batches),
        lambda outputs, targets: TwoClasses().loss(outputs, targets, 0.0, "sum"),
    )


@pytest.mark.parametrize("edges", [True, False])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_score_is_the_sum_over_the_rows_own_distinct_ngrams(order: int, edges: bool) -> None:
    torch.manual_seed(0)
    score = NgramScore(vocab_size=10, num_outputs=2, order=order, num_buckets=50, edges=edges)
    score.weight.normal_()
    score.log_ratio.normal_()
    rows = [[4, 5], [], [6, 4, 6, 9, 5], [7, 7, 7], [5, 4]]
    expected = torch.stack([_by_hand(score, row) for row in rows])
    torch.testing.assert_close(score(_rows(*rows)), expected)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_ratios_are_those_of_naive_bayes_over_rows_and_grow_with_how_rare_they_are(
    power: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ngrams, "_CHOICES", ((power, 1.0),))
    score = NgramScore(10, 1, order=2, num_buckets=10_000)
    rows, members = [[4, 5, 4], [4, 6], [6], [4]], [1, 1, 0, 0]
    _fit(score, rows, members, parts=2)
    inside, outside = torch.zeros(len(score.weight)), torch.zeros(len(score.weight))
    for row, member in zip(rows, members, strict=True):
        for bucket in _buckets(score, row):
            (inside if member else outside)[bucket] += 1
    seen = inside + outside > 0
    inside, outside = inside + 1, outside + 1
    shift = math.log(outside[seen].sum() / inside[seen].sum())
    for token, (p, q) in {4: (3, 2), 5: (2, 1), 6: (2, 2)}.items():
        rare = 1 + math.log(5 / (p + q - 1))
        expected = rare * abs(math.log(p / q) + shift) ** power
        assert score.log_ratio[token].item() == pytest.approx(expected, abs=1e-5)
    assert score.log_ratio[7].item() == 0.0  # no row holds it
    names = dict(score.named_parameters())
    assert {"log_ratio", "weight"} == set(names)
    assert not any(one.requires_grad for one in names.values())


def test_it_is_zero_until_it_is_fitted_and_then_knows_the_order_of_words() -> None:
    score = NgramScore(10, 1, order=2, num_buckets=1000)
    batch = _rows([4, 5], [5, 4])
    assert score(batch).tolist() == [[0.0], [0.0]]
    _fit(score, [[4, 5], [5, 4]] * 5, [1, 0] * 5)
    found = score(batch).squeeze(1).tolist()
    assert found[0] > 1 > -1 > found[1]  # the same words: only the pairs can tell


def test_it_is_the_least_of_loss_and_squares() -> None:
    random = np.random.default_rng(0)
    rows = [random.integers(3, 30, 12).tolist() for _ in range(60)]
    members = [int(sum(row) > 190) for row in rows]
    score = NgramScore(30, 1, order=2, num_buckets=5000)
    _fit(score, rows, members, parts=3)
    from sklearn.linear_model import LogisticRegression

    design = np.zeros((60, len(score.weight)))
    for number, row in enumerate(rows):
        held = sorted(_buckets(score, row))
        ratios = score.log_ratio[held, 0].numpy()
        design[number, held] = ratios / np.linalg.norm(ratios)
    expected = LogisticRegression(C=10, tol=1e-8, max_iter=2000).fit(design, members).decision_function(design)
    np.testing.assert_allclose(score(_rows(*rows)).squeeze(1).numpy(), expected, atol=0.1)


def test_spelling_tells_of_words_that_were_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngrams, "_CHOICES", ((0.5, 1.0),))
    words = ["<pad>", "<unk>", "<end>", "walked", "talked", "walking", "talking", "stalked", "baking", "a"]
    read, plain = (NgramScore(10, 1, 1, 4096, letters, words) for letters in (4, 0))
    for score in (read, plain):
        _fit(score, [[3], [4], [5], [6]], [1, 1, 0, 0])
    unseen = _rows([7], [8], [9], [1])
    past, present, _, unknown = read(unseen).squeeze(1).tolist()
    assert past > 0.5 > -0.5 > present
    assert plain(unseen).tolist() == plain(_rows([], [], [], [])).tolist()
    assert unknown == pytest.approx(read(_rows([])).item())  # whose spelling nobody knows
    torch.testing.assert_close(read(_rows([7, 8, 7])), read(_rows([8, 7])))  # each once


@pytest.mark.parametrize("choices", [((0.5, 0.0), (0.5, 1.0)), ((0.5, 1.0), (0.5, 0.0))])
def test_what_ratios_and_pieces_weigh_is_what_scores_rows_best_that_are_held_out(
    choices: tuple[tuple[float, float], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ngrams, "_CHOICES", choices)
    random = np.random.default_rng(0)
    words = ["".join(random.choice(list("abcdefgh"), 6)) for _ in range(4000)]
    ending = [number for number, word in enumerate(words) if word[-1] in "ab"]
    rest = [number for number, word in enumerate(words) if word[-1] not in "ab"]
    members = (np.arange(150) % 2).tolist()

    def score(rows: list[list[int]], spelled: list[str]) -> bool:
        found = NgramScore(4003, 1, 1, 1 << 12, 3, ["<pad>", "<unk>", "<end>", *spelled])
        _fit(found, [[3 + word for word in row] for row in rows], members)
        return bool(found.log_ratio[4003 + (1 << 11) :].any())

    assert score([random.choice(ending if member else rest, 2).tolist() for member in members], words)


def test_fitted_again_it_keeps_what_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngrams, "_CHOICES", ((0.0, 0.0),))
    score = NgramScore(10, 1, order=1, num_buckets=100)
    rows, members = [[4, 5], [4], [5], [6], [4, 6], [5, 6]], [1, 1, 0, 0, 1, 0]
    _fit(score, rows, members)
    monkeypatch.setattr(ngrams, "_CHOICES", ((1.0, 1.0),))
    _fit(score, rows[1:], members[1:])
    ratios = score.log_ratio[:10][score.log_ratio[:10] > 0]
    assert len(ratios.unique()) == 2  # by how rare they are alone: 4 and 5 are in two of five rows, 6 in three
    other = NgramScore(10, 1, order=1, num_buckets=100)
    _fit(other, rows[1:], members[1:])
    assert not torch.equal(score.log_ratio, other.log_ratio)


@pytest.mark.parametrize("target", ["classes", "numbers"])
def test_whatever_the_head(target: str) -> None:
    rows, kinds = [[3, 4], [4, 5], [5, 6], [6, 3]] * 4, torch.tensor([0, 1, 2, 1] * 4)
    head = row_head(
        ClassTarget("y", classes=("a", "b", "c")) if target == "classes" else NumberTarget("y", mean=1.0, std=1.0)
    )
    targets = kinds if target == "classes" else kinds - 1.0
    score = NgramScore(10, 3 if target == "classes" else 1, 2, 1000)
    score.fit([(_rows(*rows), head.members(targets), targets)], lambda one, wanted: head.loss(one, wanted, 0.0, "sum"))
    found = score(_rows(*rows))
    if target == "classes":
        assert (found.argmax(1) == kinds).all()
    else:
        torch.testing.assert_close(found.squeeze(1), targets, atol=0.2, rtol=0)


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
