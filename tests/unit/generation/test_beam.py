"""Beam search against enumeration, greedy search and teacher forcing; bad options."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from ostinato.data.vocabulary import END_ID
from ostinato.errors import RecipeError
from ostinato.layers.beam_search import beam_search, greedy, normalised, sample
from ostinato.layers.token_decoder import TokenDecoder
from ostinato.tasks.seq2seq.recipe import SequenceToSequenceRecipe

TOKENS = (3, 4)


@dataclass(frozen=True)
class History:
    """All that was written: (R, T)."""

    ids: Tensor

    @property
    def num_rows(self) -> int:
        return len(self.ids)

    def select(self, rows: Tensor) -> History:
        return History(self.ids[rows])

    def spread(self, num_beams: int) -> History:
        return History(self.ids.repeat_interleave(num_beams, 0))

    def only(self, rows: Tensor, num_beams: int) -> History:
        return History(self.ids.unflatten(0, (-1, num_beams))[rows].flatten(0, 1))


class Table:
    """Two tokens and `<end>`, each with a probability that depends on everything before; the rest is impossible."""

    vocab_size = 24

    def __init__(self, seed: int) -> None:
        self.seed, self.asked = seed, list[int]()

    def step(self, ids: Tensor, writing: History) -> tuple[Tensor, History]:
        self.asked.append(len(ids))
        written = torch.cat([writing.ids, ids.unsqueeze(1)], dim=1)
        logits = torch.full((len(ids), self.vocab_size), -torch.inf, dtype=torch.float64)
        for row, history in enumerate(written.tolist()):
            draw = torch.Generator().manual_seed(hash((self.seed, *history)) % 2**31)
            logits[row, [END_ID, *TOKENS]] = torch.randn(3, generator=draw, dtype=torch.float64)
        return logits, History(written)

    def log_probability(self, path: tuple[int, ...], first: int) -> float:
        """Of a sequence with its `<end>`."""
        place, total, last = History(torch.tensor([[first]])), 0.0, END_ID
        for token in (*path, END_ID):
            logits, place = self.step(torch.tensor([last]), place)
            total += float(logits.log_softmax(1)[0, token])
            last = token
        return total


START = History(torch.tensor([[100], [200], [300]]))


@pytest.mark.parametrize("penalty", [0.0, 0.6, 2.0])
def test_a_beam_that_holds_everything_finds_the_best_of_all(penalty: float) -> None:
    table, longest = Table(0), 3
    found = beam_search(table, START, beam_size=16, length_penalty=penalty, max_new_tokens=longest)
    paths = [path for length in range(longest + 1) for path in itertools.product(TOKENS, repeat=length)]
    for row, first in enumerate((100, 200, 300)):
        scored = {path: table.log_probability(path, first) for path in paths}
        ranked = sorted(paths, key=lambda path: -normalised(scored[path], len(path) + 1, penalty))
        assert [one.ids for one in found[row]] == ranked
        assert [one.log_probability for one in found[row]] == pytest.approx([scored[path] for path in ranked])


def test_a_beam_of_one_is_greedy() -> None:
    for seed in range(5):
        found = beam_search(Table(seed), START, beam_size=1, length_penalty=1.0, max_new_tokens=6)
        assert [row[0].ids for row in found] == greedy(Table(seed), START, max_new_tokens=6)


def test_a_wider_beam_finds_no_worse() -> None:
    for seed in range(5):
        scores = [
            [row[0].score for row in beam_search(Table(seed), START, beam_size=size, max_new_tokens=5)]
            for size in (1, 16)
        ]
        assert all(wide >= narrow - 1e-12 for narrow, wide in zip(*scores, strict=True))


def test_rows_do_not_meet() -> None:
    together = beam_search(Table(1), START, beam_size=3, max_new_tokens=5)
    alone = [beam_search(Table(1), START.select(torch.tensor([n])), beam_size=3, max_new_tokens=5)[0] for n in range(3)]
    assert together == alone


def test_rows_that_are_done_are_left_behind() -> None:
    table, starts = Table(3), History(torch.arange(40).unsqueeze(1))
    found = beam_search(table, starts, beam_size=2, max_new_tokens=30)
    assert table.asked[0] == 80
    assert table.asked[-1] <= 20
    assert found == [
        beam_search(Table(3), History(starts.ids[n : n + 1]), beam_size=2, max_new_tokens=30)[0] for n in range(40)
    ]


def test_length_normalisation() -> None:
    assert normalised(-3.0, 7, 0.0) == -3.0
    assert normalised(-3.0, 7, 0.6) == pytest.approx(-3.0 / (12 / 6) ** 0.6)


def test_sampling_follows_the_distribution_and_the_seed() -> None:
    start = History(torch.full((4000, 1), 7))
    drawn = sample(Table(2), start, max_new_tokens=1, seed=3)
    share = sum(row == (TOKENS[0],) for row in drawn) / len(drawn)
    expected = math.exp(
        float(Table(2).step(torch.tensor([END_ID]), History(torch.tensor([[7]])))[0].log_softmax(1)[0, 3])
    )
    assert share == pytest.approx(expected, abs=0.03)
    assert drawn == sample(Table(2), start, max_new_tokens=1, seed=3)
    assert sample(Table(2), START, temperature=0.0, max_new_tokens=6) == greedy(Table(2), START, max_new_tokens=6)


def test_special_tokens_are_never_written() -> None:
    torch.manual_seed(0)
    decoder = TokenDecoder(SequenceToSequenceRecipe(hidden_size=4, embedding_dim=3), 8).eval()
    with torch.no_grad():
        decoder.output.bias[:2] = 50.0
    start = decoder.begin(decoder.zero_states(2))
    rows = greedy(decoder, start, max_new_tokens=5) + [one.ids for one in beam_search(decoder, start, beam_size=3)[0]]
    assert all(number >= END_ID for row in rows for number in row)


def test_options_out_of_range() -> None:
    with pytest.raises(RecipeError, match=r"`beam_size` must be at most 22, .* wider than the vocabulary"):
        beam_search(Table(0), START, beam_size=23)
    with pytest.raises(RecipeError, match=r"`beam_size` must be a positive integer. Received: 0"):
        beam_search(Table(0), START, beam_size=0)
    with pytest.raises(RecipeError, match=r"`max_new_tokens` must be a positive integer. Received: 0"):
        greedy(Table(0), START, max_new_tokens=0)
