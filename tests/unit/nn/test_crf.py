"""The linear-chain CRF against all sequences written out, and the structure of the batch, which must not matter."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from ostinato.errors import RecipeError, ShapeError
from ostinato.nn import LinearChainCRF
from ostinato.types import Ragged


def _crf(num_tags: int, seed: int = 0) -> LinearChainCRF:
    generator = torch.Generator().manual_seed(seed)
    crf = LinearChainCRF(num_tags).double()
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return crf


def _batch(lengths: list[int], num_tags: int, seed: int = 1) -> tuple[Ragged, Ragged]:
    generator = torch.Generator().manual_seed(seed)
    total = sum(lengths)
    starts = [sum(lengths[:k]) for k in range(len(lengths))]
    emissions = torch.randn(total, num_tags, generator=generator, dtype=torch.float64)
    tags = torch.randint(num_tags, (total,), generator=generator)
    return Ragged.from_rows(emissions, starts, lengths), Ragged.from_rows(tags, starts, lengths)


def _score(crf: LinearChainCRF, emissions: Tensor, tags: tuple[int, ...]) -> Tensor:
    """s(x, y), term by term."""
    total = crf.start[tags[0]] + crf.end[tags[-1]]
    for step, tag in enumerate(tags):
        total = total + emissions[step, tag]
    for before, after in itertools.pairwise(tags):
        total = total + crf.transitions[before, after]
    return total


def _all(crf: LinearChainCRF, emissions: Tensor) -> dict[tuple[int, ...], Tensor]:
    return {
        tags: _score(crf, emissions, tags) for tags in itertools.product(range(len(crf.start)), repeat=len(emissions))
    }


@pytest.mark.parametrize(("lengths", "num_tags"), [([3, 1, 4, 2], 3), ([1], 1), ([5, 5], 2), ([2, 0, 3], 4)])
def test_loss_and_gradients_against_all_sequences(lengths: list[int], num_tags: int) -> None:
    crf = _crf(num_tags)
    emissions, tags = _batch(lengths, num_tags)
    emissions.values.requires_grad_()
    nll = crf(emissions, tags)
    expected = []
    for row, wanted in zip(emissions.split_rows(), tags.split_rows(), strict=True):
        if not len(row):
            expected.append(row.new_zeros(()))
            continue
        every = torch.stack(list(_all(crf, row).values()))
        expected.append(every.logsumexp(0) - _score(crf, row, tuple(wanted.tolist())))
    torch.testing.assert_close(nll, torch.stack(expected))
    wanted_by = [emissions.values, *crf.parameters()]
    found = torch.autograd.grad(nll.sum(), wanted_by, retain_graph=True)
    by_hand = torch.autograd.grad(torch.stack(expected).sum(), wanted_by, allow_unused=True)
    for one, other in zip(found, by_hand, strict=True):
        torch.testing.assert_close(one, torch.zeros_like(one) if other is None else other)


def test_viterbi_finds_the_best_of_all_sequences() -> None:
    for seed in range(6):
        crf = _crf(3, seed)
        emissions, _ = _batch([4, 1, 0, 5, 2], 3, seed + 10)
        for row, best in zip(emissions.split_rows(), crf.decode(emissions).split_rows(), strict=True):
            if len(row):
                scores = _all(crf, row)
                assert tuple(best.tolist()) == max(scores, key=lambda tags, scores=scores: float(scores[tags].detach()))  # type: ignore[misc]
            else:
                assert not len(best)


def test_probabilities_of_all_sequences_sum_to_one() -> None:
    crf = _crf(3)
    emissions, _ = _batch([4], 3)
    total = sum(
        float((-crf(emissions, emissions.with_values(torch.tensor(tags)))).exp().detach())
        for tags in itertools.product(range(3), repeat=4)
    )
    assert total == pytest.approx(1.0)


def test_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    crf = _crf(4)
    emissions, tags = _batch([5, 2, 7, 1], 4)
    together, decoded = crf(emissions, tags), crf.decode(emissions).split_rows()
    for number, (row, wanted) in enumerate(zip(emissions.split_rows(), tags.split_rows(), strict=True)):
        alone = Ragged.from_rows(row, [0], [len(row)])
        torch.testing.assert_close(crf(alone, alone.with_values(wanted))[0], together[number])
        assert torch.equal(crf.decode(alone).values, decoded[number])


def test_unknown_tags_are_summed_over() -> None:
    crf = _crf(3)
    emissions, tags = _batch([4, 2], 3)
    [first, second] = tags.split_rows()
    known = first.tolist()
    partly = Ragged.from_rows(torch.tensor([known[0], -1, known[2], -2, *second.tolist()]), [0, 4], [4, 2])
    scores = _all(crf, emissions.split_rows()[0])
    agree = [score for ys, score in scores.items() if ys[0] == known[0] and ys[2] == known[2]]
    expected = torch.stack(list(scores.values())).logsumexp(0) - torch.stack(agree).logsumexp(0)
    nll = crf(emissions, partly)
    torch.testing.assert_close(nll[0], expected)
    torch.testing.assert_close(nll[1], crf(emissions, tags)[1])


def test_large_scores_stay_finite() -> None:
    crf = _crf(3)
    emissions, tags = _batch([3, 2], 3)
    nll = crf(emissions.with_values(emissions.values * 1e4), tags)
    assert torch.isfinite(nll).all()
    assert (nll >= 0).all()


def test_shapes_are_checked() -> None:
    emissions, tags = _batch([3, 2], 3)
    with pytest.raises(ShapeError, match=r"must be \(sum L, 4\)"):
        LinearChainCRF(4)(emissions, tags)
    with pytest.raises(ShapeError, match="lengths of `emissions`"):
        _crf(3)(emissions, Ragged.from_rows(tags.values, [0, 2], [2, 3]))
    with pytest.raises(RecipeError, match="num_tags"):
        LinearChainCRF(0)
