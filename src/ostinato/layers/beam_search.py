"""Whole sequences from a decoder: greedy, sampled, and by beam search with length normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor

from ostinato.data.vocabulary import END_ID, PAD_ID, UNK_ID
from ostinato.errors import RecipeError
from ostinato.heads.sampling import Sampling, next_tokens
from ostinato.nn.checks import check_positive

BANNED = (PAD_ID, UNK_ID)
"""Never written."""


class Place(Protocol):
    """The state of a decoder in several sequences at once; `layers.decoder.Writing` is one."""

    @property
    def num_rows(self) -> int:
        """Sequences."""

    def select(self, rows: Tensor) -> Self:
        """Those of the sequences, in that order."""

    def spread(self, num_beams: int) -> Self:
        """Each sequence repeated `num_beams` times."""

    def only(self, rows: Tensor, num_beams: int) -> Self:
        """What is left where only some rows go on, each with its `num_beams` sequences."""


PlaceT = TypeVar("PlaceT", bound=Place)


class Writer(Protocol[PlaceT]):
    """Gives scores for the next token; `layers.token_decoder.TokenDecoder` is one."""

    vocab_size: int

    def step(self, ids: Tensor, writing: PlaceT) -> tuple[Tensor, PlaceT]:
        """From the last token of each sequence (R,) to logits (R, V) of the next, and the new state."""


@dataclass(frozen=True)
class Written:
    """A sequence: its ids without `<end>`; ln p, `<end>` counted; and the score it was ranked by."""

    ids: tuple[int, ...]
    log_probability: float
    score: float


def beams_of(rows: Tensor, num_beams: int) -> Tensor:
    """Where the sequences of some rows stand, (rows * num_beams,)."""
    return (rows.unsqueeze(1) * num_beams + torch.arange(num_beams, device=rows.device)).flatten()


def normalised(log_probability: float, length: int, length_penalty: float) -> float:
    """ln p / ((5 + length) / 6)^a; `length` counts the closing `<end>`. A penalty a of 0 ranks by ln p alone.

    Source: Wu et al. 2016, "Google's neural machine translation system", arXiv:1609.08144, eq. 14, without its
    coverage term.
    """
    return log_probability / float(((5 + length) / 6) ** length_penalty)


@torch.inference_mode()
def beam_search(
    writer: Writer[PlaceT],
    start: PlaceT,
    *,
    beam_size: int,
    length_penalty: float = 0.6,
    max_new_tokens: int = 100,
) -> list[list[Written]]:
    """The likeliest sequences of each row, best first; all rows and beams advance together.

    At each step, those of a row's `beam_size` best continuations that end are set aside, and the best of the others
    continue. A row is done when `beam_size` have ended; what is still open at `max_new_tokens` must end there. When
    half of the rows are done, the others go on alone. A `beam_size` of 1 is greedy search. Never written: `<pad>` and
    `<unk>`.

    Args:
        writer: in evaluation.
        start: of N rows, nothing written.
        beam_size: K, 1 to V - 2.
        length_penalty: a of `normalised`, at least 0.
        max_new_tokens: without `<end>`, at least 1.

    Returns:
        for each row its sequences, one to K of them.

    Raises:
        RecipeError: for a beam that is wider than the vocabulary, or options out of range.
    """
    _check(writer.vocab_size, beam_size, max_new_tokens)
    num_rows, writing = start.num_rows, start.spread(beam_size)
    ended: list[list[Written]] = [[] for _ in range(num_rows)]
    state: _Beams | None = None
    numbers = list(range(num_rows))  # of the rows that go on
    last = torch.full((num_rows * beam_size,), END_ID)
    for length in range(max_new_tokens + 1):
        logits, writing = writer.step(last, writing)
        scores = _log_probabilities(logits)
        if length == max_new_tokens:  # what is still open must end
            ends = scores[:, END_ID].clone()
            scores.fill_(-torch.inf)[:, END_ID] = ends
        state = _advance(scores, beam_size, state)
        for row, path, log_probability in state.ended:
            if len(ended[numbers[row]]) < beam_size:
                score = normalised(log_probability, length + 1, length_penalty)
                ended[numbers[row]].append(Written(path, log_probability, score))
        going_on = [row for row, number in enumerate(numbers) if len(ended[number]) < beam_size]
        if not going_on:
            break
        writing = writing.select(state.origins)
        if 2 * len(going_on) <= len(numbers):
            rows, numbers = torch.tensor(going_on), [numbers[row] for row in going_on]
            writing, state = writing.only(rows, beam_size), state.only(rows, beam_size)
        last = state.last
    return [sorted(found, key=lambda one: -one.score) for found in ended]


@dataclass(frozen=True)
class _Beams:
    """After a step: the last token of each beam (N * K,), where each came from, ln p (N, K), paths, and what ended."""

    last: Tensor
    origins: Tensor
    log_probabilities: Tensor
    paths: Tensor
    ended: list[tuple[int, tuple[int, ...], float]]

    def only(self, rows: Tensor, num_beams: int) -> _Beams:
        """Those of some rows; what each came from is known."""
        beams = beams_of(rows, num_beams)
        scores = self.log_probabilities.index_select(0, rows.to(self.log_probabilities.device))
        return _Beams(
            self.last[beams.to(self.last.device)], self.origins, scores, self.paths[beams.to(self.paths.device)], []
        )


def _advance(scores: Tensor, beam_size: int, before: _Beams | None) -> _Beams:
    """One step of all beams: scores (N * K, V) of the next token."""
    num_rows, size = len(scores) // beam_size, scores.shape[1]
    scores = scores.view(num_rows, beam_size, size)
    if before is None:  # all beams of a row are the same: one of them counts
        scores[:, 1:] = -torch.inf
    else:
        scores = scores + before.log_probabilities.unsqueeze(2)
    best, places = scores.view(num_rows, -1).topk(2 * beam_size, dim=1)  # half of them may end
    tokens, beams = places % size, places // size
    origins = beams + torch.arange(num_rows, device=beams.device).unsqueeze(1) * beam_size
    paths = None if before is None else before.paths
    ending = (tokens == END_ID) & best.isfinite()
    ended: list[tuple[int, tuple[int, ...], float]] = []
    for row, place in ending[:, :beam_size].nonzero().tolist():
        path = () if paths is None else tuple(paths[origins[row, place]].tolist())
        ended.append((row, path, float(best[row, place])))
    going_on = best.masked_fill(tokens == END_ID, -torch.inf)
    kept = going_on.topk(beam_size, dim=1).indices
    flat_origins, last = origins.gather(1, kept).flatten(), tokens.gather(1, kept).flatten()
    new = last.unsqueeze(1)
    paths = new if paths is None else torch.cat([paths.index_select(0, flat_origins), new], dim=1)
    return _Beams(last, flat_origins, going_on.gather(1, kept), paths, ended)


@torch.inference_mode()
def greedy(writer: Writer[PlaceT], start: PlaceT, *, max_new_tokens: int = 100) -> list[tuple[int, ...]]:
    """The likeliest token at each step, for each row, until `<end>`: ids without it."""
    return _write(writer, start, max_new_tokens, Sampling(temperature=0.0))


@torch.inference_mode()
def sample(
    writer: Writer[PlaceT],
    start: PlaceT,
    *,
    max_new_tokens: int = 100,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    seed: int = 0,
) -> list[tuple[int, ...]]:
    """A token drawn at each step, for each row, until `<end>`: ids without it. Options as of `sampling.next_token`.

    Raises:
        RecipeError: for options that describe no distribution.
    """
    return _write(writer, start, max_new_tokens, Sampling(temperature, top_k, top_p), seed)


def _write(
    writer: Writer[PlaceT], writing: PlaceT, max_new_tokens: int, sampling: Sampling, seed: int = 0
) -> list[tuple[int, ...]]:
    _check(writer.vocab_size, 1, max_new_tokens)
    generator = torch.Generator().manual_seed(seed)
    last = torch.full((writing.num_rows,), END_ID)
    open_rows = torch.ones(writing.num_rows, dtype=torch.bool)
    columns: list[Tensor] = []
    for _ in range(max_new_tokens):
        logits, writing = writer.step(last, writing)
        last = next_tokens(_log_probabilities(logits), sampling, generator)
        columns.append(last.cpu().masked_fill(~open_rows, END_ID))
        open_rows &= last.cpu() != END_ID
        if not open_rows.any():
            break
    rows = torch.stack(columns, dim=1).tolist()
    return [tuple(row[: row.index(END_ID)] if END_ID in row else row) for row in rows]


def _log_probabilities(logits: Tensor) -> Tensor:
    """ln p of each token; those never written are impossible."""
    scores = logits.log_softmax(dim=1)
    scores[:, list(BANNED)] = -torch.inf
    return scores


def _check(vocab_size: int, beam_size: int, max_new_tokens: int) -> None:
    check_positive(beam_size=beam_size, max_new_tokens=max_new_tokens)
    widest = vocab_size - len(BANNED)
    if beam_size > widest:
        raise RecipeError(
            f"`beam_size` must be at most {widest}, the tokens that can be written: a beam can't be wider than the "
            f"vocabulary. Received: {beam_size}."
        )
