"""Sequences of frames (curves, music, sound, pictures) from a decoder, drawn or the most expected."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ostinato.arrays import Array
from ostinato.data.features import Feature
from ostinato.errors import RecipeError
from ostinato.heads.sampling import drawn_on
from ostinato.layers.decoder import Writing
from ostinato.layers.frame_decoder import FrameDecoder
from ostinato.layers.writer import SequenceWriter
from ostinato.nn.modes import evaluating
from ostinato.recipe.model import WriterRecipe
from ostinato.tasks.generation import GenerateOptions, Generation, OpenRun
from ostinato.tasks.given import given_batch
from ostinato.tasks.transcripts import begin

_LIKELY = 0.5


@torch.inference_mode()
def write_frames(
    decoder: FrameDecoder,
    writing: Writing,
    *,
    max_frames: int,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> list[Tensor]:
    """A sequence (T, C) for each row, as `Frames.stored` gives its frames; T is at least 1.

    At a temperature of 0 each step reads the frame that was most expected at the one before, and a sequence ends where
    it is likelier than not to have ended, along that path: at the median of its length.

    Args:
        decoder: in evaluation.
        writing: where it begins.
        max_frames: of each, >= 1; no more than the decoder's length where that is set.
        temperature: log-odds of notes are divided by it, what is drawn of numbers is so many times as far from its
            mean; >= 0. Ends are drawn as they are likely, whatever it is: an end that is unlikely at every step, but
            must come, would else not come.
        generator: of the draws; none: torch's own.
    """
    if decoder.length is not None:
        max_frames = min(max_frames, decoder.length)
    like = writing.layers[0][0]
    last = like.new_zeros(writing.num_rows, decoder.frames.values)
    left = like.new_ones(writing.num_rows)  # probability of not having ended
    lengths = torch.full((writing.num_rows,), max_frames)
    frames: list[Tensor] = []
    for time in range(max_frames):
        read, writing = decoder.step(last, writing)
        if time and decoder.end is not None:
            logits = decoder.end(read).squeeze(1)
            if temperature == 0:
                left = left * (1 - logits.sigmoid())
                ended = left < _LIKELY
            else:
                where = drawn_on(generator, logits)
                uniform = torch.rand(len(logits), generator=generator, dtype=logits.dtype, device=where)
                ended = uniform.to(logits.device) < logits.sigmoid()
            lengths = torch.where(ended.cpu() & (lengths == max_frames), time, lengths)
            if bool((lengths <= time).all()):
                break
        frames.append(decoder.frames.stored(decoder.head.sample(read, generator, temperature).to(like.dtype)))
        last = decoder.frames.floats(frames[-1], like.dtype)
    whole = torch.stack(frames, 1)
    return [row[:length] for row, length in zip(whole, lengths.tolist(), strict=True)]


def decoded(feature: Feature, frames: Tensor) -> list[Any]:
    """A sequence of frames (T, C) as a user knows it: numbers on their own scale, MIDI pitches, log-mel energies, the
    pixels of pictures."""
    return feature.known(as_values(feature, frames))


def as_values(feature: Feature, frames: Tensor) -> Array:
    """(T, C) to (T, ...), as the feature's values are."""
    values = frames.float().cpu().numpy() if frames.is_floating_point() else frames.cpu().numpy()
    values = values.reshape(len(values), *feature.value_shape)
    return values.astype(np.uint8) if feature.kind == "notes" else values


def draw_frames(run: OpenRun, options: GenerateOptions) -> Generation:
    """Sequences of frames drawn for what is given, each on its own, as the target's values: the same seed draws the
    same ones; by default at most as many frames each as the recipe's decoder says.

    Raises:
        RunError: for a cell that can't be used, such as a name that training never showed.
        RecipeError: for options out of range, or that don't apply.
    """
    options.refuse("model that writes frames", "prompt", "precision", "top_k", "top_p")
    given = options.cells((str(run.recipe.data.input), *run.features.extra), run.folder)
    num, most = options.count(1), options.max_new_tokens
    if most is not None and most < 1:
        raise RecipeError(f"`max_new_tokens` must be a positive integer. Received: {most}.")
    if options.temperature < 0:
        raise RecipeError(f"`temperature` must not be negative. Received: {options.temperature:g}.")
    model, target = cast("SequenceWriter", run.model), run.features.sequence_target
    with evaluating(model), torch.inference_mode():
        found = write_frames(
            model.frame_decoder,
            begin(model, given_batch(run, given, num)),
            max_frames=most or WriterRecipe.of(run.recipe).decoder.longest,
            temperature=options.temperature,
            generator=torch.Generator().manual_seed(options.seed),
        )
    return Generation(frames=[as_values(target, one) for one in found], feature=target, given=given)
