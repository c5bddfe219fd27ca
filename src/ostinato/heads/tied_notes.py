"""A frame of notes where each note has a state of its own (`tied_notes`), written from the lowest up."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.heads.notes import FrameOutput, TiedLogits, flip
from ostinato.nn import RecurrentStack


class TiedNoteByNote(FrameOutput):
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

    def nll(self, hidden: Tensor, frames: Tensor) -> Tensor:
        """As `FrameOutput.nll`, hidden (M, C, H)."""
        notes = frames.to(hidden.dtype)
        below = F.pad(notes[:, :-1], (1, 0)).unsqueeze(2)
        states, _ = self.upwards(torch.cat([hidden, below], dim=2).transpose(0, 1))  # (C, M, K)
        logits = self.alone(hidden) + self.weight(self.dropout(states)).squeeze(-1).transpose(0, 1)
        return F.binary_cross_entropy_with_logits(logits, notes, reduction="none").sum(1)

    def draw(self, hidden: Tensor, generator: torch.Generator | None = None, temperature: float = 1.0) -> Tensor:
        """As `FrameOutput.draw`, hidden (M, C, H)."""
        alone = self.alone(hidden)
        below, state = hidden.new_zeros(len(hidden), 1), None
        notes: list[Tensor] = []
        for number in range(alone.shape[1]):
            step = torch.cat([hidden[:, number], below], dim=1).unsqueeze(0)
            output, state = self.upwards(step, state)
            logit = alone[:, number] + self.weight(self.dropout(output[0])).squeeze(-1)
            notes.append(flip(logit, generator, temperature))
            below = notes[-1].to(hidden.dtype).unsqueeze(1)
        return torch.stack(notes, dim=1)
