"""Diagnosis of sequence-to-sequence models: encoder and decoder."""

from __future__ import annotations

from typing import cast

from torch import Tensor

from ostinato.probes.part import Part
from ostinato.probes.subject import Subject
from ostinato.tasks.decoder_probing import decoder_part
from ostinato.tasks.probing import Reading, windowed_rows
from ostinato.tasks.seq2seq.model import Seq2Seq
from ostinato.types import Ragged, State


def parts(reading: Reading) -> list[Part]:
    """Encoder and decoder."""
    model = cast("Seq2Seq", reading.model)
    encoder = Part("encoder", lambda count, seed: _encoder(reading, count, seed), reading.features.input.step_noun)
    return [encoder, decoder_part(reading, "decoder", lambda inputs: model.read(inputs)[0])]


def _encoder(reading: Reading, count: int, seed: int) -> Subject:
    """The source, and the mean nats of the target's tokens; less context is less around each step of the source."""
    model = cast("Seq2Seq", reading.model)
    batch, found = reading.read(windowed_rows(reading.examples.sequences.lengths, count, seed))
    part = found["encoder"]

    def loss(output: Ragged, finals: list[State]) -> Tensor:
        source = model.source(batch.inputs, output)
        nll = model.decoder.nll(batch.sequence_targets, model.bridge(finals), source, model.fed(batch.extra))
        sums = nll.values.new_zeros(nll.num_rows).index_add(0, nll.sorted_indices[nll.rows_index()], nll.values)
        return sums / nll.lengths.to(sums.device)

    return Subject(part.stacks, part.inputs, loss, per_step=False, reads_states=True, around=True)
