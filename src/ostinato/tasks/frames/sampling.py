"""Sequences of frames (curves, music, sound, pictures) from a decoder, drawn or the most expected."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.arrays import Array
from ostinato.data.batching import BucketedBatches
from ostinato.data.dataset import Features
from ostinato.data.features import Feature
from ostinato.data.loading import examples_of
from ostinato.errors import RecipeError
from ostinato.heads.sampling import drawn_on
from ostinato.layers.decoder import Writing
from ostinato.layers.frame_decoder import FrameDecoder
from ostinato.layers.writer import SequenceWriter
from ostinato.nn.modes import evaluating
from ostinato.recipe import Recipe
from ostinato.recipe.model import WriterRecipe
from ostinato.tasks.given import refuse_unknown_cell
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
        last = decoder.frames.numbers(frames[-1], like.dtype)
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


def draw_frames(
    model: SequenceWriter,
    features: Features,
    recipe: Recipe,
    given: Any,
    *,
    num: int = 1,
    max_frames: int | None = None,
    temperature: float = 1.0,
    seed: int = 0,
) -> list[Array]:
    """Sequences of frames drawn for what is given, each on its own, as the target's values: the same seed draws the
    same ones. What they mean, `features.target.decode` says.

    Args:
        model: of the run.
        features: of the run.
        recipe: of the run.
        given: the input's cell, or a mapping by column where there are several.
        num: sequences, at least 1.
        max_frames: of each, >= 1; none: as the recipe's decoder says.
        temperature: as of `write_frames`.
        seed: of the draws.

    Raises:
        RunError: for a cell that can't be used, such as a name that training never showed.
        RecipeError: for options out of range.

    Example:
        >>> run = ostinato.load("runs/curves")
        >>> curves = draw_frames(run.model, run.features, run.recipe, "a", num=2)
        >>> [curve.shape for curve in curves]
        [(8, 1), (8, 1)]
    """
    if num < 1:
        raise RecipeError(f"`num` must be a positive integer. Received: {num}.")
    if max_frames is not None and max_frames < 1:
        raise RecipeError(f"`max_frames` must be a positive integer. Received: {max_frames}.")
    if temperature < 0:
        raise RecipeError(f"`temperature` must not be negative. Received: {temperature:g}.")
    for column, feature in ((str(recipe.data.input), features.input), *features.extra.items()):
        refuse_unknown_cell(feature, column, given.get(column) if isinstance(given, dict) else given)
    decoder = model.frame_decoder
    generator = torch.Generator().manual_seed(seed)
    examples = examples_of([given] * num, features, recipe)
    with evaluating(model), torch.inference_mode():
        batch = BucketedBatches(examples, num).batch(np.arange(num)).to(next(model.parameters()).device)
        found = write_frames(
            decoder,
            begin(model, batch),
            max_frames=max_frames or WriterRecipe.of(recipe).decoder.longest,
            temperature=temperature,
            generator=generator,
        )
    target = features.sequence_target
    return [as_values(target, one) for one in found]
