"""How decoders are diagnosed, whatever they are conditioned on; and their signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from ostinato.data.dataset import Features
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.layers.frame_decoder import FrameDecoder
from ostinato.layers.token_decoder import TokenDecoder
from ostinato.probes.part import Part
from ostinato.probes.recurrences import Recurrence
from ostinato.probes.steps import at_steps, drawn_steps, step_subject
from ostinato.probes.subject import Subject
from ostinato.recipe import Recipe
from ostinato.tasks.probing import Reading
from ostinato.tasks.signature import (
    BATCH,
    STEPS,
    Signature,
    TensorSpec,
    decoder_specs,
    float_name,
    input_specs,
    state_specs,
)
from ostinato.types import Ragged

_FED_BACK = (
    "with `input_feeding`, the attention output of the previous step is read as part of the input and held fixed: "
    "memory through that path is not measured"
)

Remember = Callable[[Ragged], "Ragged | None"]
"""From what is given to what the decoder attends to."""


def decoder_part(reading: Reading, name: str, remember: Remember) -> Part:
    """The recurrence of the model's `decoder`, on single answers."""
    decoder = cast("TokenDecoder | FrameDecoder", reading.model.decoder)
    return Part(
        name,
        lambda count, seed: _answers(reading, decoder, remember, count, seed),
        cast("Any", reading.features.target).step_noun,
        reads_input=False,
        remarks=(_FED_BACK,) if decoder.feeds_back else (),
    )


def _answers(
    reading: Reading, decoder: TokenDecoder | FrameDecoder, remember: Remember, count: int, seed: int
) -> Subject:
    """Single tokens or frames, including the end of a row."""
    ends = getattr(decoder, "length", None) is None
    read, rows, steps = drawn_steps(reading.examples.target_sequences.lengths + ends, count, seed)
    batch, found = reading.read(read)
    part, targets = found["decoder"], batch.sequence_targets
    if decoder.feeds_back:  # it ran step by step, the longest rows first
        order = decoder.inputs_and_targets(targets)[0].unsorted_indices.cpu()
        part = part.take(order, torch.zeros_like(order), part.inputs.lengths[order])
    with torch.no_grad():
        memory = remember(batch.inputs)
        loss = _written_loss(decoder, targets, memory, part, rows, steps)
    return step_subject(part, rows, steps, loss)


def _written_loss(
    decoder: TokenDecoder | FrameDecoder,
    targets: Ragged,
    memory: Ragged | None,
    part: Recurrence,
    rows: Tensor,
    steps: Tensor,
) -> Callable[[Ragged], Tensor]:
    """Nats of single tokens or frames, attention looking at the whole memory of their rows."""
    inputs, answers = decoder.inputs_and_targets(targets)
    last, wanted = (at_steps(each, rows, steps) for each in (inputs, answers))
    counted = decoder.known(inputs)
    known = None if counted is None else at_steps(inputs.with_values(counted), rows, steps)
    laid = decoder.remember(memory)
    chosen = None if laid is None else laid.select(rows.to(wanted.device))
    context = None
    if decoder.feeds_back and decoder.additive and memory is not None:
        context = at_steps(part.inputs, rows, steps)[:, -memory.values.shape[1] :]  # its query was the state before

    def loss(output: Ragged) -> Tensor:
        return decoder.head.nll(decoder.single(output.select_last(), last, chosen, context, known), wanted)

    return loss


def decoder_signature(
    decoder: TokenDecoder | FrameDecoder, features: Features, recipe: Recipe, encoder: RecurrentEncoder | None = None
) -> Signature:
    """Signature of a teacher-forced decoder: the scores of the next token, or what the distribution of the next frame
    is computed from.

    Args:
        decoder: that of the model.
        features: of the run.
        recipe: of the run.
        encoder: of the source, where it has one.
    """
    dtype, tokens = float_name(decoder), isinstance(decoder, TokenDecoder)
    frames = () if isinstance(decoder, TokenDecoder) else (decoder.frames.values,)
    size = decoder.vocab_size if isinstance(decoder, TokenDecoder) else decoder.read_size + decoder.frames.skipped
    return Signature(
        (*input_specs(features, recipe), TensorSpec("written", "int64" if tokens else dtype, (BATCH, STEPS, *frames))),
        (TensorSpec("scores" if tokens else "hidden", dtype, (BATCH, STEPS, size)),),
        (
            *(() if encoder is None else state_specs("encoder", encoder)),
            *decoder_specs(decoder, 0 if encoder is None else encoder.output_size),
        ),
    )
