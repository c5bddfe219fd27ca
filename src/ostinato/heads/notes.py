"""Distributions of a frame of notes given the state of a recurrence: independent, NADE, autoregressive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.heads.classes import bernoulli_nll
from ostinato.heads.frames import NotesHead
from ostinato.heads.sampling import flip, pick
from ostinato.nn import RecurrentStack
from ostinato.types import Ragged

LOG_ODDS = -3.0
"""Log-odds of a note before training: about four of 88 notes sound in four-voice music."""


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


class IndependentNotes(NotesHead):
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

    def nll(self, outputs: Tensor, target: Tensor) -> Tensor:
        return bernoulli_nll(self.logits(outputs), target).sum(1)

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        return flip(self.logits(outputs), generator, temperature)


class Nade(NotesHead):
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

    def nll(self, outputs: Tensor, target: Tensor) -> Tensor:
        states = NoteStates.of(target)
        summed = [self.start(outputs)[states.notes.sorted_indices]]
        read = self.read(states.notes.values)
        for part in torch.split(read, states.notes.batch_sizes.tolist()):
            summed.append(summed[-1][: len(part)] + part)
        inner = self.dropout(torch.cat(summed).sigmoid())
        logits = self.logits(inner) + self.bias(outputs)[states.frame]  # (S, C)
        note = torch.arange(target.shape[1], device=target.device)
        between = (note > states.last.unsqueeze(1)) & (note <= states.next.unsqueeze(1))
        nll = (-F.logsigmoid(-logits) * between).sum(1)
        sounds = states.next < target.shape[1]
        taken = logits.gather(1, states.next.clamp(max=target.shape[1] - 1).unsqueeze(1)).squeeze(1)
        return states.sum_by_frame(nll - taken * sounds)

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        bias, summed = self.bias(outputs), self.start(outputs)
        notes: list[Tensor] = []
        for number in range(bias.shape[1]):
            logit = bias[:, number] + self.dropout(summed.sigmoid()) @ self.logits.weight[number]
            notes.append(flip(logit, generator, temperature))
            summed = summed + notes[-1].unsqueeze(1) * self.read.weight[number]
        return torch.stack(notes, dim=1)


class NoteByNote(NotesHead):
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

    def nll(self, outputs: Tensor, target: Tensor) -> Tensor:
        states = NoteStates.of(target)
        start = self.start(outputs).tanh()
        after, _ = self.notes(states.notes.with_values(self.read(states.notes.values)), start.unsqueeze(0))
        inner = torch.cat([start[states.notes.sorted_indices], after.values])
        logits = self.logits(self.dropout(inner)) + self.bias(outputs)[states.frame]  # (S, C + 1)
        possible = self._above(logits, states.last)
        return states.sum_by_frame(F.cross_entropy(possible, states.next, reduction="none"))

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        """Frames (M, C), uint8; at temperature 0 the likeliest next note, or the end, time after time."""
        bias, state = self.bias(outputs), self.start(outputs).tanh()
        count, num_notes = len(outputs), bias.shape[1] - 1
        last = torch.full((count,), -1, device=outputs.device)
        frames = torch.zeros(count, num_notes + 1, dtype=torch.uint8, device=outputs.device)
        while bool((last < num_notes).any()):
            logits = self._above(self.logits(self.dropout(state)) + bias, last)
            last = pick(logits, generator, temperature)
            frames.scatter_(1, last.unsqueeze(1), 1)
            read = self.read(last.clamp(max=num_notes - 1))
            state = cast("Tensor", self.notes(read.unsqueeze(0), state.unsqueeze(0))[0])[0]
        return frames[:, :num_notes]

    @staticmethod
    def _above(logits: Tensor, last: Tensor) -> Tensor:
        """Only notes above the last one, and the end, are possible; after the end, the end."""
        note = torch.arange(logits.shape[1], device=logits.device)
        possible = (note > last.unsqueeze(1)) | (note == logits.shape[1] - 1)
        return logits.masked_fill(~possible, -torch.inf)


class TiedNoteByNote(NotesHead):
    """Each note given all below it, by a small recurrence that runs up the notes of a frame.

        p(v | h) = ∏_i p(v_i | v_<i, h),   p(v_i = 1 | …) = σ(o · s_i + w · h_i + b_i)
        s_i = GRU([h_i; v_{i-1}], s_{i-1}),   v_0 = 0, s_0 = 0

    Source: Johnson 2017 (as in `tied_notes`): a recurrence over time first, then one over notes.

    Args:
        input_size: H.
        num_notes: C.
        size: K, units of s.
        dropout: on s where it is read, in training.
    """

    def __init__(self, input_size: int, num_notes: int, size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.alone = TiedLogits(input_size, num_notes)
        self.upwards = RecurrentStack("gru", input_size + 1, size)
        self.weight = nn.Linear(size, 1, bias=False)
        self.dropout = nn.Dropout(dropout)

    def nll(self, outputs: Tensor, target: Tensor) -> Tensor:
        """-ln p(v | h) of each frame, (M,), exactly; outputs: (M, C, H)."""
        notes = target.to(outputs.dtype)
        below = F.pad(notes[:, :-1], (1, 0)).unsqueeze(2)
        states, _ = self.upwards(torch.cat([outputs, below], dim=2).transpose(0, 1))  # (C, M, K)
        logits = self.alone(outputs) + self.weight(self.dropout(states)).squeeze(-1).transpose(0, 1)
        return bernoulli_nll(logits, notes).sum(1)

    def sample(self, outputs: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        """Frames (M, C), uint8; outputs: (M, C, H)."""
        alone = self.alone(outputs)
        below, state = outputs.new_zeros(len(outputs), 1), None
        notes: list[Tensor] = []
        for number in range(alone.shape[1]):
            step = torch.cat([outputs[:, number], below], dim=1).unsqueeze(0)
            output, state = self.upwards(step, state)
            logit = alone[:, number] + self.weight(self.dropout(output[0])).squeeze(-1)
            notes.append(flip(logit, generator, temperature))
            below = notes[-1].to(outputs.dtype).unsqueeze(1)
        return torch.stack(notes, dim=1)


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
