"""Distributions of a frame of notes given the state of a recurrence: notes by themselves, NADE, note after note."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.nn import RecurrentStack
from ostinato.types import Ragged

LOG_ODDS = -3.0
"""Of a note before training: about the four in 88 that sound in music of four voices."""


class FrameOutput(nn.Module):
    """What a distribution over frames v ∈ {0, 1}^C can do, given hidden states (M, H), a frame each."""

    def nll(self, hidden: Tensor, frames: Tensor) -> Tensor:
        """-ln p(v | h) of each frame, (M,), exactly. frames: (M, C) zeros and ones."""
        raise NotImplementedError

    def draw(self, hidden: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        """Frames (M, C), uint8, drawn from p(v | h), log-odds divided by `temperature`; at 0 whatever is likelier, note
        by note from the lowest up."""
        raise NotImplementedError


class TiedLogits(nn.Module):
    """a_i = w · h_i + b_i: from a state for each note, (M, C, H), to (M, C), the same w for all notes.

    Args:
        input_size: H.
        num_notes: C.
    """

    def __init__(self, input_size: int, num_notes: int) -> None:
        super().__init__()
        self.weight = nn.Linear(input_size, 1, bias=False)
        self.bias = nn.Parameter(torch.full((num_notes,), LOG_ODDS))

    def forward(self, hidden: Tensor) -> Tensor:
        """The log-odds of each note."""
        logits: Tensor = self.weight(hidden).squeeze(-1) + self.bias
        return logits


class IndependentNotes(FrameOutput):
    """p(v | h) = ∏_i σ(a_i)^{v_i} (1 - σ(a_i))^{1 - v_i}, a = W h + b: no note of a frame knows of another.

    Args:
        input_size: H.
        num_notes: C.
        tied: whether each note has a state of its own, (M, C, H), and a is from `TiedLogits`.
    """

    def __init__(self, input_size: int, num_notes: int, tied: bool = False) -> None:
        super().__init__()
        self.logits = TiedLogits(input_size, num_notes) if tied else nn.Linear(input_size, num_notes)
        if not tied:
            nn.init.constant_(cast("Tensor", self.logits.bias), LOG_ODDS)

    def nll(self, hidden: Tensor, frames: Tensor) -> Tensor:
        """As `FrameOutput.nll`: the sum of C binary cross-entropies."""
        logits = self.logits(hidden)
        return F.binary_cross_entropy_with_logits(logits, frames.to(logits.dtype), reduction="none").sum(1)

    def draw(self, hidden: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        """As `FrameOutput.draw`."""
        return flip(self.logits(hidden), generator, temperature)


class Nade(FrameOutput):
    """RNN-NADE: each note given all below it in the same frame, by a network whose biases the recurrence sets.

        p(v | h) = ∏_i p(v_i | v_<i, h),   p(v_i = 1 | v_<i, h) = σ(b_i + V_i · s_i)
        s_i = σ(c + Σ_{j<i} W_j v_j),      b = b_0 + B h,   c = c_0 + C h

    Source: Larochelle & Murray 2011, "The neural autoregressive distribution estimator", eqs. 6-10; biases by the
    recurrence: Boulanger-Lewandowski, Bengio & Vincent 2012, arXiv:1206.6392, section 5 (RNN-NADE). Exact, and computed
    without a loop over the C notes: s changes only where a note sounds, so a frame of n notes has n + 1 different s,
    which meet all rows of V in one product, of which what lies between two notes is kept.

    Args:
        input_size: H.
        num_notes: C.
        size: K, units of s.
        dropout: on s, in training.
    """

    def __init__(self, input_size: int, num_notes: int, size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.bias = nn.Linear(input_size, num_notes)
        self.start = nn.Linear(input_size, size)
        self.read = nn.Embedding(num_notes, size)
        self.logits = nn.Linear(size, num_notes, bias=False)
        self.dropout = nn.Dropout(dropout)
        nn.init.constant_(self.bias.bias, LOG_ODDS)
        nn.init.normal_(self.read.weight, std=size**-0.5)

    def nll(self, hidden: Tensor, frames: Tensor) -> Tensor:
        """As `FrameOutput.nll`."""
        states = NoteStates.of(frames)
        summed = [self.start(hidden)[states.notes.sorted_indices]]
        read = self.read(states.notes.values)
        for part in torch.split(read, states.notes.batch_sizes.tolist()):
            summed.append(summed[-1][: len(part)] + part)
        inner = self.dropout(torch.cat(summed).sigmoid())
        logits = self.logits(inner) + self.bias(hidden)[states.frame]  # (S, C)
        note = torch.arange(frames.shape[1], device=frames.device)
        between = (note > states.last.unsqueeze(1)) & (note <= states.next.unsqueeze(1))
        nll = (-F.logsigmoid(-logits) * between).sum(1)
        sounds = states.next < frames.shape[1]
        taken = logits.gather(1, states.next.clamp(max=frames.shape[1] - 1).unsqueeze(1)).squeeze(1)
        return states.sum_by_frame(nll - taken * sounds)

    def draw(self, hidden: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        """As `FrameOutput.draw`."""
        bias, summed = self.bias(hidden), self.start(hidden)
        notes: list[Tensor] = []
        for number in range(bias.shape[1]):
            logit = bias[:, number] + self.dropout(summed.sigmoid()) @ self.logits.weight[number]
            notes.append(flip(logit, generator, temperature))
            summed = summed + notes[-1].unsqueeze(1) * self.read.weight[number]
        return torch.stack(notes, dim=1)


class NoteByNote(FrameOutput):
    """A frame as the list of its notes from the lowest up, written by a small recurrence that the larger one starts.

        p(v | h) = ∏_{k=0}^{n} p(y_{k+1} | y_1 … y_k, h),   y_1 < … < y_n the notes of v, y_{n+1} the end
        p(y | …) = softmax over the notes above y_k and the end, of O s_k + B h
        s_k = GRU(E y_k, s_{k-1}),   s_0 = tanh(C h + c)

    As every set of notes has one such list, the probabilities of all 2^C frames sum to one. Costs n + 1 small steps a
    frame of n notes.

    Args:
        input_size: H.
        num_notes: C.
        size: K, units of s.
        dropout: on s where it is read, in training.
    """

    def __init__(self, input_size: int, num_notes: int, size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.start = nn.Linear(input_size, size)
        self.read = nn.Embedding(num_notes, size)
        self.notes = RecurrentStack("gru", size, size)
        self.bias = nn.Linear(input_size, num_notes + 1)
        self.logits = nn.Linear(size, num_notes + 1, bias=False)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.read.weight, std=size**-0.5)

    def nll(self, hidden: Tensor, frames: Tensor) -> Tensor:
        """As `FrameOutput.nll`."""
        states = NoteStates.of(frames)
        start = self.start(hidden).tanh()
        after, _ = self.notes(states.notes.with_values(self.read(states.notes.values)), start.unsqueeze(0))
        inner = torch.cat([start[states.notes.sorted_indices], after.values])
        logits = self.logits(self.dropout(inner)) + self.bias(hidden)[states.frame]  # (S, C + 1)
        log_p = self._above(logits, states.last).log_softmax(1)
        return states.sum_by_frame(-log_p.gather(1, states.next.unsqueeze(1)).squeeze(1))

    def draw(self, hidden: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        """As `FrameOutput.draw`; at temperature 0 the likeliest next note, or the end, time after time."""
        bias, state = self.bias(hidden), self.start(hidden).tanh()
        count, num_notes = len(hidden), bias.shape[1] - 1
        last = torch.full((count,), -1, device=hidden.device)
        frames = torch.zeros(count, num_notes + 1, dtype=torch.uint8, device=hidden.device)
        while bool((last < num_notes).any()):
            logits = self._above(self.logits(self.dropout(state)) + bias, last)
            if temperature > 0:
                shares = (logits / temperature).softmax(1)
                chosen = pick(shares, generator)
            else:
                chosen = logits.argmax(1)
            last = chosen
            frames.scatter_(1, chosen.unsqueeze(1), 1)
            read = self.read(chosen.clamp(max=num_notes - 1))
            state = cast("Tensor", self.notes(read.unsqueeze(0), state.unsqueeze(0))[0])[0]
        return frames[:, :num_notes]

    @staticmethod
    def _above(logits: Tensor, last: Tensor) -> Tensor:
        """Only notes above the last one, and the end, are possible; after the end, the end."""
        note = torch.arange(logits.shape[1], device=logits.device)
        possible = (note > last.unsqueeze(1)) | (note == logits.shape[1] - 1)
        return logits.masked_fill(~possible, -torch.inf)


@dataclass(frozen=True)
class NoteStates:
    """What a frame looks like from below: one state before its first note, and one after each note. S = M + all notes.

    notes: (sum n,) the notes of each frame, rising, a row a frame; frame: (S,) which frame a state belongs to; last:
    (S,) the note just read, -1 before the first; next: (S,) the note that comes next, C after the last. States stand
    first one a frame in the order of `notes.sorted_indices`, then as the values of `notes`.
    """

    notes: Ragged
    frame: Tensor
    last: Tensor
    next: Tensor

    @classmethod
    def of(cls, frames: Tensor) -> NoteStates:
        """The states of frames (M, C) of zeros and ones."""
        count, num_notes = frames.shape
        note = frames.nonzero()[:, 1]
        lengths = (frames != 0).sum(1).cpu()
        notes = Ragged.from_rows(note, lengths.cumsum(0) - lengths, lengths)
        rows, times = notes.rows_index(), notes.times_index()
        following = torch.full((count + len(note),), num_notes, device=frames.device)
        following[torch.where(times > 0, count + notes.previous_index(), rows)] = notes.values
        before = torch.full((count,), -1, device=frames.device)
        order = notes.sorted_indices
        return cls(notes, torch.cat([order, order[rows]]), torch.cat([before, notes.values]), following)

    def sum_by_frame(self, values: Tensor) -> Tensor:
        """(S,) to (M,)."""
        return values.new_zeros(self.notes.num_rows).index_add(0, self.frame, values)


def flip(logits: Tensor, generator: torch.Generator | None, temperature: float) -> Tensor:
    """Zeros and ones of these log-odds."""
    if temperature == 0:
        return (logits > 0).to(torch.uint8)
    shares = (logits / temperature).sigmoid()
    uniform = torch.rand(shares.shape, generator=generator, dtype=shares.dtype, device=drawn_on(generator, shares))
    return (uniform.to(shares.device) < shares).to(torch.uint8)


def pick(shares: Tensor, generator: torch.Generator | None) -> Tensor:
    """(M,) places drawn with these shares (M, K)."""
    return (
        torch.multinomial(shares.to(drawn_on(generator, shares)), 1, generator=generator).squeeze(1).to(shares.device)
    )


def drawn_on(generator: torch.Generator | None, like: Tensor) -> torch.device:
    """Where draws for a tensor are made: a generator draws on its own device alone, wherever the model is."""
    return like.device if generator is None else generator.device
