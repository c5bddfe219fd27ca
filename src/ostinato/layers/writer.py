"""Models that write a sequence given an input; how that is read, subclasses say."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from ostinato.data.batching import Batch
from ostinato.heads.base import OutputHead
from ostinato.layers.covariates import NO_EXTRA, Extra
from ostinato.layers.decoder import Writing
from ostinato.layers.frame_decoder import FrameDecoder
from ostinato.layers.frames import Frames
from ostinato.layers.teacher_forcing import sampled_share
from ostinato.layers.token_decoder import TokenDecoder
from ostinato.recipe import TrainingRecipe
from ostinato.recipe.parts import DecoderRecipe
from ostinato.types import Ragged, State


class SequenceWriter(nn.Module):
    """``p(y | x)`` of whole sequences y of tokens or frames, by a decoder conditioned on x."""

    options: DecoderRecipe
    decoder: TokenDecoder | FrameDecoder

    def given(self, inputs: Ragged, extra: Extra = NO_EXTRA) -> tuple[list[State], Ragged | None, Tensor | None]:
        """Encode x: the decoder's initial states, the memory it attends to, (sum S, M), and a vector that each step
        reads, (N, F); None where there is none."""
        raise NotImplementedError

    @property
    def head(self) -> OutputHead:
        """What the decoder's outputs mean."""
        return self.decoder.head

    @property
    def tokens(self) -> TokenDecoder:
        """The decoder, which must write tokens."""
        return cast("TokenDecoder", self.decoder)

    @property
    def frame_decoder(self) -> FrameDecoder:
        """The decoder, which must write frames."""
        return cast("FrameDecoder", self.decoder)

    @property
    def frames(self) -> Frames:
        """What a frame is; the decoder must write frames."""
        return self.frame_decoder.frames

    @property
    def size(self) -> str:
        """A description of the decoder's size."""
        own = self.decoder.recipe
        layers = "1 layer" if own.num_layers == 1 else f"{own.num_layers} layers"
        return f"{own.cell}, {layers} of {own.hidden_size:,} units"

    def loss(self, batch: Batch, training: TrainingRecipe) -> Tensor:
        """Mean nats a token, or a frame, of the target, its end counted."""
        share = sampled_share(self.options.scheduled_sampling, self.options.scheduled_sampling_steps, batch.step)
        given = self.given(batch.inputs, batch.extra)
        return self.decoder.loss(
            batch.sequence_targets, *given, label_smoothing=training.label_smoothing, own_share=share
        )

    def nll(self, inputs: Ragged, targets: Ragged, extra: Extra = NO_EXTRA) -> Ragged:
        """-ln p of each token or frame of the targets and of their end, (sum (T + 1),)."""
        return self.decoder.nll(targets, *self.given(inputs, extra))

    def begin(self, inputs: Ragged, extra: Extra = NO_EXTRA) -> Writing:
        """Read what is given, before anything is written; continue with `decoder.step` (`layers.beam_search`)."""
        return self.decoder.begin(*self.given(inputs, extra))

    def forced(self, batch: Batch) -> tuple[Ragged, Ragged, Ragged]:
        """For frames, with teacher forcing: -ln p of each frame and of the end; the expected frames; and the true
        ones."""
        decoder, targets = self.frame_decoder, batch.sequence_targets
        writing = self.begin(batch.inputs, batch.extra)
        inputs, wanted = decoder.inputs_and_targets(targets)
        read = decoder.outputs(inputs, writing.layers, writing.memory, writing.fed)[0]
        nll = read.with_values(decoder.head.nll(read.values, wanted.values))
        expected = read.with_values(decoder.head.point(read.values))
        return nll, expected, targets.with_values(decoder.frames.floats(targets.values, read.values.dtype))
