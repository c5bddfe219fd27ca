"""The decoder that writes frames (numbers, notes or pictures) and when they end; and the choice of a decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.heads.frames import EndedFrames
from ostinato.layers.decoder import Decoder, own_sizes
from ostinato.layers.frames import Frames
from ostinato.layers.teacher_forcing import shifted
from ostinato.layers.token_decoder import TokenDecoder
from ostinato.recipe.model import WriterRecipe
from ostinato.types import Ragged

_NEVER = -4.0
"""Initial log-odds of the end: some fifty frames."""


class FrameDecoder(Decoder):
    r"""A distribution over sequences of frames :math:`v_1 … v_T` of any length, or of a length that is set.

    .. math:: p(v_1 … v_T, T \mid x) = \Big(\prod_{t=1}^{T} (1 - e_t) \, p(v_t \mid r_t)\Big) \, e_{T+1}, \quad
        e_t = \sigma(w \cdot r_t + b)

    with :math:`r_t` as of `Decoder`, which reads the frame before, :math:`v_0 = 0`. Numbers and pictures also get it
    through a skip connection (as in Graves 2013, arXiv:1308.0850, section 2): p(v | r_t, v_{t-1}), so that unchanged
    frames cost the recurrence nothing. Where `model.decoder.length` is a number, so many frames are written and there
    is no e. p(v | r) is one of `heads.notes` or `heads.mixture`.

    Scheduled sampling as of `TokenDecoder`: some frames that are read are drawn from the model's own distribution.

    Args:
        recipe: the model's part of a recipe; sizes come from `recipe.decoder` where it has its own.
        frames: what a frame is.
        memory_size: M, features of a step of the memory; 0: there is none, whatever `attention` says.
        fed_size: F, features of a vector that each step reads with the last frame; 0: none.

    Example:
        >>> decoder = FrameDecoder(WriterRecipe(hidden_size=8), Frames(3))
        >>> targets = Ragged.from_rows(torch.rand(3, 3), starts=[0, 1], lengths=[1, 2])
        >>> decoder.nll(targets, decoder.zero_states(2)).lengths.tolist()
        [2, 3]
    """

    def __init__(self, recipe: WriterRecipe, frames: Frames, *, memory_size: int = 0, fed_size: int = 0) -> None:
        read = frames.layer(recipe.input_noise)
        super().__init__(own_sizes(recipe), read, memory_size=memory_size, fed_size=fed_size)
        self.frames = frames
        size = self.read_size + frames.skipped
        self.output = frames.head(recipe, size)
        length = recipe.decoder.length
        self.length = length if isinstance(length, int) else None
        self.end = nn.Linear(size, 1) if self.length is None else None
        if self.end is not None:
            nn.init.constant_(self.end.bias, _NEVER)
        self.head = EndedFrames(self.output, self.end)
        ends = "the end" if self.length is None else f"{self.length:,} of them"
        self.about = f"frames of {frames.about(recipe)}; {ends}"

    def _outputs(self, read: Tensor, last: Tensor, known: Tensor | None, found: Tensor | None = None) -> Tensor:
        """(M, Q' + C): r and the previous frame; of notes r alone."""
        return self.frames.with_previous(self.dropout(read), last)

    def _own(self, outputs: Tensor) -> Tensor:
        """Draw a frame."""
        return self.head.sample(outputs)

    def inputs_and_targets(self, targets: Ragged) -> tuple[Ragged, Ragged]:
        """The decoder inputs of whole sequences, (sum (T + 1), C), and their targets, (…, C + 1): the frame, and 1; at
        the end zeros."""
        frames = targets.with_values(self.frames.floats(targets.values, next(self.parameters()).dtype))
        marked = frames.with_values(F.pad(frames.values, (0, 1), value=1.0))
        if self.end is None:
            return previous_frames(frames, frames.values.dtype), marked
        read, wanted = shifted(marked, 0.0)
        return read.with_values(read.values[:, :-1].contiguous()), wanted


def previous_frames(frames: Ragged, dtype: torch.dtype) -> Ragged:
    """At every step the frame before it, zeros at the first, as floating-point numbers."""
    first = int(frames.batch_sizes[0]) if len(frames.batch_sizes) else 0
    before = frames.values.index_select(0, frames.previous_index()).to(dtype)
    before[:first] = 0
    return frames.with_values(before)


def make_decoder(
    recipe: WriterRecipe,
    written: int | Frames,
    counts: Tensor | None = None,
    *,
    memory_size: int = 0,
    fed_size: int = 0,
) -> TokenDecoder | FrameDecoder:
    """The decoder of tokens, with a vocabulary of `written`, or of frames; other arguments as of `TokenDecoder`."""
    if isinstance(written, Frames):
        return FrameDecoder(recipe, written, memory_size=memory_size, fed_size=fed_size)
    return TokenDecoder(recipe, written, counts=counts, memory_size=memory_size, fed_size=fed_size)
